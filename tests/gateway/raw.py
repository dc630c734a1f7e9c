"""Peers that speak HTTP/2 frame by frame (hyper-h2) or HTTP/1.1 byte by byte, to do what well-made libraries do not."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings

Event = TypeVar("Event", bound=h2.events.Event)
Fields = Iterable[tuple[str, str]]

SECONDS = 15.0
GRPC_REQUEST = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/test.Gate/Unary"),
    (":authority", "gate.test"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
]
GRPC_HEAD = [(":status", "200"), ("content-type", "application/grpc")]
GRPC_END = [("grpc-status", "0")]


def message(body: bytes = b"") -> bytes:
    """One gRPC message, not compressed."""
    return b"\0" + len(body).to_bytes(4) + body


def pairs(event: Any) -> dict[str, str]:
    """The fields of an event; of several with one name the last."""
    return dict(event.headers or ())


def head_of(request: h2.events.RequestReceived) -> dict[str, str]:
    return pairs(request)


class Closed(Exception):
    """The peer closed the connection."""


class Peer:
    """One end of an HTTP/2 connection. `next` hands out events of one kind; others that came before it are kept."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, client: bool, credit: bool = True
    ) -> None:
        """`credit`: windows are opened again as data arrives."""
        self.reader, self.writer = reader, writer
        self.h2: Any = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=client, header_encoding="utf-8", validate_inbound_headers=False)
        )
        self.credit = credit
        self.kept: list[h2.events.Event] = []

    async def start(self, settings: Mapping[Any, int] | None = None) -> Self:
        if settings:
            values: Any = {**self.h2.local_settings, **settings}
            self.h2.local_settings = h2.settings.Settings(client=self.h2.config.client_side, initial_values=values)
        self.h2.initiate_connection()
        await self.flush()
        return self

    async def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())
        await self.writer.drain()

    async def next(self, kind: type[Event], stream: int | None = None) -> Event:
        """The next event of a kind; `Closed` when the peer ends the connection first."""
        while True:
            for event in self.kept:
                if isinstance(event, kind) and stream in (None, getattr(event, "stream_id", None)):
                    self.kept.remove(event)
                    return event
            await self._receive()

    async def _receive(self) -> None:
        async with asyncio.timeout(SECONDS):
            data = await self.reader.read(1 << 16)
        if not data:
            raise Closed
        for event in self.h2.receive_data(data):
            if self.credit and isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.kept.append(event)
        await self.flush()

    async def closed(self) -> None:
        """Waits until the peer ends the connection."""
        with contextlib.suppress(Closed, ConnectionError):
            while True:
                await self._receive()

    async def send(self, stream: int, head: Fields = (), body: bytes = b"", *, end: bool = False) -> None:
        """Headers and data as far as they are given; the body must fit the window."""
        head = list(head)
        if head:
            self.h2.send_headers(stream, head, end_stream=end and not body)
        size = self.h2.max_outbound_frame_size
        for at in range(0, len(body), size):
            self.h2.send_data(stream, body[at : at + size], end_stream=end and at + size >= len(body))
        if end and not head and not body:
            self.h2.end_stream(stream)
        await self.flush()

    async def reset(self, stream: int, code: h2.errors.ErrorCodes) -> None:
        self.h2.reset_stream(stream, code)
        await self.flush()

    async def answer(self, stream: int, body: bytes = b"") -> None:
        """A gRPC response of one message."""
        await self.send(stream, GRPC_HEAD, message(body))
        await self.send(stream, GRPC_END, end=True)

    async def request(self, body: bytes = b"", fields: Fields = (), *, end: bool = True, **pseudo: str) -> int:
        """Opens a stream with a gRPC request of one message; `path` and other pseudo fields may be replaced."""
        stream: int = self.h2.get_next_available_stream_id()
        replaced = {f":{name}": value for name, value in pseudo.items()}
        head = [(name, replaced.get(name, value)) for name, value in GRPC_REQUEST]
        await self.send(stream, [*head, *fields], message(body), end=end)
        return stream

    async def fields(self, stream: int) -> dict[str, str]:
        """The head of a response."""
        event = await self.next(h2.events.ResponseReceived, stream)
        return pairs(event)

    async def trailers(self, stream: int) -> dict[str, str]:
        event = await self.next(h2.events.TrailersReceived, stream)
        return pairs(event)

    def close(self) -> None:
        self.writer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()


