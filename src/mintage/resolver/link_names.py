"""What link types are called on the public pages, in five languages; and of links, which a page has room for.

Names in all languages are of the types that products have most; others have the vocabulary's own, in English.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from markupsafe import escape

from mintage.operations.resolving import Link
from mintage.resolver.texts import LANGUAGES, Language
from mintage.rules.link_types import CURIE_PREFIX, link_types

ALL_LINKS: Final[Mapping[Language, str]] = {
    "en": "All links (JSON)",
    "de": "Alle Links (JSON)",
    "fr": "Tous les liens (JSON)",
    "es": "Todos los enlaces (JSON)",
    "it": "Tutti i link (JSON)",
}

# In the order of LANGUAGES.
_NAMES: Final = """
pip: Product information | Produktinformation | Informations produit | Información del producto | Informazioni sul prodotto
instructions: Instructions | Anleitung | Mode d’emploi | Instrucciones | Istruzioni
quickStartGuide: Quick start guide | Kurzanleitung | Guide de démarrage rapide | Guía de inicio rápido | Guida rapida
tutorial: Tutorial | Tutorial | Tutoriel | Tutorial | Tutorial
support: Support | Kundendienst | Assistance | Asistencia | Assistenza
faqs: Frequently asked questions | Häufige Fragen | Questions fréquentes | Preguntas frecuentes | Domande frequenti
serviceInfo: Service | Service | Service après-vente | Servicio técnico | Servizio
safetyInfo: Safety | Sicherheitshinweise | Consignes de sécurité | Seguridad | Sicurezza
recallStatus: Recalls | Rückrufe | Rappels | Retiradas del mercado | Richiami
certificationInfo: Certificates | Zertifikate | Certificats | Certificados | Certificati
sustainabilityInfo: Sustainability and recycling | Nachhaltigkeit und Recycling | Durabilité et recyclage | Sostenibilidad y reciclaje | Sostenibilità e riciclo
dpp: Digital product passport | Digitaler Produktpass | Passeport numérique de produit | Pasaporte digital de producto | Passaporto digitale di prodotto
traceability: Traceability | Rückverfolgung | Traçabilité | Trazabilidad | Tracciabilità
ingredientsInfo: Ingredients | Zutaten | Ingrédients | Ingredientes | Ingredienti
nutritionalInfo: Nutrition | Nährwerte | Valeurs nutritionnelles | Información nutricional | Valori nutrizionali
allergenInfo: Allergens | Allergene | Allergènes | Alérgenos | Allergeni
consumerHandlingStorageInfo: Handling and storage | Umgang und Lagerung | Utilisation et conservation | Uso y conservación | Uso e conservazione
recipeInfo: Recipes | Rezepte | Recettes | Recetas | Ricette
hasRetailers: Where to buy | Händler | Où acheter | Dónde comprar | Dove acquistare
purchaseSuppliesOrAccessories: Supplies and accessories | Zubehör | Accessoires et consommables | Accesorios y consumibles | Accessori e ricambi
promotion: Promotion | Aktion | Promotion | Promoción | Promozione
registerProduct: Register your purchase | Kauf registrieren | Enregistrer votre achat | Registrar la compra | Registra l’acquisto
review: Reviews | Bewertungen | Avis | Opiniones | Recensioni
leaveReview: Leave a review | Bewertung schreiben | Donner un avis | Escribir una opinión | Scrivi una recensione
socialMedia: Social media | Soziale Medien | Réseaux sociaux | Redes sociales | Social media
homepage: About the company | Über das Unternehmen | À propos de l’entreprise | Sobre la empresa | L’azienda
relatedVideo: Videos | Videos | Vidéos | Vídeos | Video
relatedImage: Pictures | Bilder | Images | Imágenes | Immagini
appDownload: App | App | Application | Aplicación | App
whatsInTheBox: What’s in the box | Lieferumfang | Contenu de la boîte | Contenido de la caja | Contenuto della confezione
epil: Patient information leaflet | Packungsbeilage | Notice | Prospecto | Foglio illustrativo
smpc: Summary of product characteristics | Fachinformation | Résumé des caractéristiques | Ficha técnica | Riassunto delle caratteristiche
eifu: Instructions for use | Gebrauchsanweisung | Notice d’utilisation | Instrucciones de uso | Istruzioni per l’uso
loyaltyProgram: Loyalty programme | Treueprogramm | Programme de fidélité | Programa de fidelización | Programma fedeltà
"""  # noqa: E501 - a table
_MARKUP_BYTES: Final = 80
"""As much, or a little more, as a link's markup or a group's takes besides what it says."""


class TypeName(NamedTuple):
    """The name of a link type and the language that it is in."""

    text: str
    language: Language


class LinkGroup(NamedTuple):
    """The links of one type, in order."""

    name: TypeName
    links: tuple[Link, ...]


def _read_names() -> dict[str, tuple[str, ...]]:
    rows = (line.partition(": ") for line in _NAMES.strip().splitlines())
    return {CURIE_PREFIX + name: tuple(texts.split(" | ")) for name, _, texts in rows}


TYPE_NAMES: Final[Mapping[str, tuple[str, ...]]] = _read_names()
"""By curie, in the order of LANGUAGES."""


def name_of(link_type: str, language: Language) -> TypeName:
    """What a link type is called in `language`, in English or, of an unknown one, by its curie."""
    names = TYPE_NAMES.get(link_type)
    if names is not None:
        return TypeName(names[LANGUAGES.index(language)], language)
    known = link_types().get(link_type)
    return TypeName(known.title if known is not None else link_type, "en")


def grouped(links: Sequence[Link], language: Language, room_bytes: int) -> tuple[LinkGroup, ...]:
    """Links by type as far as there is room for them, the first of each type before second ones.

    The very first is always there.
    """
    by_type: dict[str, list[Link]] = {}
    for link in sorted(links, key=lambda link: (link.link_type, link.title, link.href)):
        by_type.setdefault(link.link_type, []).append(link)
    in_turn = sorted(
        (place, type_place, link)
        for type_place, of_type in enumerate(by_type.values())
        for place, link in enumerate(of_type)
    )
    shown: dict[str, list[Link]] = {}
    left = room_bytes
    for _, _, link in in_turn:
        cost = _bytes_of(link)
        if link.link_type not in shown:
            cost += _MARKUP_BYTES + len(name_of(link.link_type, language).text.encode())
        if cost <= left or not shown:
            left -= cost
            shown.setdefault(link.link_type, []).append(link)
    return tuple(
        LinkGroup(name_of(link_type, language), tuple(shown[link_type]))
        for link_type in by_type
        if link_type in shown
    )


def _bytes_of(link: Link) -> int:
    # The host of the address is shown beside the address itself.
    said = (link.href, link.href[:80], link.title, link.hreflang, link.hreflang, link.media_type)
    return _MARKUP_BYTES + sum(len(str(escape(text)).encode()) for text in said if text)
