"""What kube-proxy does with a Service's address: it chooses a pod at random for each connection, and then moves bytes.

kube-proxy has the kernel do it, without a process in the way, so only where connections go is like it, not what they
cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

SEED = 1


class Relay:
    """Listens at `address`; `pods` may be replaced from any thread."""

    def __init__(self, pods: list[str]) -> None:
        self.pods = pods
        self.address = ""
        self._random = random.Random(SEED)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self._random.choice(self.pods).rpartition(":")
        try:
            there, far = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.transport.abort()
            return
        for source, sink in ((reader, far), (there, writer)):
            task = asyncio.create_task(_move(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


async def _move(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
    finally:
        sink.close()


@contextmanager
def relay(pods: list[str]) -> Iterator[Relay]:
    """One that runs on a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    made = Relay(pods)
    try:
        asyncio.run_coroutine_threadsafe(made.start(), loop).result()
        yield made
        asyncio.run_coroutine_threadsafe(made.stop(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
