"""Lists and watches over HTTP: one request each, without patience. `follow` decides when to ask again."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from gateway.discover.kubernetes.access import Access, NoAccess
from gateway.discover.kubernetes.answer import events, origin, read_body, read_json, refusal
from gateway.discover.kubernetes.api import ApiError, Collection, Event, Listed
from gateway.discover.kubernetes.objects import version_of
from gateway.keys.location import is_protected

if TYPE_CHECKING:
    import aiohttp

ANSWER_TIME_OUT = 10.0
WATCH_SECONDS = (240, 480)
"""The server ends a watch after so long, as `timeoutSeconds` says; the spread keeps gateways from coming in step."""
WATCH_SURPLUS = 30.0
"""A watch that is older by so much than it should be is ended by us."""
SILENCE = 20
"""Seconds without an acknowledgement after which a connection is given up: a watch may be silent for minutes."""


class HttpApi:
    """For one request at a time. Credentials are looked for at the first, and again after one that failed."""

    def __init__(self, find: Callable[[], Access]) -> None:
        self._find = find
        self._opened: tuple[Access, aiohttp.ClientSession] | None = None

    async def list(self, collection: Collection) -> Listed:
        async with self._get(collection, "list", {}) as answer:
            document = read_json(await read_body(answer, ANSWER_TIME_OUT), origin(answer))
            items, version = document.get("items") or [], version_of(document)
            if not isinstance(items, list) or not version:
                raise ApiError(f"{origin(answer)} did not answer with a list of {collection.resource}.")
            return Listed(tuple(item for item in items if isinstance(item, dict)), version)

    @asynccontextmanager
    async def watch(self, collection: Collection, version: str) -> AsyncIterator[AsyncIterator[Event]]:
        seconds = random.randint(*WATCH_SECONDS)  # noqa: S311
        parameters = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        async with self._get(collection, "watch", parameters) as answer:
            yield events(answer, seconds + WATCH_SURPLUS)

    async def aclose(self) -> None:
        if self._opened is not None:
            _, session = self._opened
            self._opened = None
            await session.close()

    @asynccontextmanager
    async def _get(
        self, collection: Collection, verb: str, parameters: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        import aiohttp

        access, session = await self._open()
        url = access.server + collection.path(collection.namespace or access.namespace)
        try:
            async with asyncio.timeout(ANSWER_TIME_OUT):
                answer = await session.get(
                    url,
                    params={**parameters, collection.selector[0]: collection.selector[1]},
                    headers=await _headers(access),
                    server_hostname=access.server_name,
                    allow_redirects=False,
                )
        except TimeoutError:
            await self.aclose()
            raise ApiError(f"{access.server} did not answer within {ANSWER_TIME_OUT:g} s.") from None
        except (aiohttp.ClientError, OSError) as error:
            await self.aclose()
            raise ApiError(f"{access.server} cannot be reached: {str(error) or type(error).__name__}.") from None
        try:
            if answer.status != 200:
                raise await refusal(answer, collection, verb, collection.namespace or access.namespace)
            yield answer
        except ApiError:
            if answer.status == 401:
                await self.aclose()
            raise
        finally:
            answer.close()

    async def _open(self) -> tuple[Access, aiohttp.ClientSession]:
        if self._opened is None:
            try:
                access = await asyncio.to_thread(self._find)
                context = await asyncio.to_thread(access.tls) if access.server.startswith("https:") else None
            except NoAccess as error:
                raise ApiError(str(error)) from None
            except OSError as error:
                raise ApiError(f"The credentials cannot be read: {error}.") from None
            self._opened = access, _session(context)
        return self._opened


def _session(context: object) -> aiohttp.ClientSession:
    import aiohttp

    connector = aiohttp.TCPConnector(ssl=context or True, socket_factory=_socket)  # type: ignore[arg-type]
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
    )


def _socket(address: Any) -> socket.socket:
    """A socket that notices a peer whose packets vanish."""
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    opened.setblocking(False)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENCE // 2)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, SILENCE // 4)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE * 1000)
    return opened


async def _headers(access: Access) -> dict[str, str]:
    headers = {"Accept": "application/json", "User-Agent": "tidegate"}
    try:
        token = await asyncio.to_thread(access.bearer)
    except NoAccess as error:
        raise ApiError(str(error)) from None
    if token is not None:
        if not is_protected(access.server):
            raise ApiError(f"{access.server} is not https, so it is not sent a token.")
        headers["Authorization"] = f"Bearer {token}"
    return headers
