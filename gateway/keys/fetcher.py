"""Fetches a provider's key document, once and without waiting for better times: `refresh` decides when to try again.

Everything that comes back is hostile until proven otherwise: bodies, redirects and times are bounded, TLS certificates
are verified, https never turns into http, and an OpenID configuration has to name the issuer that we asked for.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urljoin

from gateway.keys.location import KeySource, discovery_url, is_protected, without_secrets

if TYPE_CHECKING:
    import aiohttp

MAX_DOCUMENT_BYTES = 1 << 20
MAX_REDIRECTS = 5
TIME_OUT = 10.0
CONNECT_TIME_OUT = 5.0

SHORTEST_MAX_AGE = 30.0
LONGEST_MAX_AGE = 3600.0
"""A server's `Cache-Control: max-age` is honoured between these, so that neither a mistake of its operator floods it
nor a withdrawn key is trusted for a day."""

FILE_LIFETIME = 1.0
"""Seconds after which a key file is looked at again."""


class FetchError(Exception):
    """Says where a key document was sought and what was wrong. Holds no secret."""


@dataclass(frozen=True, slots=True)
class KeyDocument:
    """`text` None: unchanged since `validator` was given. `lifetime` None: the answer does not say."""

    text: str | None
    lifetime: float | None = None
    validator: str | None = None


class Fetch(Protocol):
    """Raises FetchError. `validator` is that of the document at hand, which then need not be sent again."""

    async def __call__(self, source: KeySource, validator: str | None) -> KeyDocument: ...


class Fetcher:
    """Fetches over HTTP and from files. `aclose` ends its connections."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, source: KeySource, validator: str | None) -> KeyDocument:
        if source.file is not None:
            return await asyncio.to_thread(_read_file, source.file, validator)
        url = source.jwks or await self._discover(source.issuer)
        return await self._get(url, validator)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _discover(self, issuer: str) -> str:
        url = discovery_url(issuer)
        if url is None:
            raise FetchError(f"The issuer {issuer!r} is not a URL, so its keys cannot be discovered: give jwks_uri.")
        if not is_protected(url):
            raise FetchError(f"{without_secrets(url)} is not https, so its keys cannot be trusted: give jwks_uri.")
        document = await self._get(url, None)
        try:
            configuration = json.loads(document.text or "")
        except (ValueError, RecursionError):
            raise FetchError(f"{without_secrets(url)} did not answer with JSON.") from None
        if not isinstance(configuration, dict) or not isinstance(configuration.get("jwks_uri"), str):
            raise FetchError(f"{without_secrets(url)} names no jwks_uri.")
        if configuration.get("issuer") not in (issuer, f"https://{issuer}"):
            raise FetchError(f"{without_secrets(url)} is the configuration of another issuer than {issuer!r}.")
        jwks_uri: str = configuration["jwks_uri"]
        if not is_protected(jwks_uri):
            raise FetchError(f"{without_secrets(url)} names a jwks_uri that is not https.")
        return jwks_uri

    async def _get(self, url: str, validator: str | None) -> KeyDocument:
        import aiohttp

        shown = without_secrets(url)
        try:
            async with asyncio.timeout(TIME_OUT):
                return await self._follow(url, validator)
        except TimeoutError:
            raise FetchError(f"{shown} did not answer within {TIME_OUT:g} s.") from None
        except (aiohttp.ClientConnectorError, aiohttp.ClientConnectorCertificateError) as error:
            raise FetchError(f"{shown} cannot be reached: {error}") from None
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise FetchError(f"{shown} cannot be fetched: {type(error).__name__}.") from None

    async def _follow(self, url: str, validator: str | None) -> KeyDocument:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "tidegate"}
        if validator is not None:
            headers["If-None-Match"] = validator
        target = url
        for _ in range(MAX_REDIRECTS + 1):
            async with self._open_session().get(target, headers=headers, allow_redirects=False) as answer:
                if answer.status in (301, 302, 303, 307, 308):
                    target = _redirected(target, answer.headers.get("Location"), shown=without_secrets(url))
                    continue
                lifetime = max_age(answer.headers.get("Cache-Control", ""))
                if answer.status == 304 and validator is not None:
                    return KeyDocument(None, lifetime, validator)
                if answer.status != 200:
                    raise FetchError(f"{without_secrets(url)} answered {answer.status}.")
                if answer.headers.get("Content-Encoding", "identity") != "identity":
                    raise FetchError(f"{without_secrets(url)} answered with an encoding that was not asked for.")
                text = await _bounded(answer.content, shown=without_secrets(url))
                return KeyDocument(text, lifetime, answer.headers.get("ETag"))
        raise FetchError(f"{without_secrets(url)} redirects more than {MAX_REDIRECTS} times.")

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=TIME_OUT, connect=CONNECT_TIME_OUT),
            )
        return self._session


def max_age(cache_control: str) -> float | None:
    """Seconds for which a `Cache-Control` header lets an answer be kept, within our bounds; None: it does not say."""
    if re.search(r"\b(no-store|no-cache)\b", cache_control, re.IGNORECASE):
        return SHORTEST_MAX_AGE
    found = re.search(r'\bmax-age\s*=\s*"?(\d{1,12})', cache_control, re.IGNORECASE)
    return None if found is None else min(max(float(found[1]), SHORTEST_MAX_AGE), LONGEST_MAX_AGE)


def _redirected(url: str, location: str | None, shown: str) -> str:
    if not location:
        raise FetchError(f"{shown} redirects to nowhere.")
    target = urljoin(url, location)
    if is_protected(url) and not is_protected(target):
        raise FetchError(f"{shown} redirects to a place that is not https.")
    return target


async def _bounded(content: aiohttp.StreamReader, shown: str) -> str:
    body = bytearray()
    async for chunk in content.iter_chunked(64 << 10):
        body += chunk
        if len(body) > MAX_DOCUMENT_BYTES:
            raise FetchError(f"{shown} answered with more than {MAX_DOCUMENT_BYTES} bytes.")
    return _decoded(bytes(body), shown)


def _read_file(path: Path, validator: str | None) -> KeyDocument:
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            current = f"{facts.st_dev}-{facts.st_ino}-{facts.st_mtime_ns}-{facts.st_size}"
            if current == validator:
                return KeyDocument(None, FILE_LIFETIME, current)
            body = file.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as error:
        raise FetchError(f"{path} cannot be read: {error.strerror}.") from None
    if len(body) > MAX_DOCUMENT_BYTES:
        raise FetchError(f"{path} has more than {MAX_DOCUMENT_BYTES} bytes.")
    return KeyDocument(_decoded(body, str(path)), FILE_LIFETIME, current)


def _decoded(body: bytes, shown: str) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise FetchError(f"{shown} is not text.") from None
