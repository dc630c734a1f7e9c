"""One twin in one process: its parts put together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.twin.api.dispatch import Api
from infra.twin.api.others import HealthOf
from infra.twin.credentials import Tokens
from infra.twin.engine import Engine, Settings
from infra.twin.places import Places
from infra.twin.quota import ReadQuota
from infra.twin.resources.key import Key
from infra.twin.server import TwinServer
from infra.twin.store import Store
from infra.twin.world import Endpoint


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


@asynccontextmanager
async def twin(options: TwinOptions) -> AsyncIterator[str]:
    """A twin that serves; yields its `host:port`. OSError: the port or the state's file cannot be had."""
    store = Store(options.state)
    try:
        engine = Engine(store, Settings(options.operation_time))
        api = Api(engine, Places(), _unknown_health(engine), strict=options.strict)
        tokens = Tokens(options.token_lifetime, required=options.wants_token)
        server = TwinServer(api, engine, store, ReadQuota(options.reads), tokens, options.project)
        address = await server.start(options.host, options.port)
        operations = asyncio.create_task(_end_operations(engine))
        try:
            yield address
        finally:
            operations.cancel()
            await asyncio.gather(operations, return_exceptions=True)
            await server.aclose()
    finally:
        store.close()


async def _end_operations(engine: Engine) -> None:
    """Those that nobody asks for end too."""
    while True:
        now = time.time()
        due = engine.advance(now)
        await asyncio.sleep(min(1.0, max(0.01, due - now)) if due else 0.1)


def _unknown_health(engine: Engine) -> HealthOf:
    def health(group: Key, _: Key | None) -> Mapping[Endpoint, str]:
        return dict.fromkeys(engine.world.endpoints.get(group, {}), "UNKNOWN")

    return health
