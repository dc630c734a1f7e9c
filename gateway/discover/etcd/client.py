"""etcd's v3 API over its JSON gateway (etcd's documentation, "gRPC gateway"): what discovery and registration need.

Keys and values are base64 there, 64-bit numbers are text, and a member that is zero is absent.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.discover.etcd.access import Access
from gateway.discover.registry.http import (
    LARGEST_ANSWER,
    TIME_OUT,
    Client,
    describe,
    read_bounded,
    transport_errors,
)

if TYPE_CHECKING:
    import aiohttp

UNAUTHENTICATED = 16
UNAVAILABLE = 14
"""gRPC's status codes, which the gateway passes on."""
LOST_TOKEN = ("invalid auth token", "user name is empty", "revision of auth store is old")
"""Parts of what etcd says of a token that was good before: it expired, or the member was started again."""


class EtcdError(Exception):
    """Says where etcd was asked, and why there is no answer. Holds no password."""


class WatchEndedError(EtcdError):
    """A watch that ran has ended: the connection broke, or the revisions that it needs were compacted."""


@dataclass(frozen=True, slots=True)
class KeyValue:
    key: bytes
    value: bytes
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Listing:
    """The keys of a range at `revision`. `count` counts all of them, whichever of them are listed."""

    revision: int
    count: int
    entries: tuple[KeyValue, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """`value` None: the key is deleted. `revision`: that of the change."""

    key: bytes
    value: bytes | None
    revision: int = 0


Changes = AsyncGenerator[tuple[Change, ...], None]


class Etcd(Client):
    """A client of one cluster; a member that does not answer is passed over for the next. All raise EtcdError."""

    def __init__(self, access: Access) -> None:
        super().__init__(access.endpoints, access.tls)
        self._access = access
        self._current = 0
        self._token = ""

    async def list_range(self, start: bytes, end: bytes, *, changed_since: int = 0) -> Listing:
        """Linearizable: a member that has lost its cluster does not answer from memory.

        `changed_since`, a revision: of the keys that were written then or later one is listed, without its value.
        """
        query: dict[str, Any] = {"key": _text(start), "range_end": _text(end)}
        if changed_since:
            query |= {"min_mod_revision": str(changed_since), "keys_only": True, "limit": "1"}
        answer = await self.call("kv/range", query)
        try:
            entries = tuple(_key_value(one) for one in answer.get("kvs", ()))
            return Listing(int(answer["header"]["revision"]), int(answer.get("count", 0)), entries)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise EtcdError(f"etcd at {self._url} answers what cannot be read.") from None

    async def watch(self, start: bytes, end: bytes, revision: int, quiet: float) -> Changes:
        """Changes from `revision` on, as they come; an empty tuple after each `quiet` seconds without any.

        Ends with an error only; WatchEndedError where the watch had begun.
        """
        query = {"create_request": {"key": _text(start), "range_end": _text(end), "start_revision": str(revision)}}
        async with self._open("watch", query, endless=True) as answer:
            lines = _Lines()
            while True:
                try:
                    async with asyncio.timeout(quiet):
                        chunk = await answer.content.readany()
                except TimeoutError:
                    yield ()
                    continue
                except transport_errors() as error:
                    raise WatchEndedError(f"etcd at {self._url} broke off a watch: {describe(error)}.") from None
                if not chunk:
                    raise WatchEndedError(f"etcd at {self._url} ended a watch.")
                if changes := tuple(change for line in lines.feed(chunk) for change in self._changes(line)):
                    yield changes

    async def call(self, method: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """One request, to each member in turn until one answers."""
        failures: list[str] = []
        for _ in self._access.endpoints:
            try:
                async with self._open(method, message) as answer:
                    return _object(await read_bounded(answer.content))
            except _Unreachable as error:
                failures.append(str(error))
                self._current = (self._current + 1) % len(self._access.endpoints)
            except transport_errors() as error:
                raise EtcdError(f"etcd at {self._url} broke off an answer: {describe(error)}.") from None
        raise EtcdError(" ".join(failures))

    @property
    def _url(self) -> str:
        return self._access.endpoints[self._current]

    @asynccontextmanager
    async def _open(
        self, method: str, message: Mapping[str, Any], *, endless: bool = False
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is no error; authenticates first where a user is given, and again once the token is lost."""
        if self._access.user and not self._token:
            await self._authenticate()
        answer = await self._post(method, message, endless)
        try:
            if answer.status != 200:
                error = await self._error(answer)
                if not (self._access.user and any(words in str(error) for words in LOST_TOKEN)):
                    raise error
                answer.close()
                await self._authenticate()
                answer = await self._post(method, message, endless)
                if answer.status != 200:
                    raise await self._error(answer)
            yield answer
        finally:
            answer.close()

    async def _post(self, method: str, message: Mapping[str, Any], endless: bool) -> aiohttp.ClientResponse:
        import aiohttp

        # A member without a leader ends a watch instead of keeping silent (etcd's WithRequireLeader).
        headers = {"Grpc-Metadata-hasleader": "true"}
        if self._token and method != "auth/authenticate":
            headers["Authorization"] = self._token
        limits = aiohttp.ClientTimeout(total=None if endless else TIME_OUT, connect=TIME_OUT)
        try:
            async with asyncio.timeout(TIME_OUT):
                return await self.session().post(
                    f"{self._url}/v3/{method}", json=message, headers=headers, timeout=limits, allow_redirects=False
                )
        except transport_errors() as error:
            raise _Unreachable(f"etcd at {self._url} cannot be reached: {describe(error)}.") from None

    async def _authenticate(self) -> None:
        self._token = ""
        answer = await self._post(
            "auth/authenticate", {"name": self._access.user, "password": self._access.password}, endless=False
        )
        try:
            if answer.status != 200:
                raise await self._error(answer)
            self._token = str(_object(await read_bounded(answer.content)).get("token", ""))
        except transport_errors() as error:
            raise EtcdError(f"etcd at {self._url} broke off an answer: {describe(error)}.") from None
        finally:
            answer.close()

    async def _error(self, answer: aiohttp.ClientResponse) -> EtcdError:
        try:
            async with asyncio.timeout(TIME_OUT):
                body = _object(await read_bounded(answer.content))
        except transport_errors():
            body = {}
        said = str(body.get("message") or body.get("error") or f"HTTP status {answer.status}")[:200]
        kind = _Unreachable if body.get("code") == UNAVAILABLE or not body else EtcdError
        return kind(f"etcd at {self._url} says: {said}.")

    def _changes(self, line: bytes) -> list[Change]:
        try:
            message = _object(line)
            if "error" in message:
                raise WatchEndedError(f"etcd at {self._url} ended a watch: {str(message['error'])[:200]}.")
            result = message.get("result", {})
            if result.get("canceled"):
                why = result.get("cancel_reason") or (
                    f"revisions before {result['compact_revision']} are compacted"
                    if result.get("compact_revision")
                    else "no reason given"
                )
                raise WatchEndedError(f"etcd at {self._url} ended a watch: {str(why)[:200]}.")
            return [_change(event) for event in result.get("events", ())]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise WatchEndedError(f"etcd at {self._url} answers what cannot be read.") from None


class _Unreachable(EtcdError):
    """Another member may answer."""


class _Lines:
    """Cuts a stream into lines."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that are complete now. WatchEndedError: one is longer than any honest one."""
        self._rest += chunk
        if b"\n" not in chunk:
            if len(self._rest) > LARGEST_ANSWER:
                raise WatchEndedError("etcd sent a line without an end.")
            return []
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        return [line for line in lines if line.strip()]


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return b64decode(text, validate=True)


def _key_value(found: Mapping[str, Any]) -> KeyValue:
    return KeyValue(_bytes(found["key"]), _bytes(found.get("value", "")), int(found.get("lease", 0)))


def _change(event: Mapping[str, Any]) -> Change:
    found, revision = _key_value(event["kv"]), int(event["kv"].get("mod_revision", 0))
    return Change(found.key, None if event.get("type") == "DELETE" else found.value, revision)
