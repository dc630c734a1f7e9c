"""Starts children, tells when one ends on its own, and ends them all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from infra import announcement
from infra.world.children import ChildError, describe_exit, environment, failure

if TYPE_CHECKING:
    from infra.world.children import Child

GUARD = Path(__file__).with_name("guard.py")
STOP_SECONDS = 5.0
"""After SIGTERM; then SIGKILL."""
MAX_REPORT = 65_536
"""Bytes of one line that a child reports."""


@dataclass(frozen=True, slots=True)
class Running:
    """A child that was started. `address` is what it announced, `reports` what it goes on writing."""

    child: Child
    process: Process
    ended: asyncio.Task[int]
    log: Path
    address: str = ""
    reports: asyncio.StreamReader | None = None

    def failure(self) -> ChildError:
        """What to say of one that has ended and that nobody told to."""
        how = describe_exit(self.ended.result())
        return failure(self.child.name, f"ended on its own ({how})", self.log)


class ProcessGroup:
    """`async with ProcessGroup(logs) as group`: no process is left behind it, nor after this process was killed."""

    def __init__(self, logs: Path, start_seconds: float) -> None:
        """`logs`: the folder that gets `NAME.log` for each child. `start_seconds`: for a child to announce itself."""
        self._logs = logs
        self._start_seconds = start_seconds
        self._running: list[Running] = []
        self._guard: Process | None = None

    async def __aenter__(self) -> Self:
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = (sys.executable, "-I", "-S", str(GUARD))
        self._guard = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, process_group=0
        )
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await asyncio.shield(self._end())

    async def start(self, child: Child) -> Running:
        """Starts a child and, where it announces itself, waits for that. ChildError: it has ended, or was not in time
        and is ended, so that its address is free for the next."""
        option = "--ready-fd" if child.announces else "--report-fd"
        if not child.announces and not child.reports:
            return await self._spawn(child, child.command, ())
        reader, writer = os.pipe()
        try:
            running = await self._spawn(child, (*child.command, option, str(writer)), (writer,))
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        try:
            return await (self._announced(running, reader) if child.announces else self._reporting(running, reader))
        except BaseException:
            _send(running, signal.SIGKILL)
            raise

    async def first_end(self) -> ChildError:
        """Waits until the first vital process ends, of those that there are now."""
        guard = asyncio.create_task(self._leader.wait())
        ends = {running.ended: running for running in self._running if running.child.vital}
        try:
            done, _ = await asyncio.wait({guard, *ends}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            guard.cancel()
        for end in done & ends.keys():
            return ends[end].failure()
        return ChildError("the guard process, which ends all others should `tidegate up` be killed, is gone")

    async def stop(self, *children: Running) -> None:
        """SIGTERM to all of them together; SIGKILL to those that are still there after STOP_SECONDS."""
        for running in children:
            _send(running, signal.SIGTERM)
        await self._wait(children, STOP_SECONDS)
        for running in children:
            _send(running, signal.SIGKILL)
        await self._wait(children, None)
        self._running = [running for running in self._running if running not in children]

    def kill(self) -> None:
        """SIGKILL to every process at once."""
        if self._guard is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._guard.pid, signal.SIGKILL)

    @property
    def _leader(self) -> Process:
        if self._guard is None:
            raise RuntimeError("the process group has not been entered")
        return self._guard

    async def _spawn(self, child: Child, command: tuple[str, ...], descriptors: tuple[int, ...]) -> Running:
        log = self._logs / f"{child.name}.log"
        try:
            with log.open("wb") as output:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=DEVNULL,
                    stdout=output,
                    stderr=STDOUT,
                    env=environment(),
                    pass_fds=descriptors,
                    process_group=self._leader.pid,
                )
        except OSError as error:
            raise ChildError(f"{child.name} cannot be started: {error}") from None
        running = Running(child, process, asyncio.create_task(process.wait()), log)
        self._running.append(running)
        return running

    async def _announced(self, running: Running, descriptor: int) -> Running:
        name = running.child.name
        stream, transport = await _read_pipe(descriptor, announcement.MAX_BYTES)
        try:
            async with asyncio.timeout(self._start_seconds):
                line = await stream.readline()
                if not line:
                    code = await running.ended
                    raise failure(name, f"ended before it was ready ({describe_exit(code)})", running.log)
            address = announcement.decode(line)
        except TimeoutError:
            raise failure(name, f"was not ready after {self._start_seconds:g} s", running.log) from None
        except ValueError as error:
            raise failure(name, f"announced no address ({error})", running.log) from None
        finally:
            transport.close()
        return self._replace(running, replace(running, address=address))

    async def _reporting(self, running: Running, descriptor: int) -> Running:
        stream, _ = await _read_pipe(descriptor, MAX_REPORT)
        return self._replace(running, replace(running, reports=stream))

    def _replace(self, old: Running, new: Running) -> Running:
        self._running[self._running.index(old)] = new
        return new

    async def _wait(self, children: tuple[Running, ...], seconds: float | None) -> None:
        if children:
            await asyncio.wait({running.ended for running in children}, timeout=seconds)

    async def _end(self) -> None:
        await self.stop(*self._running)
        self.kill()
        await self._leader.wait()


async def _read_pipe(descriptor: int, limit: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    """Takes the descriptor; the transport closes by itself at the end of file."""
    stream = asyncio.StreamReader(limit=limit)
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), pipe
    )
    return stream, transport


def _send(running: Running, number: signal.Signals) -> None:
    # Not by Process.send_signal, which looks whether the process has ended, and takes that from the event loop.
    if running.process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.process.pid, number)
