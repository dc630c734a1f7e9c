"""Slices in, endpoints out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.configuration.model import LookupFamily
from gateway.discover.kubernetes.merge import Merged, merge
from gateway.discover.kubernetes.objects import Member, Port, Slice, read_endpoints, read_slice
from gateway.discover.kubernetes.ports import Wanted
from tests.kubernetes.objects import core_endpoints, endpoint, endpoint_slice, port

GRPC = Wanted()


def merged(
    *documents: dict[str, Any], wanted: Wanted = GRPC, family: LookupFamily = "v4preferred", zone: str = ""
) -> Merged:
    return merge([one for document in documents for one in read_slice(document)], wanted, family, zone)


def addresses(result: Merged) -> list[str]:
    return [found.address for found in result.endpoints]


def test_all_slices_of_a_service_count_together_and_each_address_once() -> None:
    result = merged(endpoint_slice("b", "10.0.0.2", "10.0.0.3"), endpoint_slice("a", "10.0.0.1", "10.0.0.2"))
    assert addresses(result) == ["10.0.0.1:50051", "10.0.0.2:50051", "10.0.0.3:50051"]
    assert result.hint == ""


@pytest.mark.parametrize(
    ("conditions", "serves"),
    [
        ({}, True),
        ({"ready": None}, True),
        ({"ready": True, "serving": None, "terminating": None}, True),
        ({"ready": False}, False),
        ({"ready": False, "serving": True, "terminating": True}, True),
        ({"ready": False, "serving": False, "terminating": True}, False),
        ({"ready": False, "serving": True, "terminating": False}, False),
        ({"ready": True, "serving": True, "terminating": True}, True),
        ({"ready": None, "terminating": True}, True),
    ],
)
def test_conditions_of_an_endpoint_that_is_alone(conditions: dict[str, bool | None], serves: bool) -> None:
    result = merged(endpoint_slice("a", endpoint("10.0.0.1", conditions=conditions)))
    assert addresses(result) == (["10.0.0.1:50051"] if serves else [])
    assert ("none is ready" in result.hint) == (not serves)


def test_what_ends_serves_only_where_nothing_is_ready() -> None:
    ending = endpoint("10.0.0.1", conditions={"ready": False, "serving": True, "terminating": True})
    assert addresses(merged(endpoint_slice("a", ending), endpoint_slice("b", "10.0.0.2"))) == ["10.0.0.2:50051"]


def test_of_two_copies_the_one_that_can_serve_wins() -> None:
    not_ready = endpoint("10.0.0.1", conditions={"ready": False})
    for first, second in ((not_ready, "10.0.0.1"), ("10.0.0.1", not_ready)):
        assert addresses(merged(endpoint_slice("a", first), endpoint_slice("b", second))) == ["10.0.0.1:50051"]


def test_of_a_copy_that_ends_and_one_that_is_ready_the_ready_one_counts() -> None:
    ending = endpoint("10.0.0.1", conditions={"ready": False, "serving": True, "terminating": True})
    for first, second in ((ending, "10.0.0.1"), ("10.0.0.1", ending)):
        found = merged(endpoint_slice("a", first), endpoint_slice("b", second), endpoint_slice("c", "10.0.0.2"))
        assert addresses(found) == ["10.0.0.1:50051", "10.0.0.2:50051"]


DUAL = (
    endpoint_slice("v4", endpoint("10.0.0.1", "one"), endpoint("10.0.0.2", "two")),
    endpoint_slice("v6", endpoint("fd00::1", "one"), endpoint("fd00::3", "three"), address_type="IPv6"),
)


@pytest.mark.parametrize(
    ("family", "found"),
    [
        ("v4preferred", ["10.0.0.1:50051", "10.0.0.2:50051", "[fd00::3]:50051"]),
        ("auto", ["10.0.0.2:50051", "[fd00::1]:50051", "[fd00::3]:50051"]),
        ("v4only", ["10.0.0.1:50051", "10.0.0.2:50051"]),
        ("v6only", ["[fd00::1]:50051", "[fd00::3]:50051"]),
        ("all", ["10.0.0.1:50051", "10.0.0.2:50051", "[fd00::1]:50051", "[fd00::3]:50051"]),
    ],
)
def test_a_pod_counts_by_one_family(family: LookupFamily, found: list[str]) -> None:
    assert addresses(merged(*DUAL, family=family)) == found


def test_zone_and_pod_are_kept() -> None:
    given = endpoint("10.0.0.1", "app-1", zone="eu-1a", nodeName="n1", hints={"forZones": [{"name": "eu-1b"}]})
    (found,) = merged(endpoint_slice("a", given)).endpoints
    assert (found.zone, found.for_zones) == ("eu-1a", ("eu-1b",))
    assert found.metadata == (("pod", "app-1"), ("node", "n1"), ("zones", "eu-1b"))


def hinted(address: str, *zones: str) -> dict[str, Any]:
    return endpoint(address, hints={"forZones": [{"name": zone} for zone in zones]})


def test_hints_put_other_zones_behind() -> None:
    here, there = hinted("10.0.0.1", "a"), hinted("10.0.0.2", "b")
    result = merged(endpoint_slice("s", here, there), zone="a")
    assert [(found.address, found.priority) for found in result.endpoints] == [
        ("10.0.0.1:50051", 0),
        ("10.0.0.2:50051", 1),
    ]


@pytest.mark.parametrize("others", [[hinted("10.0.0.2", "b")], [hinted("10.0.0.2", "a"), endpoint("10.0.0.3")]])
def test_hints_that_leave_somebody_out_are_ignored(others: list[dict[str, Any]]) -> None:
    result = merged(endpoint_slice("s", *others), zone="a")
    assert {found.priority for found in result.endpoints} == {0}


@pytest.mark.parametrize(
    ("ports", "wanted", "number"),
    [
        ([port("http", 8080), port("grpc", 1)], GRPC, 1),
        ([port("http", 8080), port("grpc-api", 2)], GRPC, 2),
        ([port("grpc-admin", 1), port("grpc", 2)], GRPC, 2),
        ([port("grpc-web", 1), port("grpc-web-b", 3), port("grpc-api", 2)], GRPC, 2),
        ([port("http", 1), port("api", 2, appProtocol="grpc")], GRPC, 2),
        ([port("grpc", 1, appProtocol="http"), port("x", 2, appProtocol="kubernetes.io/h2c")], GRPC, 2),
        ([port(None, 7)], GRPC, 7),
        ([port("grpc", 1, protocol="UDP"), port("other", 2)], GRPC, 2),
        ([port("a", 1), port("b", 2)], Wanted("b"), 2),
        ([port("", 2)], Wanted(""), 2),
        ([port("open", None)], Wanted("open", 9), 9),
    ],
)
def test_which_port_is_meant(ports: list[dict[str, Any]], wanted: Wanted, number: int) -> None:
    assert addresses(merged(endpoint_slice("a", "10.0.0.1", ports=ports), wanted=wanted)) == [f"10.0.0.1:{number}"]


@pytest.mark.parametrize(
    ("ports", "wanted", "reason"),
    [
        ([port("a", 1), port("b", 2)], GRPC, "not clear which port speaks gRPC: there are a = 1, b = 2; write :name"),
        ([port("grpc-a", 1), port("grpc-b", 2)], GRPC, "not clear which port"),
        ([port("a", 1)], Wanted("b"), "no TCP port has the name 'b': there are a = 1"),
        ([], GRPC, "there are no ports"),
        ([port("grpc", None)], GRPC, "is left open"),
    ],
)
def test_a_port_that_nobody_has_is_said(ports: list[dict[str, Any]], wanted: Wanted, reason: str) -> None:
    result = merged(endpoint_slice("a", "10.0.0.1", ports=ports), wanted=wanted)
    assert result.endpoints == ()
    assert reason in result.blocked


def test_a_slice_without_the_port_is_left_out_and_the_rest_serves() -> None:
    result = merged(
        endpoint_slice("a", "10.0.0.1"), endpoint_slice("b", "10.0.0.2", ports=[port("x", 1), port("y", 2)])
    )
    assert addresses(result) == ["10.0.0.1:50051"]
    assert "not clear" in result.hint


def test_a_service_without_pods_needs_no_port() -> None:
    result = merged(endpoint_slice("a", ports=[]))
    assert (result.endpoints, result.blocked) == ((), "")
    assert "no endpoints" in result.hint


BROKEN: list[dict[str, Any]] = [
    endpoint("not an address"),
    {"addresses": []},
    {"addresses": None, "conditions": 7},
    {},
    endpoint("fe80::1%eth0"),
    endpoint("0.0.0.0"),
]


@pytest.mark.parametrize("broken", BROKEN)
def test_an_endpoint_that_cannot_be_read_is_named_and_the_rest_serves(broken: dict[str, Any]) -> None:
    result = merged(endpoint_slice("half", broken, "10.0.0.1"))
    assert addresses(result) == ["10.0.0.1:50051"]
    assert "EndpointSlice half" in result.hint


@pytest.mark.parametrize("number", [0, -1, 65536, "50051", True, 1.5])
def test_a_port_that_is_none_is_named(number: Any) -> None:
    result = merged(endpoint_slice("half", "10.0.0.1", ports=[port("grpc", number), port("grpc-b", 2)]))
    assert addresses(result) == ["10.0.0.1:2"]
    assert "is no port number" in result.hint


def test_host_names_are_not_addresses() -> None:
    result = merged(
        endpoint_slice("names", endpoint("a.example"), address_type="FQDN"), endpoint_slice("b", "10.0.0.1")
    )
    assert addresses(result) == ["10.0.0.1:50051"]
    assert "'FQDN'" in result.hint


def test_core_endpoints_say_the_same_in_other_words() -> None:
    result = merge(read_endpoints(core_endpoints("app", ["10.0.0.2", "10.0.0.1"], ["10.0.0.3"])), GRPC, "v4preferred")
    assert addresses(result) == ["10.0.0.1:50051", "10.0.0.2:50051"]


unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""The machine may be busy with other things."""

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["metadata", "addressType", "endpoints", "ports", "subsets", "addresses", "conditions", "hints", "targetRef"]


