"""Forms of what a link and a location are written in: URLs, URIs, language tags, media types.

Only forms: nothing is looked up. Raised is `RuleViolation` with what is wrong. Not here: which link
types there are (`link_types`).
"""

import re
from typing import Final
from urllib.parse import urlsplit

from mintage.rules.violation import RuleViolation

URL_CHARACTERS_MAX: Final = 2000
URI_CHARACTERS_MAX: Final = 500

# RFC 3986 §2: unreserved, reserved and percent-encoded characters; nothing else is in a URI.
_URI_TEXT: Final = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_HOST: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
    r"(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*\.?"
)
# RFC 8141 §2: a namespace and a text of it.
_URN: Final = re.compile(r"urn:[a-z0-9][a-z0-9-]{0,30}[a-z0-9]:.+", re.IGNORECASE | re.ASCII)
# RFC 5646 §2.1, without the tags that were registered before it.
_LANGUAGE: Final = re.compile(
    r"(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})"
    r"(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?"
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"
    r"(?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?",
    re.IGNORECASE | re.ASCII,
)
_LANGUAGE_CHARACTERS_MAX: Final = 35
# RFC 6838 §4.2: type and subtype, each a restricted name; no parameters.
MEDIA_TYPE_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
LINK_CONTEXT: Final = r"[A-Za-z0-9._~:-]{1,64}"
_LINK_CONTEXT: Final = re.compile(LINK_CONTEXT)
_MEDIA_TYPE: Final = re.compile(f"{MEDIA_TYPE_NAME}/{MEDIA_TYPE_NAME}")

URL_HINT: Final = (
    f"an absolute https:// URL of at most {URL_CHARACTERS_MAX} characters, without user information"
)
URI_HINT: Final = f"an http(s) URL or a URN of at most {URI_CHARACTERS_MAX} characters"
LANGUAGE_HINT: Final = "a language tag such as en or pt-BR (BCP 47)"
CONTEXT_HINT: Final = "1 to 64 letters, digits and - . _ ~ :, such as DE or eu-battery"
MEDIA_TYPE_HINT: Final = "a media type such as text/html, without parameters"


def check_https_url(value: str) -> None:
    """Refuse what is no absolute https URL without user information (RFC 3986, SECURITY)."""
    if len(value) > URL_CHARACTERS_MAX:
        raise RuleViolation(f"is longer than {URL_CHARACTERS_MAX} characters", URL_HINT)
    if not _URI_TEXT.fullmatch(value):
        raise RuleViolation("has a character that must be percent-encoded", URL_HINT)
    if not value.startswith("https://"):
        raise RuleViolation("does not begin with https://", URL_HINT)
    _check_authority(value, URL_HINT)


def check_location_uri(value: str) -> None:
    """Refuse what is neither an http or https URL nor a URN: how EPCIS names a location."""
    if len(value) > URI_CHARACTERS_MAX:
        raise RuleViolation(f"is longer than {URI_CHARACTERS_MAX} characters", URI_HINT)
    if not _URI_TEXT.fullmatch(value):
        raise RuleViolation("has a character that must be percent-encoded", URI_HINT)
    if value.startswith(("https://", "http://")):
        _check_authority(value, URI_HINT)
    elif not _URN.fullmatch(value):
        raise RuleViolation("begins with none of https://, http:// and urn:", URI_HINT)


def check_language_tag(value: str) -> None:
    """Refuse what has not the form of a language tag (BCP 47, RFC 5646)."""
    if len(value) > _LANGUAGE_CHARACTERS_MAX or not _LANGUAGE.fullmatch(value):
        raise RuleViolation("is no language tag", LANGUAGE_HINT)


def check_media_type(value: str) -> None:
    """Refuse what has not the form of a media type, or has parameters (RFC 6838)."""
    if not _MEDIA_TYPE.fullmatch(value):
        raise RuleViolation("is no media type", MEDIA_TYPE_HINT)


def check_link_context(value: str) -> None:
    """Refuse what cannot name the context that a link holds in (GS1's linkset: a market, a jurisdiction)."""
    if not _LINK_CONTEXT.fullmatch(value):
        raise RuleViolation("is no context", CONTEXT_HINT)


def _check_authority(value: str, hint: str) -> None:
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise RuleViolation("has no host and port that can be read", hint) from None
    if "@" in parts.netloc:
        raise RuleViolation("has user information before its host", hint)
    is_address = parts.netloc.startswith("[")
    if not (is_address or _HOST.fullmatch(host)):
        raise RuleViolation("has no host of letters, digits, hyphens and dots", hint)
    if port == 0 or parts.netloc.endswith(":"):
        raise RuleViolation("has no port that can be reached", hint)
