"""Backends that die, and one that never does what a backend should."""

from __future__ import annotations

import contextlib
import random
import socket
import subprocess
import sys
import threading
from typing import Self

from tests.soak.frames import (
    DATA,
    END_HEADERS,
    GOAWAY,
    HEADERS,
    RST_STREAM,
    SETTINGS,
    Frames,
    frame,
    header,
    reset_socket,
)
from tests.support.ports import free_port
from tests.support.processes import ROOT


class BackendProcess:
    """`with BackendProcess() as backend`: serves at `backend.address`, until SIGKILL; then again on its port."""

    def __init__(self) -> None:
        self._port = free_port()
        self.address = f"127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._kill()

    def restart(self) -> None:
        self._kill()
        self._start()

    def _start(self) -> None:
        command = [sys.executable, "-m", "tests.soak.backend_process", str(self._port)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", "a backend does not start"

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


class FaultyBackend:
    """`with FaultyBackend(seed) as backend`: each connection to `backend.address` meets another fault."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._accept)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._listener.settimeout(0.1)
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        threads: list[threading.Thread] = []
        while not self._stopping.is_set():
            try:
                accepted, _ = self._listener.accept()
            except TimeoutError:
                continue
            serve = threading.Thread(target=self._serve, args=(accepted, self._random.randrange(2**32)))
            serve.start()
            threads.append(serve)
        for thread in threads:
            thread.join()

    def _serve(self, accepted: socket.socket, seed: int) -> None:
        choose = random.Random(seed)
        faults = (self._close, self._babble, self._hang, self._go_away, self._reset_streams, self._break_off)
        with accepted, contextlib.suppress(OSError):
            accepted.settimeout(1.0)
            choose.choice(faults)(accepted, choose)

    def _close(self, accepted: socket.socket, choose: random.Random) -> None:
        if choose.random() < 0.5:
            reset_socket(accepted)

    def _babble(self, accepted: socket.socket, choose: random.Random) -> None:
        accepted.sendall(choose.choice((b"", frame(SETTINGS, 0, 0))) + choose.randbytes(200))
        accepted.recv(4096)

    def _hang(self, accepted: socket.socket, choose: random.Random) -> None:
        if choose.random() < 0.5:
            accepted.sendall(frame(SETTINGS, 0, 0))
        self._stopping.wait(choose.uniform(0.5, 3.0))

    def _go_away(self, accepted: socket.socket, choose: random.Random) -> None:
        accepted.sendall(frame(SETTINGS, 0, 0))
        accepted.recv(4096)
        last = choose.choice((0, 1, 0x7FFFFFFF))
        accepted.sendall(frame(GOAWAY, 0, 0, last.to_bytes(4) + bytes(4)))
        accepted.recv(4096)

    def _reset_streams(self, accepted: socket.socket, choose: random.Random) -> None:
        accepted.sendall(frame(SETTINGS, 0, 0))
        for kind, stream, _ in Frames(accepted):
            if kind == HEADERS:
                if choose.random() < 0.5:
                    accepted.sendall(frame(HEADERS, END_HEADERS, stream, b"\x88"))
                accepted.sendall(frame(RST_STREAM, 0, stream, choose.choice((2, 7, 8, 11)).to_bytes(4)))

    def _break_off(self, accepted: socket.socket, choose: random.Random) -> None:
        accepted.sendall(frame(SETTINGS, 0, 0))
        for kind, stream, _ in Frames(accepted):
            if kind == HEADERS:
                block = b"\x88" + header("content-type", "application/grpc")
                accepted.sendall(frame(HEADERS, END_HEADERS, stream, block) + frame(DATA, 0, stream, bytes(5000)))
                if choose.random() < 0.5:
                    reset_socket(accepted)
                return
