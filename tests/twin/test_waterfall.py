"""Which region carries whose requests."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from infra.twin.front_end.waterfall import LITTLE, Group, distribute

NEAR = {
    ("us", "us"): 1.0,
    ("us", "europe"): 90.0,
    ("us", "asia"): 120.0,
    ("europe", "us"): 90.0,
    ("europe", "europe"): 1.0,
    ("europe", "asia"): 220.0,
    ("asia", "us"): 120.0,
    ("asia", "europe"): 220.0,
    ("asia", "asia"): 1.0,
}
REGIONS = ("us", "europe", "asia")


def groups(**capacity: float) -> list[Group]:
    return [Group(region, region, each) for region, each in capacity.items()]


@pytest.mark.parametrize(
    ("demand", "capacity", "shares"),
    [
        ({"us": 50}, {"us": 100, "europe": 100}, {"us": {"us": 1.0}}),
        ({"us": 0}, {"us": 100, "europe": 100}, {"us": {"us": 1.0}}),
        ({"us": 200}, {"us": 100, "europe": 100, "asia": 100}, {"us": {"us": 0.5, "europe": 0.5}}),
        ({"us": 150}, {"us": 0, "europe": 100, "asia": 100}, {"us": {"europe": 2 / 3, "asia": 1 / 3}}),
        ({"us": 10}, {"us": 0, "europe": 0}, {"us": {}}),
        # The nearer client has the capacity; the other's overflow goes on to the third.
        (
            {"us": 100, "europe": 200},
            {"us": 100, "europe": 100, "asia": 100},
            {"us": {"us": 1.0}, "europe": {"europe": 0.5, "asia": 0.5}},
        ),
        # All full: what is left is spread by capacity.
        ({"us": 400}, {"us": 100, "europe": 300}, {"us": {"us": 0.25, "europe": 0.75}}),
        ({"us": 800}, {"us": 100, "europe": 300}, {"us": {"us": 0.25, "europe": 0.75}}),
        # A tenth of the capacity still carries all that is wanted nearby.
        ({"us": 10}, {"us": 10, "europe": 100}, {"us": {"us": 1.0}}),
    ],
)
def test_the_documented_rules(
    demand: dict[str, float], capacity: dict[str, float], shares: dict[str, dict[str, float]]
) -> None:
    found = distribute(demand, groups(**capacity), NEAR)
    assert {client: pytest.approx(by_group) for client, by_group in shares.items()} == found


def test_groups_of_a_region_fill_by_capacity() -> None:
    pair = [Group("a", "us", 100.0), Group("b", "us", 300.0), Group("far", "europe", 100.0)]
    assert distribute({"us": 40}, pair, NEAR)["us"] == pytest.approx({"a": 0.25, "b": 0.75})


def test_preferred_groups_come_first_wherever_they_are() -> None:
    pair = [Group("near", "us", 100.0), Group("far", "europe", 100.0, preferred=True)]
    assert distribute({"us": 150}, pair, NEAR)["us"] == pytest.approx({"far": 2 / 3, "near": 1 / 3})


rates = st.floats(0, 1e6)


@given(st.dictionaries(st.sampled_from(REGIONS), rates, min_size=1), st.lists(rates, min_size=3, max_size=3))
@example({"us": 0.0}, [0.0, 0.0, 5e-324])
def test_shares_are_whole_and_capacity_is_kept_while_there_is_enough(
    demand: dict[str, float], capacity: list[float]
) -> None:
    known = [Group(region, region, each) for region, each in zip(REGIONS, capacity, strict=True)]
    shares = distribute(demand, known, NEAR)
    if not any(each > LITTLE for each in capacity):
        assert all(share == {} for share in shares.values())
        return
    for by_group in shares.values():
        assert sum(by_group.values()) == pytest.approx(1.0)
    if sum(demand.values()) <= sum(capacity):
        for group in known:
            load = sum(demand[client] * shares[client].get(group.name, 0.0) for client in demand)
            assert load <= group.capacity * (1 + 1e-6) + 1e-6
