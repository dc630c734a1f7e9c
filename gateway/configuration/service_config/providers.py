"""Authentication providers of a service configuration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from ..model import Location, Provider, Requirement
from ..problems import Place, Problems, did_you_mean
from ..section import Section

_SERVICE_ACCOUNT = re.compile(r"[^@\s/]+@[a-z0-9.-]+\.gserviceaccount\.com", re.ASCII)
_ACCOUNT_KEYS = "https://www.googleapis.com/robot/v1/metadata/x509/"
"""Where Google publishes each service account's certificates, as {key id: PEM}."""
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}", re.ASCII)
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


def read_providers(
    sections: Sequence[Section], default_audiences: tuple[str, ...], problems: Problems
) -> tuple[Provider, ...]:
    """All providers; those that name no audiences get the default ones."""
    providers: dict[str, Provider] = {}
    for section in sections:
        identity = section.text("id")
        if identity in providers:
            problems.error(section.place("id"), f'provider "{identity}" is defined a second time')
        elif identity:
            providers[identity] = Provider(
                identity,
                section.text("issuer"),
                jwks=_keys(section, problems),
                audiences=audiences(section, problems) or default_audiences,
                locations=_locations(section, problems),
            )
    return tuple(providers.values())


def audiences(section: Section, problems: Problems) -> tuple[str, ...]:
    """The comma-separated `audiences`. A list that names none is an error: it would admit every audience."""
    text = section.text("audiences")
    found = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if text and not found:
        problems.error(section.place("audiences"), "names no audience", "remove the key for the default")
    return found


def read_requirements(rule: Section, providers: tuple[Provider, ...], problems: Problems) -> tuple[Requirement, ...]:
    """What an authentication rule asks for; a provider that is not defined is an error."""
    known = [provider.id for provider in providers]
    requirements = []
    for section in rule.sections("requirements"):
        identity = section.text("provider_id")
        if identity and identity not in known:
            hint = did_you_mean(identity, known) or "define it in authentication.providers"
            problems.error(section.place("provider_id"), f'there is no provider "{identity}"', hint)
        requirements.append(Requirement(identity, audiences(section, problems)))
    return tuple(requirements)


def _keys(section: Section, problems: Problems) -> str | None:
    place = section.place("jwks_uri") if "jwks_uri" in section else section.place()
    return key_source(section.text("jwks_uri").strip(), section.text("issuer"), place, problems)


def key_source(uri: str, issuer: str, place: Place, problems: Problems) -> str | None:
    """Where a provider's keys come from: a URL, a file's path, or None for OpenID discovery at the issuer."""
    if not uri:
        return _keys_of_issuer(issuer, place, problems)
    if not _is_url(uri, ("https", "http", "file")):
        problems.error(place, f'"{uri}" is not a URL', "give https://..., or file:///path for keys on disk")
    elif uri.startswith("file:"):
        return unquote(urlsplit(uri).path)
    elif not _is_protected(uri):
        problems.warning(place, "keys come unencrypted: whoever sits on the way can replace them", "use https://")
    return uri


def _keys_of_issuer(issuer: str, place: Place, problems: Problems) -> str | None:
    if _SERVICE_ACCOUNT.fullmatch(issuer):
        return _ACCOUNT_KEYS + issuer
    url = issuer if "://" in issuer else f"https://{issuer}"
    if "@" in issuer or not _is_url(url, ("https", "http")) or not _is_protected(url):
        message = f'issuer "{issuer}" is not an https URL, so its keys cannot be discovered'
        problems.error(place, message, "say where they are")
    return None


def _is_protected(url: str) -> bool:
    return url.startswith("https://") or urlsplit(url).hostname in _LOCAL_HOSTS


def _is_url(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    if port == 0 or parts.username or parts.password or parts.scheme not in schemes:
        return False
    return parts.path.startswith("/") and not parts.netloc if parts.scheme == "file" else bool(parts.hostname)


def check_header_name(name: str, place: Place, problems: Problems) -> None:
    if not _HEADER_NAME.fullmatch(name):
        problems.error(place, f'"{name}" is not a header name')


def _locations(section: Section, problems: Problems) -> tuple[Location, ...]:
    locations = []
    for entry in section.sections("jwt_locations"):
        prefix = entry.text("value_prefix")
        if header := entry.text("header"):
            check_header_name(header, entry.place("header"), problems)
            locations.append(Location("header", header.lower(), prefix))
        elif query := entry.text("query"):
            if prefix:
                problems.error(entry.place("value_prefix"), "a token in a query parameter has no prefix")
            locations.append(Location("query", query))
        elif cookie := entry.text("cookie"):
            if prefix:
                problems.error(entry.place("value_prefix"), "a token in a cookie has no prefix")
            locations.append(Location("cookie", cookie))
    if "jwt_locations" in section and not locations and not section.sections("jwt_locations"):
        problems.error(section.place("jwt_locations"), "is empty", "remove the key for the default places")
    return tuple(locations)
