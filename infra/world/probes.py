"""Looks whether a part of the world does its work. A probe is data; `Prober` carries it out."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Probe:
    """A request that has to be answered with `status`.

    With a `server_name` the server must have a certificate for it from the authority in the file `trusts`; without one
    any certificate will do, as it does for Kubernetes' own probes.
    """

    name: str
    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    status: int = 200
    server_name: str | None = None
    trusts: Path | None = None


class Prober:
    """`async with Prober() as prober`. Each probe has a connection of its own, so that none is of a server before."""

    def __init__(self) -> None:
        self._contexts: dict[Path, ssl.SSLContext] = {}

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS), connector=aiohttp.TCPConnector(force_close=True)
        )
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._session.close()

    async def check(self, probe: Probe) -> str | None:
        """None when all is well, else what is not."""
        what = f"{probe.method} {probe.url}"
        try:
            async with self._session.request(
                probe.method,
                probe.url,
                headers=probe.headers,
                data=probe.body,
                ssl=self._verification(probe),
                server_hostname=probe.server_name,
            ) as response:
                text = await response.content.read(200)
        except TimeoutError:
            return f"{what} has no answer within {TIMEOUT_SECONDS:g} s"
        except (aiohttp.ClientError, OSError) as error:
            return f"{what} fails: {error}"
        if response.status == probe.status:
            return None
        return f"{what} answers {response.status} instead of {probe.status}: {text.decode(errors='replace').strip()}"

    def _verification(self, probe: Probe) -> ssl.SSLContext | bool:
        if probe.trusts is None:
            return False
        if probe.trusts not in self._contexts:
            self._contexts[probe.trusts] = ssl.create_default_context(cafile=str(probe.trusts))
        return self._contexts[probe.trusts]
