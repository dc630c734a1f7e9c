"""Calls without a pause through a gateway, over connections old and new, and what became of them."""

from __future__ import annotations

import threading
from typing import Self

import grpc

METHOD = "/test.Kinds/Unary"
CALLS_PER_CONNECTION = 5


class Load:
    """`with Load(address) as load` calls from several threads; `failures` are the calls that did not return their body.

    Half of the threads keep their connection, half open a new one after a few calls. `move` sends connections that are
    opened from then on elsewhere, as a balancer does that takes an endpoint out.
    """

    def __init__(self, address: str, credentials: grpc.ChannelCredentials | None = None, threads: int = 6) -> None:
        self.succeeded = 0
        self.failures: list[str] = []
        self._address = address
        self._credentials = credentials
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(number % 2 == 0,)) for number in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def move(self, address: str) -> None:
        self._address = address

    def _run(self, keeps_connection: bool) -> None:
        number = 0
        while not self._stop.is_set():
            address = self._address
            with self._open(address) as channel:
                call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
                in_a_row = 0
                while not self._stop.is_set() and self._address == address:
                    number, in_a_row = number + 1, in_a_row + 1
                    self._call(call, number.to_bytes(100))
                    if not keeps_connection and in_a_row == CALLS_PER_CONNECTION:
                        break

    def _open(self, address: str) -> grpc.Channel:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        if self._credentials is None:
            return grpc.insecure_channel(address, options)
        return grpc.secure_channel(address, self._credentials, options)

    def _call(self, call: grpc.UnaryUnaryMultiCallable[bytes, bytes], body: bytes) -> None:
        try:
            answer = call(body, timeout=30)
        except grpc.RpcError as error:
            self._note(str(error))
        else:
            self._note(None if answer == body else f"{answer!r} instead of {body!r}")

    def _note(self, failure: str | None) -> None:
        with self._lock:
            if failure is None:
                self.succeeded += 1
            else:
                self.failures.append(failure)
