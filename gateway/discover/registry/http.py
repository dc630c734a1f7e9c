"""HTTP to a registry: a client with one session with bounded times, and TLS by files."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    import aiohttp

CONNECT_TIME_OUT = 5.0
TIME_OUT = 5.0
FIRST_PAUSE = 0.2
"""Seconds after a first failure: a registry is one hop away and often restarts in turn."""
LARGEST_ANSWER = 64 << 20
"""Bytes: a hundred thousand endpoints."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Paths of PEM files, "" where there is none; without `authorities` those of the system count."""

    authorities: str = ""
    certificate: str = ""
    key: str = ""
    verify: bool = True

    def __bool__(self) -> bool:
        return bool(self.authorities or self.certificate)

    def context(self) -> ssl.SSLContext:
        """Raises OSError, which names the files, where one cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.authorities or None)
            if self.certificate:
                context.load_cert_chain(self.certificate, self.key or None)
        except OSError as error:
            files = ", ".join(file for file in (self.authorities, self.certificate, self.key) if file)
            raise OSError(f"the TLS files {files} cannot be used: {error.strerror or error}") from None
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class Client:
    """What clients of registries have in common: a session, opened with the first request."""

    def __init__(self, urls: Sequence[str], tls: Tls) -> None:
        """`urls` are where the registry is; `tls` applies if one of them is https."""
        self._tls = tls if any(url.startswith("https:") for url in urls) else None
        self._opened: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    def session(self) -> aiohttp.ClientSession:
        """Raises OSError as `Tls.context`."""
        import aiohttp

        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls.context() if self._tls is not None else True),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "tidegate"},
                timeout=aiohttp.ClientTimeout(total=TIME_OUT, connect=CONNECT_TIME_OUT),
            )
        return self._opened


def transport_errors() -> tuple[type[Exception], ...]:
    """What a request fails with when no answer comes, or none that can be read."""
    import aiohttp

    return aiohttp.ClientError, OSError, ValueError


async def read_bounded(content: aiohttp.StreamReader) -> bytes:
    """ValueError: it is longer than any honest answer."""
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise ValueError(f"the answer is longer than {LARGEST_ANSWER} bytes")
    return bytes(body)


def describe(error: Exception) -> str:
    """An error of a connection, as part of a sentence."""
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    return str(error) or type(error).__name__


def split_target(target: str, options: frozenset[str]) -> tuple[str, str, dict[str, list[str]]]:
    """Authority, path without its first slash, and options of `scheme://authority/path?option=value`.

    ValueError: an option is none of `options`, or there is a fragment.
    """
    parts = urlsplit(target)
    if parts.fragment:
        raise ValueError(f"{target!r}: write %23 for # in a name.")
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in options:
            raise ValueError(f"{target!r}: no option {name!r}; there are {', '.join(sorted(options))}.")
        values.setdefault(name, []).append(value)
    return parts.netloc, unquote(parts.path.removeprefix("/")), values


def base_url(address: str, secure: bool) -> str:
    """`http://host:port` of an address with or without a scheme. ValueError: it is none, or carries a password."""
    text = address if "://" in address else f"{'https' if secure else 'http'}://{address}"
    parts = urlsplit(text)
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address of a registry holds no user name or password")
    try:
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"{address!r} is no address of a registry: write http://host:port or https://host:port")
    return f"{parts.scheme}://{parts.netloc}"
