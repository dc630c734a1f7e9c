"""What one user sends goes to one endpoint, until that has more than its part: then to the next on the ring."""

from __future__ import annotations

import json

import pytest

from tests.gateway.test_balance import World, connected, world

STREAMS = 40


def sent(made: World) -> int:
    """Requests that the pool counts as open, beside those that its connections hold."""
    (pool,) = json.loads(made.serving.core.status())["workers"][0]["backends"]
    assert pool["open"] == sum(endpoint["streams"] for endpoint in pool["endpoints"])
    return int(pool["open"])


@pytest.mark.parametrize("policy", ["ring-hash", "maglev"])
@pytest.mark.parametrize("factor", [0, 125])
async def test_a_busy_user_is_spread(policy: str, factor: int) -> None:
    hash_on = {"header": "x-user"}
    async with world({}, {}, {}, {}, policy=policy, hash_on=hash_on, hash_balance_factor_percent=factor) as made:
        for user in range(40):
            await made.call(1, metadata=[("x-user", str(user))])
        await connected(made, 4)
        made.counts()
        streams = [made.client.bidi(timeout=60, metadata=[("x-user", "busy")]) for _ in range(STREAMS)]
        for stream in streams:
            await stream.write(b"x")
            assert await stream.read() == b"x"
        counts = sorted(made.counts())
        assert sent(made) == STREAMS
        if factor:
            # Rounded up: 40 * 1.25 / 4.
            assert counts[-1] <= 13, counts
        else:
            assert counts == [0, 0, 0, STREAMS]
        for stream in streams[::2]:
            stream.cancel()
        for stream in streams[1::2]:
            await stream.done_writing()
            await stream.read()
        await made.serving.idle()
        assert sent(made) == 0


async def test_without_load_the_bound_changes_nothing() -> None:
    hash_on = {"header": "x-user"}
    async with world({}, {}, {}, policy="ring-hash", hash_on=hash_on, hash_balance_factor_percent=125) as made:
        await connected(made, 1)
        for user in range(30):
            await made.call(1, metadata=[("x-user", str(user))])
        for user in range(12):
            counts = await made.call(5, metadata=[("x-user", str(user))])
            assert sorted(counts) == [0, 0, 5], f"user {user}: {counts}"
