"""A gRPC server as a process of its own, with our HealthServer: `python -m tests.support.app ADDRESS`.

It prints its address. SIGUSR1 makes it NOT_SERVING, SIGUSR2 SERVING.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any, Self

import grpc

from healthcheck.server import HealthServer
from tests.support.processes import Program
from tests.support.waiting import wait_for

METHOD = "/test.App/Echo"


class App:
    """`with App(folder) as app` runs one; `address` stays the same over `restart`."""

    def __init__(self, folder: Path, address: str = "127.0.0.1:0") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._program = self._start(address)
        self.address = self._said(1)[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._program.__exit__(*exc_info)

    def send(self, number: signal.Signals) -> None:
        self._program.send(number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self._program.finish()

    def restart(self) -> None:
        """After `kill`."""
        self._program = self._start(self.address)
        self._said(1)

    def _start(self, address: str) -> Program:
        return Program([sys.executable, "-m", "tests.support.app", address], self._folder)

    def _said(self, lines: int) -> list[str]:
        def enough() -> list[str]:
            said = self._program.stdout.splitlines()
            assert self._program.process.poll() is None or len(said) >= lines, self._program.stderr
            return said if len(said) >= lines and self._program.stdout.endswith("\n") else []

        return wait_for("the app", enough)


async def main(address: str) -> None:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])

    async def echo(request: bytes, context: Any) -> bytes:
        return request

    handlers: dict[str, Any] = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.App", handlers),))
    health = await HealthServer.attach(server)
    port = server.add_insecure_port(address)
    await server.start()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, health.set, "", False)
    loop.add_signal_handler(signal.SIGUSR2, health.set, "", True)
    sys.stdout.write(f"{address.rpartition(':')[0]}:{port}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
