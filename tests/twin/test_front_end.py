"""The pure parts of the front end: what resources become, who gets which share, when a change arrives."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.configuration.model import HashOn, OutlierDetection, SuccessRate
from infra.twin.front_end.backend import backend
from infra.twin.front_end.capacity import Members, endpoints
from infra.twin.front_end.demand import Rate
from infra.twin.front_end.health_check import UNVERIFIED, health_check
from infra.twin.front_end.propagation import Propagation
from infra.twin.places import Places, round_trip
from infra.twin.resources.key import Key
from infra.twin.world import Change, Endpoint, World

Json = dict[str, Any]

TIMES: Json = {"checkIntervalSec": 3, "timeoutSec": 2, "healthyThreshold": 1, "unhealthyThreshold": 4}
SERVICE: Json = {"protocol": "HTTP2", "timeoutSec": 30, "sessionAffinity": "NONE"}


@pytest.mark.parametrize(
    ("kind", "member", "settings", "protocol", "tls", "port"),
    [
        ("HTTP", "httpHealthCheck", {"port": 80, "requestPath": "/healthz", "host": "h"}, "http", None, 80),
        ("HTTPS", "httpsHealthCheck", {"port": 443}, "http", UNVERIFIED, 443),
        ("HTTP2", "http2HealthCheck", {"portSpecification": "USE_SERVING_PORT"}, "http2", UNVERIFIED, None),
        ("TCP", "tcpHealthCheck", {"port": 1}, "tcp", None, 1),
        ("SSL", "sslHealthCheck", {"port": 2}, "tcp", UNVERIFIED, 2),
        ("GRPC", "grpcHealthCheck", {"port": 3, "grpcServiceName": "s"}, "grpc", None, 3),
        ("GRPC_WITH_TLS", "grpcTlsHealthCheck", {"portSpecification": "USE_SERVING_PORT"}, "grpc", UNVERIFIED, None),
    ],
)
def test_checks_of_every_type(
    kind: str, member: str, settings: Json, protocol: str, tls: object, port: int | None
) -> None:
    check = health_check({**TIMES, "type": kind, member: settings})
    assert (check.protocol, check.tls, check.port) == (protocol, tls, port)
    assert (check.interval, check.no_traffic_interval, check.timeout) == (3, 3, 2)
    assert (check.healthy_threshold, check.unhealthy_threshold, check.watch) == (1, 4, False)
    assert (check.path, check.host) == (settings.get("requestPath", "/"), settings.get("host"))
    assert (check.service, check.expected_statuses) == (settings.get("grpcServiceName", ""), ((200, 200),))


def test_backends_speak_tls_by_the_protocol() -> None:
    tls = {protocol: backend("b", SERVICE | {"protocol": protocol}, None).tls for protocol in ("HTTP2", "HTTPS", "H2C")}
    assert tls == {"HTTP2": UNVERIFIED, "HTTPS": UNVERIFIED, "H2C": None}


def test_policies_that_hash_need_what_to_hash() -> None:
    def balance(**fields: Any) -> Any:
        return backend("b", SERVICE | fields, None).balance

    header = balance(
        localityLbPolicy="MAGLEV", sessionAffinity="HEADER_FIELD", consistentHash={"httpHeaderName": "X-A"}
    )
    assert (header.policy, header.hash_on) == ("maglev", HashOn("header", "x-a"))
    source = balance(localityLbPolicy="RING_HASH", sessionAffinity="CLIENT_IP")
    assert (source.policy, source.hash_on) == ("ring-hash", HashOn("source"))
    assert balance(localityLbPolicy="RING_HASH").policy == "round-robin"
    assert balance(localityLbPolicy="LEAST_REQUEST").policy == "least-request"


def test_outlier_detection_with_googles_defaults() -> None:
    def outliers(**told: Any) -> Any:
        return backend("b", SERVICE | {"outlierDetection": told}, None).outlier_detection

    assert backend("b", SERVICE, None).outlier_detection is None
    assert outliers() == OutlierDetection(5, 30.0, 300.0, 50, 1.0)
    told = outliers(
        consecutiveErrors=9,
        enforcingConsecutiveErrors=0,
        consecutiveGatewayFailure=3,
        baseEjectionTime={"seconds": "5", "nanos": 500_000_000},
        maxEjectionPercent=20,
        interval={"seconds": "2"},
        successRateStdevFactor=1500,
        successRateMinimumHosts=2,
    )
    assert told == OutlierDetection(3, 5.5, 300.0, 20, 2.0, SuccessRate(1.5, 2, 100))


def group(name: str, region: str, *addresses: str, **fields: Any) -> Members:
    return Members(
        name, region, **{"rate": 10.0, "total": 0.0, "scaler": 1.0, "preferred": False, **fields}, addresses=addresses
    )


NEAR = {("us", "us"): 0.0, ("us", "europe"): 100.0, ("us", "asia"): 200.0}


def test_shares_become_weights_and_the_rest_stands_behind_by_distance() -> None:
    groups = [group("a", "asia", "a:1"), group("u", "us", "u:1", "u:2"), group("e", "europe", "e:1")]
    found = endpoints("us", groups, {"u": 0.8, "e": 0.2}, lambda _: True, NEAR)
    assert {address: rest for address, *rest in found} == {
        "a:1": [1, 1, 0],
        "u:1": [4000, 0, 0],
        "u:2": [4000, 0, 0],
        "e:1": [2000, 0, 0],
    }
    alone = endpoints("us", groups, {"u": 1.0}, lambda _: True, NEAR)
    assert [(address, priority) for address, _, priority, _ in alone] == [
        ("a:1", 2),
        ("u:1", 0),
        ("u:2", 0),
        ("e:1", 1),
    ]


def test_the_healthy_ones_carry_a_groups_share_and_drained_groups_get_nothing() -> None:
    groups = [group("u", "us", "u:1", "u:2"), group("e", "europe", "e:1", scaler=0.0)]
    found = endpoints("us", groups, {"u": 1.0}, {"u:2"}.__contains__, NEAR)
    assert found == (("u:1", 10_000, 0, 0), ("u:2", 10_000, 0, 0), ("e:1", 0, 0, 0))


@given(st.integers(1, 10_000), st.integers(1, 100), st.floats(0.05, 0.95))
def test_shares_are_kept_however_many_divide_them(many: int, few: int, share: float) -> None:
    crowd = group("many", "us", *(f"m:{number}" for number in range(many)))
    groups = [crowd, group("few", "us", *(f"f:{number}" for number in range(few)))]
    found = endpoints("us", groups, {"many": share, "few": 1 - share}, lambda _: True, NEAR)
    weights = {name: sum(weight for address, weight, _, _ in found if address.startswith(name)) for name in "mf"}
    assert abs(weights["m"] / sum(weights.values()) - share) < 0.02
    assert sum(weights.values()) < 2**31


def test_an_address_in_two_groups_has_the_better_place() -> None:
    groups = [group("one", "us", "x:1"), group("two", "us", "x:1"), group("far", "europe", "x:1", "y:1")]
    found = endpoints("us", groups, {"one": 0.5, "two": 0.5}, lambda _: True, NEAR)
    assert found == (("x:1", 10_000, 0, 0), ("y:1", 1, 1, 0))


def test_capacity_is_that_of_the_healthy_endpoints() -> None:
    assert group("g", "us", "a:1", "b:1", scaler=0.5).group({"a:1"}.__contains__).capacity == 5.0
    total = group("g", "us", "a:1", "b:1", rate=None, total=30.0)
    assert total.group({"a:1"}.__contains__).capacity == 30.0
    assert total.group(lambda _: False).capacity == 0.0


@given(st.lists(st.tuples(st.floats(0.01, 1.0), st.integers(0, 100)), min_size=1, max_size=40))
def test_a_rate_is_between_the_least_and_the_greatest_of_its_steps(steps: list[tuple[float, int]]) -> None:
    rate, now, total = Rate(), 0.0, 0
    rate.count(now, total)
    rates = []
    for seconds, calls in steps:
        now, total = now + seconds, total + calls
        rate.count(now, total)
        rates.append(calls / seconds)
        assert min(rates) - 1e-6 <= rate.per_second <= max(rates) + 1e-6


def test_a_rate_begins_anew_with_its_counter() -> None:
    rate = Rate()
    rate.count(0, 1000)
    rate.count(1, 1100)
    assert rate.per_second == 100
    rate.count(2, 5)
    assert rate.per_second == 0
    rate.count(3, 25)
    assert rate.per_second == 20


KEY = Key("p", "global", "backendServices", "s")


async def test_changes_arrive_in_order_when_their_time_has_come() -> None:
    now = 100.0
    world = World()
    propagation = Propagation(world, 30.0, lambda: now)
    for number in (1, 2):
        change = Change(KEY, {"name": "s", "number": number})
        world.apply(change)
        propagation.made(change)
        now += 10
    running = asyncio.create_task(propagation.run())
    propagation.changed.clear()
    for at, expected in ((129.9, None), (130.0, 1), (139.9, 1), (140.0, 2)):
        now = at
        propagation.made(Change(Key("p", "global", "urlMaps", "other"), None))
        for _ in range(5):
            await asyncio.sleep(0)
        assert (propagation.world.resources.get(KEY) or {}).get("number") == expected
        assert propagation.changed.is_set() == (expected is not None)
    running.cancel()


async def test_without_a_delay_a_change_is_there_at_once_and_the_copy_is_its_own() -> None:
    world = World({KEY: {"name": "s"}})
    group_key = Key("p", "zones/z", "networkEndpointGroups", "g")
    propagation = Propagation(world, 0.0, lambda: 0.0)
    world.apply(Change(group_key, {"name": "g"}, attached=(Endpoint("10.0.0.1", 1),)))
    assert group_key not in propagation.world.resources
    propagation.made(Change(group_key, {"name": "g"}, attached=(Endpoint("10.0.0.1", 1),)))
    assert list(propagation.world.endpoints[group_key]) == [Endpoint("10.0.0.1", 1)]
    assert propagation.changed.is_set()


def test_near_and_far() -> None:
    regions = Places().regions
    assert all(round_trip(one, other) == pytest.approx(round_trip(other, one)) for one in regions for other in regions)
    assert min(regions, key=lambda region: round_trip("us-central1", region)) == "us-central1"
    assert round_trip("us-central1", "us-east1") < round_trip("us-central1", "europe-west1")
    # As cables go, America is nearer to Asia than Europe is.
    assert round_trip("asia-east1", "us-central1") < round_trip("asia-east1", "europe-west1")
    assert round_trip("us-central1", "nowhere1") > max(round_trip("us-central1", region) for region in regions) * 0.99