@given(
    st.dictionaries(
        st.sampled_from(FIELDS),
        json_values | st.lists(st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=4), max_size=3),
        max_size=5,
    )
)
@unhurried
def test_no_document_kills_the_reader(document: dict[str, Any]) -> None:
    merge([*read_slice({"addressType": "IPv4", **document}), *read_endpoints(document)], GRPC, "all", "a")


pods = st.integers(0, 5)


def member(pod: int, v6: bool, flags: tuple[bool, bool, bool], for_zones: list[str]) -> Member:
    address = f"fd00::{pod}" if v6 else f"10.0.0.{pod}"
    return Member(address, f"pod {pod}", *flags, for_zones=tuple(for_zones))


flags = st.tuples(st.booleans(), st.booleans(), st.booleans())
members = st.builds(member, pods, st.booleans(), flags, st.lists(st.sampled_from("ab"), max_size=2))
port_lists = st.sampled_from([(Port(1, "grpc"),), (Port(2, "grpc"), Port(3, "http")), (Port(4, "x"), Port(5, "y")), ()])
slice_sets = st.lists(
    st.builds(Slice, st.sampled_from("abc"), port_lists, st.lists(members, max_size=5).map(tuple)),
    max_size=3,
    unique_by=lambda one: one.name,
)
families: st.SearchStrategy[LookupFamily] = st.sampled_from(["auto", "v4only", "v6only", "v4preferred", "all"])


