"""A region of a whole world is lost under load: its clients are served by the other, and get it back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from infra.load.generator import Load, Settings
from infra.world.clusters import Cluster
from infra.world.world import Settings as WorldSettings
from infra.world.world import World
from tests.support.waiting import LONG_SECONDS

pytest.importorskip("tidegate_core", reason="the native module is not built: run make build")

HOME, AWAY = "us-central1", "europe-west1"
CLUSTERS = (Cluster(HOME, f"{HOME}-a", 1), Cluster(AWAY, f"{AWAY}-b", 1))


async def answered_by(load: Load, pods: set[str]) -> None:
    """Returns when all answers of half a second that clients at home got were of these pods."""
    async with asyncio.timeout(LONG_SECONDS):
        load.take()
        while True:
            await asyncio.sleep(0.5)
            if set(load.take()[HOME].pods) == pods:
                return


@pytest.mark.parametrize("fault", ["kill", "hang", "partition", "not-serving"])
async def test_traffic_moves_away_and_comes_back(fault: str, tmp_path: Path) -> None:
    async with World(WorldSettings(tmp_path, CLUSTERS, port=0, api_port=0)) as world:
        token = world.token()
        settings = Settings(
            targets={listener.client_region: listener.listen for listener in world.listeners},
            rate=60,
            certificate=world.layout.authority.read_bytes(),
            token=lambda: token,
        )
        async with Load(settings) as load:
            await answered_by(load, {f"{HOME}/0"})
            await world.fault(fault, HOME)
            await answered_by(load, {f"{AWAY}/0"})
            await world.heal(HOME)
            await answered_by(load, {f"{HOME}/0"})
        assert not [failure for failure in load.failures if failure.kind.retriable]
