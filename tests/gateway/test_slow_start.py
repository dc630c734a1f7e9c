"""An endpoint that joins others gets little at first, and in the end as much as they."""

from __future__ import annotations

import json
from typing import Any

from tests.gateway.core import until
from tests.gateway.test_balance import World, connected, world

WINDOW_MS = 60_000


def slow(window_ms: int) -> dict[str, Any]:
    return {"window_ms": window_ms, "aggression_percent": 100, "min_weight_percent": 10}


def shown(made: World) -> list[float]:
    """The weights that count now, in the servers' order."""
    (pool,) = json.loads(made.serving.core.status())["workers"][0]["backends"]
    weights = {row["address"]: row["effective_weight"] for row in pool["endpoints"] if row["weight"]}
    return [weights.get(server.address, 0.0) for server in made.servers]


async def test_who_joins_gets_a_tenth_at_first() -> None:
    async with world({}, {}, {"weight": 0}, slow_start=slow(3_600_000)) as made:
        await connected(made, 2)
        assert await made.call(20) == [10, 10, 0]
        made.serving.core.change_endpoints("app", [(made.servers[2].address, 1, 0, 0)], [])
        await connected(made, 3)
        first, second, joined = await made.call(210)
        assert (first, second, joined) == (100, 100, 10)
        assert shown(made) == [1.0, 1.0, 0.1]


async def test_after_its_window_it_gets_as_much_as_the_others() -> None:
    async with world({}, {}, {"weight": 0}, slow_start=slow(1_000)) as made:
        await connected(made, 2)
        made.serving.core.change_endpoints("app", [(made.servers[2].address, 1, 0, 0)], [])
        await connected(made, 3)
        await until("the end of the window", lambda: shown(made) == [1.0, 1.0, 1.0])
        assert await made.call(30) == [10, 10, 10]


async def test_who_serves_again_gets_a_tenth_at_first() -> None:
    async with world({}, {}, {}, slow_start=slow(3_600_000)) as made:
        await connected(made, 3)
        made.set_health("healthy", "healthy", "unhealthy")
        await until("the first two", lambda: shown(made)[:2] == [0.1, 0.1])
        made.set_health("healthy", "healthy", "healthy")
        await connected(made, 4)
        assert shown(made) == [0.1, 0.1, 0.1]
        assert await made.call(30) == [10, 10, 10]
