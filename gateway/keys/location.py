"""Where a provider's keys are to be found, and which of these places may be trusted."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from gateway.configuration.model import Provider

DISCOVERY_PATH = "/.well-known/openid-configuration"
"""OpenID Connect Discovery 1.0, section 4."""


@dataclass(frozen=True, slots=True)
class KeySource:
    """What identifies a provider's keys: two providers that are equal here have the same keys."""

    provider: str
    issuer: str
    jwks: str | None

    @classmethod
    def of(cls, provider: Provider) -> KeySource:
        return cls(provider=provider.id, issuer=provider.issuer, jwks=provider.jwks)

    @property
    def file(self) -> Path | None:
        """The file that holds the keys; None when they are fetched."""
        if self.jwks is None or self.jwks.startswith(("http://", "https://")):
            return None
        return Path(self.jwks.removeprefix("file://"))


def discovery_url(issuer: str) -> str | None:
    """Where `issuer` publishes its OpenID configuration; None when it cannot, as an e-mail address."""
    if "@" in issuer:
        return None
    url = issuer if "://" in issuer else f"https://{issuer}"
    return url.rstrip("/") + DISCOVERY_PATH


def is_protected(url: str) -> bool:
    """Whether nobody between us and the server can have changed what it answers: https, or this very machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if parts.scheme == "https":
        return parts.hostname is not None
    return parts.scheme == "http" and is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """`localhost` (RFC 6761, section 6.3) or a loopback address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def without_secrets(url: str) -> str:
    """`url` without user, password, query and fragment: fit for a log or a page."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(unreadable URL)"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
