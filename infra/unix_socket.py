"""Questions and answers between processes of one user: a line of JSON each way over a Unix socket of mode 0600.

A socket's path has room for 107 bytes (unix(7)), and folders of worlds are often longer: the socket is reached through
its open folder below /proc/self/fd, so that only its name counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]

MAX_BYTES = 65_536
"""Of a line; a longer one ends the connection."""
MAX_CONNECTIONS = 64


@contextlib.asynccontextmanager
async def serve(path: Path, answer: Answer) -> AsyncIterator[None]:
    """Answers until the end of the block; what a killed process left at `path` is replaced. OSError.

    A ValueError of `answer`, and a line that is no JSON object, are answered with `{"error": message}`.
    """
    talks: set[asyncio.Task[None]] = set()

    # A task of our own: one that asyncio starts for the connection would complain of being cancelled.
    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(talks) >= MAX_CONNECTIONS:
            writer.close()
            return
        task = asyncio.create_task(_talk(reader, writer, answer))
        talks.add(task)
        task.add_done_callback(talks.discard)

    server = await asyncio.start_unix_server(begin, sock=_bind(path), limit=MAX_BYTES)
    try:
        yield
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        _remove(path)


async def ask(path: Path, question: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The answer to one question. OSError: nobody listens; TimeoutError; ValueError: what came is no answer."""
    async with asyncio.timeout(seconds):
        with _short(path) as name:
            reader, writer = await asyncio.open_unix_connection(name, limit=MAX_BYTES)
        try:
            writer.write(json.dumps(question).encode() + b"\n")
            return _object(await reader.readline())
        finally:
            writer.close()


def _bind(path: Path) -> socket.socket:
    _remove(path)
    listener = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        with _short(path) as name:
            listener.bind(name)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(mask)
    return listener


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> None:
    try:
        # ValueError here: a line that is too long.
        with contextlib.suppress(ConnectionError, ValueError):
            while line := await reader.readline():
                writer.write(json.dumps(await _answered(line, answer)).encode() + b"\n")
                await writer.drain()
    finally:
        writer.close()


async def _answered(line: bytes, answer: Answer) -> dict[str, Any]:
    try:
        return await answer(_object(line))
    except ValueError as error:
        return {"error": str(error)}


def _object(line: bytes) -> dict[str, Any]:
    document = json.loads(line)
    if not isinstance(document, dict):
        raise ValueError("a line must be a JSON object")
    return document


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
