"""The pytest fixture `tidegate_world`: two regions behind a load balancer, for tests of what happens when one is lost.

It starts when the first test asks for it, and serves all tests of the session: each gets it healed and undrained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infra.world.blocking import BlockingWorld
    from infra.world.clusters import Cluster


@pytest.fixture(scope="session")
def tidegate_clusters() -> Sequence[Cluster]:
    """The regions of `tidegate_world`; a project that wants others has a fixture of this name in its conftest.py."""
    from infra.world.clusters import Cluster

    return (Cluster("us-central1", "us-central1-a"), Cluster("europe-west1", "europe-west1-b"))


@pytest.fixture(scope="session")
def tidegate_session_world(
    tidegate_clusters: Sequence[Cluster], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BlockingWorld]:
    """The world behind `tidegate_world`; tests want that one."""
    from infra.world.blocking import BlockingWorld
    from infra.world.world import Settings

    directory = tmp_path_factory.mktemp("tidegate")
    with BlockingWorld(Settings(directory, tuple(tidegate_clusters), port=0, api_port=0)) as world:
        yield world


@pytest.fixture
def tidegate_world(tidegate_session_world: BlockingWorld) -> Iterator[BlockingWorld]:
    """A world in which every pod serves; whatever a test breaks or drains is mended after it."""
    yield tidegate_session_world
    for region in tidegate_session_world.regions:
        tidegate_session_world.undrain(region)
    tidegate_session_world.heal()
