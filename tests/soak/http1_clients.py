"""HTTP/1.1 clients: transcoded calls over kept connections, and some that break off."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
import threading

from tests.soak.frames import reset_socket
from tests.soak.snapshot import ECHO_PATH, HEALTH_PATH
from tests.soak.tally import Tally

WHO = "http/1.1"
PATIENCE_SECONDS = 30.0
"""Far beyond the deadline of a transcoded call."""


class Http1Client:
    def __init__(self, address: tuple[str, int], seed: int, tally: Tally, stop: threading.Event) -> None:
        self._address = address
        self._random = random.Random(seed)
        self._tally = tally
        self._stop = stop

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                if self._random.random() < 0.3:
                    self._break_off()
                elif self._random.random() < 0.2:
                    self._pipeline()
                else:
                    self._converse()
            except TimeoutError:
                self._tally.fault(WHO, f"nothing came for {PATIENCE_SECONDS:g} s")
            except (OSError, http.client.HTTPException) as error:
                self._tally.count(WHO, type(error).__name__)
            self._stop.wait(self._random.uniform(0, 0.02))

    def _converse(self) -> None:
        connection = http.client.HTTPConnection(*self._address, timeout=PATIENCE_SECONDS)
        with contextlib.closing(connection):
            for _ in range(self._random.randint(1, 20)):
                if self._stop.is_set():
                    return
                text = "x" * self._random.choice((0, 10, 2_000, 100_000))
                body = json.dumps({"content": text}).encode()
                kind = self._random.randrange(4)
                if kind == 0:
                    connection.request("GET", HEALTH_PATH)
                    expected: object = {"status": "SERVING"}
                elif kind == 1:
                    text = text[:50] or "a"
                    connection.request("GET", f"{ECHO_PATH}/{text}")
                    expected = {"content": text}
                else:
                    pieces = [body[at : at + 10_000] for at in range(0, len(body), 10_000)]
                    chunked = {"encode_chunked": True} if kind == 3 else {}
                    headers = {"transfer-encoding": "chunked"} if chunked else {}
                    connection.request("POST", ECHO_PATH, iter(pieces) if chunked else body, headers, **chunked)
                    expected = {"content": text} if text else {}
                response = connection.getresponse()
                answer = response.read()
                if response.status == 200:
                    self._tally.check(WHO, expected, json.loads(answer))
                else:
                    self._tally.count(WHO, str(response.status))

    def _pipeline(self) -> None:
        """Several requests at once, the last of which says that it is."""
        count = self._random.randint(2, 8)
        with socket.create_connection(self._address, PATIENCE_SECONDS) as client:
            for number in range(count):
                close = "Connection: close\r\n" if number + 1 == count else ""
                client.sendall(f"GET {ECHO_PATH}/{number} HTTP/1.1\r\nHost: soak.test\r\n{close}\r\n".encode())
            received = b""
            while piece := client.recv(65536):
                received += piece
        found = received.count(b"HTTP/1.1 ")
        self._tally.count("http/1.1 pipelined", "all answered" if found == count else "ended early")

    def _break_off(self) -> None:
        """Leaves in the middle of a head, of a body or of the answer."""
        client = socket.create_connection(self._address, PATIENCE_SECONDS)
        with client:
            head = f"POST {ECHO_PATH} HTTP/1.1\r\nHost: soak.test\r\nContent-Length: 100000\r\n\r\n".encode()
            whole = head + b'{"content":"' + b"x" * 99_986 + b'"}'
            client.sendall(whole[: self._random.choice((0, 20, len(head), 5_000, len(whole)))])
            if self._random.random() < 0.5:
                reset_socket(client)
        self._tally.count("http/1.1 broken off", "done")
