"""An HTTP/2 backend that takes whatever comes, keeps it as it came, and answers as the path asks."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

import h2.config
import h2.connection
import h2.events
import h2.exceptions

BODY = b"recorded"


@dataclass(slots=True)
class Recorded:
    """A request as it arrived. `ended` is set with its END_STREAM."""

    headers: list[tuple[str, str]]
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    ended: bool = False
    reset: int | None = None

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def path(self) -> str:
        return self.get(":path") or ""


class Recorder:
    """`with Recorder() as backend`: `backend.requests` is what arrived, oldest first.

    Every whole request is answered 200 with `BODY`; `/bytes/N` with N bytes, `/never` not at all.
    """

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self.connections = 0
        self.faults: list[str] = []
        """What the library refused: the gateway said something that HTTP/2 does not allow."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._sockets: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        for open_socket in (self._listener, *self._sockets):
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
            open_socket.close()
        self._thread.join()

    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._sockets.append(connection)
            threading.Thread(target=_Conversation(self, connection).run, daemon=True).start()


class _Conversation:
    def __init__(self, recorder: Recorder, connection: socket.socket) -> None:
        self._recorder = recorder
        self._socket = connection
        config = h2.config.H2Configuration(
            client_side=False,
            header_encoding="latin-1",
            validate_inbound_headers=False,
            normalize_inbound_headers=False,
        )
        self._http2 = h2.connection.H2Connection(config)
        self._requests: dict[int, Recorded] = {}
        self._unsent: dict[int, bytes] = {}

    def run(self) -> None:
        try:
            self._http2.initiate_connection()
            while True:
                self._socket.sendall(self._http2.data_to_send())
                received = self._socket.recv(1 << 16)
                if not received:
                    return
                for event in self._http2.receive_data(received):
                    self._handle(event)
                self._send_bodies()
        except h2.exceptions.ProtocolError as error:
            self._recorder.faults.append(repr(error))
            self._socket.close()
        except OSError:
            pass

    def _handle(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            recorded = Recorded([(str(name), str(value)) for name, value in event.headers])
            self._requests[event.stream_id] = recorded
            self._recorder.requests.append(recorded)
        elif isinstance(event, h2.events.DataReceived):
            self._requests[event.stream_id].body += event.data
            self._http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            self._requests[event.stream_id].trailers = [(str(name), str(value)) for name, value in event.headers]
        elif isinstance(event, h2.events.StreamEnded):
            self._answer(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self._requests[event.stream_id].reset = int(event.error_code)
            self._unsent.pop(event.stream_id, None)

    def _answer(self, stream: int) -> None:
        recorded = self._requests[stream]
        recorded.ended = True
        path = recorded.path.partition("?")[0]
        if path == "/never":
            return
        size = path.removeprefix("/bytes/")
        self._http2.send_headers(stream, [(":status", "200"), ("content-type", "text/plain")])
        self._unsent[stream] = bytes(int(size)) if size.isdecimal() else BODY

    def _send_bodies(self) -> None:
        for stream in list(self._unsent):
            while (room := min(self._http2.local_flow_control_window(stream), 16_384)) > 0:
                left = self._unsent[stream]
                self._unsent[stream] = left[room:]
                self._http2.send_data(stream, left[:room], end_stream=room >= len(left))
                if room >= len(left):
                    del self._unsent[stream]
                    break