async def connect(
    place: tuple[str, int],
    tls: ssl.SSLContext | None = None,
    settings: Mapping[Any, int] | None = None,
    *,
    credit: bool = True,
    **options: Any,
) -> Peer:
    """A client's connection, its preface sent."""
    reader, writer = await asyncio.open_connection(*place, ssl=tls, **options)
    return await Peer(reader, writer, client=True, credit=credit).start(settings)


Script = Callable[[Peer], Awaitable[None]]


class RawBackend:
    """`async with RawBackend(script)`: the script runs for each connection, which ends with it."""

    def __init__(self, script: Script, settings: Mapping[Any, int] | None = None, *, credit: bool = True) -> None:
        self._script, self._settings, self._credit = script, settings, credit
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.errors: list[BaseException] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if kind is None and self.errors:
            raise self.errors[0]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            peer = await Peer(reader, writer, client=False, credit=self._credit).start(self._settings)
            await self._script(peer)
        except (Closed, ConnectionError, asyncio.CancelledError):
            pass
        except Exception as error:  # noqa: BLE001 - it is raised at the end of the block
            traceback.print_exception(error)
            self.errors.append(error)
        finally:
            self._tasks.discard(task)
            writer.close()


async def requests(peer: Peer) -> h2.events.RequestReceived:
    """The next request at a backend."""
    return await peer.next(h2.events.RequestReceived)


async def serve_all(peer: Peer) -> None:
    """Answers every request at its end with an empty message, until the peer goes."""
    while True:
        event = await peer.next(h2.events.StreamEnded)
        await peer.answer(event.stream_id)


@dataclass(frozen=True, slots=True)
class Response:
    """`fields` hold each name once, lower case."""

    version: str
    status: int
    fields: dict[str, str]
    body: bytes
    trailers: dict[str, str]


class Http1:
    """A client of HTTP/1.1 that sends the bytes it is given and reads responses strictly."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.writer.close()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def get(self, path: str = "/", *fields: str, method: str = "GET", body: bytes | None = None) -> Response:
        """`fields` are whole lines."""
        length = () if body is None else (f"content-length: {len(body)}",)
        lines = [f"{method} {path} HTTP/1.1", "host: gate.test", *fields, *length, "", ""]
        await self.send("\r\n".join(lines).encode() + (body or b""))
        return await self.response(head_only=method == "HEAD")

    async def response(self, *, head_only: bool = False) -> Response:
        async with asyncio.timeout(SECONDS):
            return await self._response(head_only)

    async def _response(self, head_only: bool) -> Response:
        version, status, _ = (await self._line()).split(" ", 2)
        fields = await self._fields()
        body, trailers = b"", dict[str, str]()
        if head_only or int(status) in (204, 304) or int(status) < 200:
            pass
        elif fields.get("transfer-encoding") == "chunked":
            while size := int(await self._line(), 16):
                body += await self.reader.readexactly(size)
                assert await self.reader.readexactly(2) == b"\r\n"
            trailers = await self._fields()
        elif "content-length" in fields:
            body = await self.reader.readexactly(int(fields["content-length"]))
        else:
            body = await self.reader.read()
        return Response(version, int(status), fields, body, trailers)

    async def _line(self) -> str:
        line = await self.reader.readuntil(b"\r\n")
        return line[:-2].decode()

    async def _fields(self) -> dict[str, str]:
        fields = dict[str, str]()
        while line := await self._line():
            name, _, value = line.partition(":")
            fields[name.lower()] = value.strip()
        return fields

    async def closed(self) -> bytes:
        """What comes until the peer ends the connection."""
        async with asyncio.timeout(SECONDS):
            return await self.reader.read()


async def http1(place: tuple[str, int] | str, tls: ssl.SSLContext | None = None, **options: Any) -> Http1:
    """`place` is host and port, or the path of a Unix socket."""
    if isinstance(place, str):
        return Http1(*await asyncio.open_unix_connection(place))
    return Http1(*await asyncio.open_connection(*place, ssl=tls, **options))
