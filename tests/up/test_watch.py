"""What is seen of a world while somebody changes its load balancer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from infra.world.clusters import Cluster
from infra.world.troubles import Troubles
from infra.world.watch import Watch
from infra.world.world import Settings, World
from tests.support.waiting import LONG_SECONDS

pytest.importorskip("tidegate_core", reason="the native module is not built: run make build")

HOME, AWAY = "us-central1", "europe-west1"
CLUSTERS = (Cluster(HOME, f"{HOME}-a", 1), Cluster(AWAY, f"{AWAY}-b", 1))


async def test_a_region_that_is_drained_is_shown_as_such(tmp_path: Path) -> None:
    async with World(Settings(tmp_path, CLUSTERS, port=0, api_port=0)) as world, asyncio.timeout(LONG_SECONDS):
        watch = Watch(world, None, Troubles(lambda _: None))

        async def shown(*wanted: str) -> None:
            """Returns when the load balancer says this of each pod."""
            while True:
                if tuple(row.seen for row in watch.picture().pods) == wanted:
                    return
                await asyncio.sleep(0.02)

        running = asyncio.create_task(watch.run(lambda _: None))
        await shown("healthy", "healthy")
        await world.set_capacity(HOME, 0.0)
        await shown("healthy, drained", "healthy")
        await world.set_capacity(HOME, 0.5)
        await shown("healthy, 50% of its capacity", "healthy")
        await world.set_capacity(HOME, 1.0)
        await shown("healthy", "healthy")
        running.cancel()
        await asyncio.wait([running])