@given(slice_sets, families, st.sampled_from(["", "a", "c"]), st.randoms())
@unhurried
def test_properties_of_every_merge(slices: list[Slice], family: LookupFamily, zone: str, chance: Any) -> None:
    result = merge(slices, GRPC, family, zone)
    shuffled = [Slice(one.name, one.ports, tuple(chance.sample(one.members, len(one.members)))) for one in slices]
    chance.shuffle(shuffled)
    found = addresses(result)
    assert sorted(addresses(merge(shuffled, GRPC, family, zone))) == found
    assert len(set(found)) == len(found)
    known: dict[str, list[Member]] = {member.address: [] for one in slices for member in one.members}
    for one in slices:
        for member in one.members:
            known[member.address].append(member)
    hosts = {address.rpartition(":")[0].strip("[]") for address in found}
    assert hosts <= known.keys()
    # Nobody serves who neither is ready nor still serves while it ends.
    assert all(any(copy.ready or (copy.serving and copy.terminating) for copy in known[host]) for host in hosts)
    if family != "all":
        assert len({host[-1] for host in hosts}) == len(hosts)
    if {found.priority for found in result.endpoints} == {1}:
        raise AssertionError("nobody comes first")
    able = [
        member
        for one in slices
        if one.ports and one.ports[0].name == "grpc"
        for member in one.members
        if member.ready and not member.terminating
    ]
    if able:
        assert hosts <= {member.address for member in able}
        if family == "all":
            assert hosts == {member.address for member in able}
