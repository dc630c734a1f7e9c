"""Load on a world: a generator as a process of its own, and the latest of what it reports each second."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.world.children import Child, failure, python_module
from infra.world.layout import API_HOST
from infra.world.together import cancelled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from infra.world.group import ProcessGroup, Running
    from infra.world.layout import Layout
    from infra.world.twin_pages import FrontListener

DEADLINE = "2s"
FIRST_REPORT_SECONDS = 30.0
RENEW_SECONDS = 600.0
"""Less than the life of a token by far."""


@dataclass(frozen=True, slots=True)
class ClientLoad:
    """What became of the calls of one client region in the last second. `regions` are those whose pods answered;
    `p50` and `p99` are milliseconds, None where nothing was answered."""

    sent: float
    ok: float
    failed: float
    regions: Mapping[str, float]
    p50: float | None
    p99: float | None


class LoadGenerator:
    """`latest` is by client region, empty before the first report; `sent` and `failed` count all calls so far."""

    def __init__(self) -> None:
        self.latest: Mapping[str, ClientLoad] = {}
        self.sent = self.failed = 0

    def take(self, line: bytes) -> None:
        """ValueError, KeyError: not a report."""
        report = json.loads(line)
        self.latest = {region: read_client(entry, report["seconds"]) for region, entry in report["regions"].items()}
        self.sent += sum(entry["sent"] for entry in report["regions"].values())
        self.failed += sum(sum(entry["failures"].values()) for entry in report["regions"].values())


def read_client(entry: Mapping[str, Any], seconds: float) -> ClientLoad:
    regions: dict[str, float] = {}
    for pod, count in entry["pods"].items():
        region = pod.partition("/")[0]
        regions[region] = regions.get(region, 0.0) + count / seconds
    failed = sum(entry["failures"].values()) / seconds
    return ClientLoad(entry["sent"] / seconds, entry["ok"] / seconds, failed, regions, entry["p50"], entry["p99"])


def child(layout: Layout, listeners: Sequence[FrontListener], rate: float, token_file: Path) -> Child:
    """`rate` is in calls a second, of all client regions together."""
    options = ["--rate", f"{rate:g}", "--deadline", DEADLINE, "--authority", API_HOST]
    options += ["--ca", str(layout.authority), "--token-file", str(token_file)]
    for listener in listeners:
        options += ["--target", f"{listener.client_region}={listener.listen}"]
    return Child("load", python_module("infra.load", *options), reports=True, vital=True)


@asynccontextmanager
async def running_load(
    group: ProcessGroup, layout: Layout, listeners: Sequence[FrontListener], rate: float, token: Callable[[], str]
) -> AsyncIterator[LoadGenerator]:
    """Calls come until the end of the block, which begins with the first report. WorldError, OSError."""
    token_file = layout.load_token
    _write(token_file, token())
    generator = LoadGenerator()
    running = await group.start(child(layout, listeners, rate, token_file))
    try:
        generator.take(await _first_report(running))
        reading = asyncio.create_task(_read(running, generator, token_file, token))
        try:
            yield generator
        finally:
            await cancelled(reading)
    finally:
        await group.stop(running)
        token_file.unlink(missing_ok=True)


async def _first_report(running: Running) -> bytes:
    """ChildError: none comes."""
    try:
        async with asyncio.timeout(FIRST_REPORT_SECONDS):
            if running.reports is not None and (line := await running.reports.readline()):
                return line
            await running.ended
    except TimeoutError:
        what = f"reported nothing in {FIRST_REPORT_SECONDS:g} s"
        raise failure(running.child.name, what, running.log) from None
    raise running.failure()


async def _read(running: Running, generator: LoadGenerator, token_file: Path, token: Callable[[], str]) -> None:
    renewed = time.monotonic()
    while running.reports is not None and (line := await running.reports.readline()):
        generator.take(line)
        if time.monotonic() - renewed > RENEW_SECONDS:
            renewed = time.monotonic()
            _write(token_file, token())


def _write(file: Path, token: str) -> None:
    file.touch(mode=0o600)
    file.write_text(token)
