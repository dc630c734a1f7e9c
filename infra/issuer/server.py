"""Serves the issuer's public keys and its OpenID discovery document on loopback."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from infra.announcement import announce
from infra.issuer.keys import ALGORITHMS, DIRECTORY, jwks, load_keys

if TYPE_CHECKING:
    from pathlib import Path

    from infra.issuer.keys import SigningKey

DISCOVERY_PATH = "/.well-known/openid-configuration"
JWKS_PATH = "/.well-known/jwks.json"

_log = logging.getLogger(__name__)


class Issuer:
    """`async with Issuer(keys, "127.0.0.1", 0) as issuer` serves at `issuer.url`, which is also the tokens' `iss`."""

    def __init__(self, keys: tuple[SigningKey, ...], host: str, port: int) -> None:
        self._keys = keys
        self._host = host
        self._port = port
        application = web.Application()
        application.add_routes([web.get(DISCOVERY_PATH, self._discovery), web.get(JWKS_PATH, self._jwks)])
        self._runner = web.AppRunner(application, access_log=None)

    async def __aenter__(self) -> Self:
        """OSError: the address cannot be bound."""
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._runner.cleanup()

    @property
    def address(self) -> str:
        return f"{self._host}:{self._port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    async def _discovery(self, _: web.Request) -> web.Response:
        document: dict[str, Any] = {
            "issuer": self.url,
            "jwks_uri": self.url + JWKS_PATH,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": list(ALGORITHMS),
        }
        return web.json_response(document)

    async def _jwks(self, _: web.Request) -> web.Response:
        return web.json_response(jwks(self._keys))


async def run(directory: Path, host: str, port: int, ready_descriptor: int | None) -> None:
    """Serves the keys under `directory` until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Issuer(load_keys(directory / DIRECTORY), host, port) as issuer:
        _log.info("the issuer is %s", issuer.url)
        announce(ready_descriptor, issuer.address)
        await stop.wait()
