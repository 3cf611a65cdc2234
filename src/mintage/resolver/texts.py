"""What the public pages say, in five languages, and which of them a reader asks for (RFC 9110 §12.5.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, get_args

Language = Literal["en", "de", "fr", "es", "it"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
MessageName = Literal[
    "not_issued",
    "revoked",
    "bad_request",
    "nothing_here",
    "no_such_link",
    "choices",
    "brand_not_found",
    "method_not_allowed",
    "too_many",
    "unavailable",
    "internal",
]


@dataclass(frozen=True, slots=True)
class Message:
    """A page that says one thing: a heading, what it means, what to do."""

    heading: str
    meaning: str
    advice: str


@dataclass(frozen=True, slots=True)
class Texts:
    """All texts of one language. `genuine_since` has a `{day}`; `date_form` `{day}`, `{month}`, `{year}`."""

    genuine_since: str
    gtin: str
    brand: str
    links: str
    months: tuple[str, ...]
    date_form: str
    messages: Mapping[MessageName, Message]

    def genuine_line(self, first_scanned_on: date) -> str:
        """ "Genuine, first scanned on …"."""
        day = self.date_form.format(
            day=first_scanned_on.day,
            month=self.months[first_scanned_on.month - 1],
            year=first_scanned_on.year,
        )
        return self.genuine_since.format(day=day)


TEXTS: Final[Mapping[Language, Texts]] = {
    "en": Texts(
        genuine_since="Genuine, first scanned on {day}",
        gtin="GTIN",
        brand="Brand",
        links="More about this product",
        months=(
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ),
        date_form="{day} {month} {year}",
        messages={
            "not_issued": Message(
                "This code was not issued here",
                "No product of this brand carries this code. It may be a copy, or the code was damaged or "
                "misread.",
                "Scan the code again. If it stays unknown, ask the seller or the brand before you rely on "
                "this product.",
            ),
            "revoked": Message(
                "This code has been withdrawn",
                "The brand issued this code and has withdrawn it: it no longer vouches for a product that "
                "carries it.",
                "Ask the seller or the brand before you rely on this product.",
            ),
            "bad_request": Message(
                "This code cannot be read",
                "The address is not a correct GS1 Digital Link or product code.",
                "Scan the code again, or check the address.",
            ),
            "nothing_here": Message(
                "There is nothing at this address",
                "This site answers product codes.",
                "Scan the code on a product to see what it is.",
            ),
            "no_such_link": Message(
                "There is no such link",
                "This product has no link of the type asked for.",
                "Scan the code to see the product.",
            ),
            "choices": Message(
                "Several links answer",
                "This product has several links that fit equally.",
                "Choose one of them.",
            ),
            "brand_not_found": Message(
                "No brand is known at this address",
                "The host in this address belongs to no brand here.",
                "Check the address, or scan the code again.",
            ),
            "method_not_allowed": Message(
                "This is for reading only",
                "Codes are answered to GET, HEAD and OPTIONS.",
                "Open the address in a browser.",
            ),
            "too_many": Message(
                "Too many unknown codes",
                "Many codes that were not issued here were asked for from your network.",
                "Wait a minute and scan the code again.",
            ),
            "unavailable": Message(
                "Please try again in a moment",
                "The code cannot be looked up just now.",
                "Scan the code again in a few seconds.",
            ),
            "internal": Message(
                "Something went wrong here",
                "The code could not be looked up. The fault is ours and has been logged.",
                "Scan the code again later.",
            ),
        },
    ),
    "de": Texts(
        genuine_since="Echt, erstmals gescannt am {day}",
        gtin="GTIN",
        brand="Marke",
        links="Mehr zu diesem Produkt",
        months=(
            "Januar",
            "Februar",
            "März",
            "April",
            "Mai",
            "Juni",
            "Juli",
            "August",
            "September",
            "Oktober",
            "November",
            "Dezember",
        ),
        date_form="{day}. {month} {year}",
        messages={
            "not_issued": Message(
                "Dieser Code wurde hier nicht ausgegeben",
                "Kein Produkt dieser Marke trägt diesen Code. Er kann eine Kopie sein, oder er ist "
                "beschädigt oder falsch gelesen worden.",
                "Scannen Sie den Code noch einmal. Bleibt er unbekannt, fragen Sie den Händler oder die "
                "Marke, bevor Sie sich auf dieses Produkt verlassen.",
            ),
            "revoked": Message(
                "Dieser Code wurde zurückgezogen",
                "Die Marke hat diesen Code ausgegeben und zurückgezogen: Sie steht nicht mehr für ein "
                "Produkt ein, das ihn trägt.",
                "Fragen Sie den Händler oder die Marke, bevor Sie sich auf dieses Produkt verlassen.",
            ),
            "bad_request": Message(
                "Dieser Code ist nicht lesbar",
                "Die Adresse ist kein richtiger GS1 Digital Link oder Produktcode.",
                "Scannen Sie den Code noch einmal oder prüfen Sie die Adresse.",
            ),
            "nothing_here": Message(
                "Unter dieser Adresse ist nichts",
                "Diese Seite beantwortet Produktcodes.",
                "Scannen Sie den Code auf einem Produkt, um zu sehen, was es ist.",
            ),
            "no_such_link": Message(
                "Diesen Link gibt es nicht",
                "Dieses Produkt hat keinen Link der gewünschten Art.",
                "Scannen Sie den Code, um das Produkt zu sehen.",
            ),
            "choices": Message(
                "Mehrere Links passen",
                "Dieses Produkt hat mehrere Links, die gleich gut passen.",
                "Wählen Sie einen davon.",
            ),
            "brand_not_found": Message(
                "Unter dieser Adresse ist keine Marke bekannt",
                "Der Host dieser Adresse gehört hier zu keiner Marke.",
                "Prüfen Sie die Adresse oder scannen Sie den Code noch einmal.",
            ),
            "method_not_allowed": Message(
                "Hier kann nur gelesen werden",
                "Codes werden auf GET, HEAD und OPTIONS beantwortet.",
                "Öffnen Sie die Adresse in einem Browser.",
            ),
            "too_many": Message(
                "Zu viele unbekannte Codes",
                "Aus Ihrem Netz wurde nach vielen Codes gefragt, die hier nicht ausgegeben wurden.",
                "Warten Sie eine Minute und scannen Sie den Code dann noch einmal.",
            ),
            "unavailable": Message(
                "Bitte gleich noch einmal versuchen",
                "Der Code kann im Augenblick nicht nachgeschlagen werden.",
                "Scannen Sie den Code in ein paar Sekunden noch einmal.",
            ),
            "internal": Message(
                "Hier ist etwas schiefgegangen",
                "Der Code konnte nicht nachgeschlagen werden. Der Fehler liegt bei uns und ist vermerkt.",
                "Scannen Sie den Code später noch einmal.",
            ),
        },
    ),
    "fr": Texts(
        genuine_since="Authentique, scanné pour la première fois le {day}",
        gtin="GTIN",
        brand="Marque",
        links="En savoir plus sur ce produit",
        months=(
            "janvier",
            "février",
            "mars",
            "avril",
            "mai",
            "juin",
            "juillet",
            "août",
            "septembre",
            "octobre",
            "novembre",
            "décembre",
        ),
        date_form="{day} {month} {year}",
        messages={
            "not_issued": Message(
                "Ce code n’a pas été émis ici",
                "Aucun produit de cette marque ne porte ce code. Il s’agit peut-être d’une copie, ou le code "
                "a été abîmé ou mal lu.",
                "Scannez le code à nouveau. S’il reste inconnu, interrogez le vendeur ou la marque avant de "
                "vous fier à ce produit.",
            ),
            "revoked": Message(
                "Ce code a été retiré",
                "La marque a émis ce code puis l’a retiré : elle ne garantit plus un produit qui le porte.",
                "Interrogez le vendeur ou la marque avant de vous fier à ce produit.",
            ),
            "bad_request": Message(
                "Ce code est illisible",
                "L’adresse n’est pas un GS1 Digital Link ou un code produit correct.",
                "Scannez le code à nouveau ou vérifiez l’adresse.",
            ),
            "nothing_here": Message(
                "Il n’y a rien à cette adresse",
                "Ce site répond aux codes de produits.",
                "Scannez le code d’un produit pour voir de quoi il s’agit.",
            ),
            "no_such_link": Message(
                "Ce lien n’existe pas",
                "Ce produit n’a pas de lien du type demandé.",
                "Scannez le code pour voir le produit.",
            ),
            "choices": Message(
                "Plusieurs liens conviennent",
                "Ce produit a plusieurs liens qui conviennent également.",
                "Choisissez-en un.",
            ),
            "brand_not_found": Message(
                "Aucune marque n’est connue à cette adresse",
                "L’hôte de cette adresse n’appartient à aucune marque ici.",
                "Vérifiez l’adresse ou scannez le code à nouveau.",
            ),
            "method_not_allowed": Message(
                "Lecture seule",
                "Les codes répondent à GET, HEAD et OPTIONS.",
                "Ouvrez l’adresse dans un navigateur.",
            ),
            "too_many": Message(
                "Trop de codes inconnus",
                "De nombreux codes qui n’ont pas été émis ici ont été demandés depuis votre réseau.",
                "Attendez une minute, puis scannez le code à nouveau.",
            ),
            "unavailable": Message(
                "Veuillez réessayer dans un instant",
                "Le code ne peut pas être recherché pour le moment.",
                "Scannez le code à nouveau dans quelques secondes.",
            ),
            "internal": Message(
                "Une erreur s’est produite",
                "Le code n’a pas pu être recherché. L’erreur vient de nous et a été consignée.",
                "Scannez le code à nouveau plus tard.",
            ),
        },
    ),
    "es": Texts(
        genuine_since="Auténtico, escaneado por primera vez el {day}",
        gtin="GTIN",
        brand="Marca",
        links="Más sobre este producto",
        months=(
            "enero",
            "febrero",
            "marzo",
            "abril",
            "mayo",
            "junio",
            "julio",
            "agosto",
            "septiembre",
            "octubre",
            "noviembre",
            "diciembre",
        ),
        date_form="{day} de {month} de {year}",
        messages={
            "not_issued": Message(
                "Este código no se emitió aquí",
                "Ningún producto de esta marca lleva este código. Puede ser una copia, o el código está "
                "dañado o se leyó mal.",
                "Escanee el código de nuevo. Si sigue siendo desconocido, pregunte al vendedor o a la marca "
                "antes de fiarse de este producto.",
            ),
            "revoked": Message(
                "Este código se ha retirado",
                "La marca emitió este código y lo ha retirado: ya no responde de un producto que lo lleve.",
                "Pregunte al vendedor o a la marca antes de fiarse de este producto.",
            ),
            "bad_request": Message(
                "Este código no se puede leer",
                "La dirección no es un GS1 Digital Link o un código de producto correcto.",
                "Escanee el código de nuevo o compruebe la dirección.",
            ),
            "nothing_here": Message(
                "No hay nada en esta dirección",
                "Este sitio responde a códigos de productos.",
                "Escanee el código de un producto para ver qué es.",
            ),
            "no_such_link": Message(
                "Este enlace no existe",
                "Este producto no tiene ningún enlace del tipo solicitado.",
                "Escanee el código para ver el producto.",
            ),
            "choices": Message(
                "Varios enlaces son adecuados",
                "Este producto tiene varios enlaces igualmente adecuados.",
                "Elija uno de ellos.",
            ),
            "brand_not_found": Message(
                "No se conoce ninguna marca en esta dirección",
                "El host de esta dirección no pertenece a ninguna marca aquí.",
                "Compruebe la dirección o escanee el código de nuevo.",
            ),
            "method_not_allowed": Message(
                "Solo lectura",
                "Los códigos responden a GET, HEAD y OPTIONS.",
                "Abra la dirección en un navegador.",
            ),
            "too_many": Message(
                "Demasiados códigos desconocidos",
                "Desde su red se han pedido muchos códigos que no se emitieron aquí.",
                "Espere un minuto y escanee el código de nuevo.",
            ),
            "unavailable": Message(
                "Inténtelo de nuevo en un momento",
                "El código no se puede consultar ahora mismo.",
                "Escanee el código de nuevo dentro de unos segundos.",
            ),
            "internal": Message(
                "Algo ha fallado aquí",
                "No se pudo consultar el código. El fallo es nuestro y ha quedado registrado.",
                "Escanee el código de nuevo más tarde.",
            ),
        },
    ),
    "it": Texts(
        genuine_since="Autentico, scansionato per la prima volta il {day}",
        gtin="GTIN",
        brand="Marca",
        links="Altro su questo prodotto",
        months=(
            "gennaio",
            "febbraio",
            "marzo",
            "aprile",
            "maggio",
            "giugno",
            "luglio",
            "agosto",
            "settembre",
            "ottobre",
            "novembre",
            "dicembre",
        ),
        date_form="{day} {month} {year}",
        messages={
            "not_issued": Message(
                "Questo codice non è stato emesso qui",
                "Nessun prodotto di questa marca porta questo codice. Può essere una copia, oppure il codice "
                "è danneggiato o è stato letto male.",
                "Scansioni di nuovo il codice. Se resta sconosciuto, chieda al venditore o alla marca prima "
                "di fidarsi di questo prodotto.",
            ),
            "revoked": Message(
                "Questo codice è stato ritirato",
                "La marca ha emesso questo codice e lo ha ritirato: non risponde più di un prodotto che lo "
                "porta.",
                "Chieda al venditore o alla marca prima di fidarsi di questo prodotto.",
            ),
            "bad_request": Message(
                "Questo codice non è leggibile",
                "L’indirizzo non è un GS1 Digital Link o un codice prodotto corretto.",
                "Scansioni di nuovo il codice o controlli l’indirizzo.",
            ),
            "nothing_here": Message(
                "A questo indirizzo non c’è nulla",
                "Questo sito risponde ai codici dei prodotti.",
                "Scansioni il codice di un prodotto per vedere che cos’è.",
            ),
            "no_such_link": Message(
                "Questo link non esiste",
                "Questo prodotto non ha link del tipo richiesto.",
                "Scansioni il codice per vedere il prodotto.",
            ),
            "choices": Message(
                "Più link sono adatti",
                "Questo prodotto ha più link ugualmente adatti.",
                "Ne scelga uno.",
            ),
            "brand_not_found": Message(
                "A questo indirizzo non è nota alcuna marca",
                "L’host di questo indirizzo non appartiene qui ad alcuna marca.",
                "Controlli l’indirizzo o scansioni di nuovo il codice.",
            ),
            "method_not_allowed": Message(
                "Sola lettura",
                "I codici rispondono a GET, HEAD e OPTIONS.",
                "Apra l’indirizzo in un browser.",
            ),
            "too_many": Message(
                "Troppi codici sconosciuti",
                "Dalla sua rete sono stati chiesti molti codici che non sono stati emessi qui.",
                "Attenda un minuto e scansioni di nuovo il codice.",
            ),
            "unavailable": Message(
                "Riprovi tra un momento",
                "In questo momento il codice non può essere cercato.",
                "Scansioni di nuovo il codice tra qualche secondo.",
            ),
            "internal": Message(
                "Qui qualcosa è andato storto",
                "Non è stato possibile cercare il codice. L’errore è nostro ed è stato registrato.",
                "Scansioni di nuovo il codice più tardi.",
            ),
        },
    ),
}

_HEADER_CHARACTERS_MAX: Final = 512


def language_of(accept_language: str) -> Language:
    """The language of ours that an `Accept-Language` header likes best; English where it likes none."""
    best: Language = "en"
    best_weight = 0.0
    for part in accept_language[:_HEADER_CHARACTERS_MAX].lower().split(","):
        tag, _, parameter = part.partition(";")
        weight = _weight(parameter)
        primary = tag.strip().partition("-")[0]
        found = next((language for language in LANGUAGES if language == primary), None)
        if found is not None and weight > best_weight:
            best, best_weight = found, weight
    return best


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
