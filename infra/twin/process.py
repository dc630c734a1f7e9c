"""One twin in one process: its parts put together."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from infra.certificates import Authority, KeyPair
from infra.twin.api.dispatch import Api
from infra.twin.credentials import Tokens
from infra.twin.engine import Engine, Settings
from infra.twin.front_end.front_end import FrontEnd, FrontEndOptions
from infra.twin.front_end.propagation import Propagation
from infra.twin.managed import LIFETIME, LOOK, Provisioning, make_authority
from infra.twin.places import Places
from infra.twin.quota import ReadQuota
from infra.twin.server import TwinServer
from infra.twin.store import Store, StoreError

log = logging.getLogger("tidegate.twin")

AGAIN = 1.0
"""Seconds until an operation is ended again that could not be written down."""


@dataclass(frozen=True, slots=True)
class TwinOptions:
    """Times in seconds. `state` None: it is forgotten at the end. `reads` a minute; 0 is no limit."""

    host: str = "127.0.0.1"
    port: int = 0
    state: Path | None = None
    project: str = "tidegate-twin"
    operation_time: float = 0.0
    strict: bool = False
    reads: int = 0
    token_lifetime: float = 3600.0
    wants_token: bool = False
    propagation_delay: float = 0.0
    front_end: FrontEndOptions = field(default_factory=FrontEndOptions)


@asynccontextmanager
async def twin(options: TwinOptions) -> AsyncIterator[str]:
    """A twin that serves; yields its `host:port`. OSError: the port or the state's file cannot be had."""
    store = Store(options.state)
    try:
        engine, places = Engine(store, Settings(options.operation_time)), Places()
        propagation = Propagation(engine.world, options.propagation_delay, time.monotonic)
        engine.watchers.append(propagation.made)
        authority = Authority(store.authority(make_authority))
        provisioning = _provisioning(engine, propagation, authority)
        front_end = FrontEnd(propagation, options.front_end, places.zones)
        api = Api(engine, places, front_end.health, strict=options.strict)
        tokens, quota = Tokens(options.token_lifetime, required=options.wants_token), ReadQuota(options.reads)
        server = TwinServer(
            api, engine, store, quota, tokens, options.project, front_end, authority=authority.certificate
        )
        address = await server.start(options.host, options.port)
        parts = (_end_operations(engine), front_end.run(), _renew(provisioning))
        tasks = [asyncio.create_task(part) for part in parts]
        for task in tasks:
            task.add_done_callback(_say_why)
        try:
            yield address
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            await server.aclose()
            await front_end.aclose()
            for outcome in outcomes:
                if isinstance(outcome, Exception):
                    raise outcome
    finally:
        store.close()


def _provisioning(engine: Engine, propagation: Propagation, authority: Authority) -> Provisioning:
    """Begins with what a twin that was killed has left unsigned."""

    def issue(domains: tuple[str, ...]) -> KeyPair:
        return authority.issue(*domains, lifetime=LIFETIME)

    made = Provisioning(engine, propagation.world, issue, lambda: datetime.now(UTC))
    propagation.watchers.append(made.arrived)
    made.look()
    return made


def _say_why(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.critical("A part of the twin has failed; start it again.", exc_info=task.exception())


async def _end_operations(engine: Engine) -> None:
    """Those that nobody asks for end too."""
    while True:
        now = time.time()
        try:
            due = engine.advance(now)
        except StoreError as error:
            log.error("%s", error)
            due = now + AGAIN
        await asyncio.sleep(min(1.0, max(0.01, due - now)) if due else 0.1)


async def _renew(provisioning: Provisioning) -> None:
    while True:
        await asyncio.sleep(LOOK)
        provisioning.look()
