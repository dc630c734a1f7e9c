"""What stands in a registry, well or badly written, and the endpoints that come of it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.discover.address import is_ip
from gateway.discover.back_off import BackOff
from gateway.discover.consul.instances import next_index
from gateway.discover.consul.instances import read as read_instances
from gateway.discover.etcd.layout import prefix_range, write
from gateway.discover.etcd.layout import read as read_key
from gateway.discover.registry.entries import Entry, LeftOut, Read, hint, host_names, merge
from gateway.discover.source import Endpoint


def of_etcd(members: Any) -> Read:
    return read_key(b"svc/a", json.dumps(members).encode())


def of_consul(service: dict[str, Any], *statuses: str, node: dict[str, Any] | None = None) -> tuple[Read, ...]:
    checks = [{"Status": status} for status in statuses]
    known = {"ID": "a", "Address": "10.0.0.1", "Port": 1, "Weights": {"Passing": 2, "Warning": 1}}
    return read_instances([{"Service": known | service, "Node": node or {"Address": "10.0.0.9"}, "Checks": checks}])


def test_a_server_in_etcd_has_an_address_and_metadata() -> None:
    assert of_etcd({"Op": 0, "Addr": "10.0.0.1:50051"}) == Entry("svc/a", "10.0.0.1", 50051)
    assert of_etcd({"Addr": "[::1]:1", "Metadata": None}) == Entry("svc/a", "::1", 1)
    described = {"weight": 3, "zone": "a", "priority": 1, "tags": ["x"]}
    pairs = (("weight", "3"), ("zone", "a"), ("priority", "1"), ("tags", '["x"]'))
    assert of_etcd({"Addr": "app:1", "Metadata": described}) == Entry("svc/a", "app", 1, 3, "a", 1, pairs)
    assert of_etcd({"Addr": "app:1", "Metadata": "v2"}) == Entry("svc/a", "app", 1, metadata=(("metadata", "v2"),))


def test_what_is_written_is_what_is_read() -> None:
    entry = read_key(b"svc/a", write("::1", 7, {"weight": 2, "team": "blue"}))
    assert entry == Entry("svc/a", "::1", 7, 2, metadata=(("weight", "2"), ("team", "blue")))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'{"Op":0,"Addr":"10.0', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"null", 'no "Addr"'),
        (b"{}", 'no "Addr"'),
        (b'{"Addr":7}', 'no "Addr"'),
        (b'{"Addr":"10.0.0.1"}', "not host:port"),
        (b'{"Addr":"10.0.0.1:0"}', "not host:port"),
        (b'{"Addr":"10.0.0.1:65536"}', "not host:port"),
        (b'{"Addr":"a b:1"}', "no host"),
        (b'{"Addr":"[fe80::1%eth0]:1"}', "no host"),
        (b'{"Op":1,"Addr":"10.0.0.1:1"}', "deleted"),
        (b'{"Addr":"10.0.0.1:1","Metadata":{"weight":NaN}}', "weight is 'NaN'"),
        (b'{"Addr":"10.0.0.1:1","Metadata":{"weight":1e999}}', "weight is inf"),
        (b'{"Addr":"10.0.0.1:1","Metadata":{"weight":0}}', "weight is 0"),
        (b'{"Addr":"10.0.0.1:1","Metadata":{"weight":true}}', "weight is True"),
        (b'{"Addr":"10.0.0.1:1","Metadata":{"weight":65536}}', "weight is 65536"),
        (b'{"Addr":"10.0.0.1:1","Metadata":{"priority":-1}}', "priority is -1"),
        (b'{"Addr":"10.0.0.1:1","Metadata":{"zone":"\\ud800"}}', "zone is"),
    ],
)
def test_what_cannot_be_used_is_left_out_with_a_reason(value: bytes, reason: str) -> None:
    found = read_key(b"svc/a", value)
    assert isinstance(found, LeftOut)
    assert found.name == "svc/a"
    assert reason in found.reason


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.binary(max_size=40)
    | st.from_regex(r'\{"Addr":"[^"]*","Metadata":\{"weight":[0-9eE.+-]{1,9}\}\}').map(str.encode)
)
def test_no_value_breaks_the_reader(value: bytes) -> None:
    found = read_key(b"svc/\xff", value)
    if isinstance(found, Entry):
        assert 0 < found.port < 65536
        assert 0 < found.weight < 65536


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Service", "Node", "Checks", "Port", "Status", "Weights", "Address", "Meta"]), inner
        )
    ),
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(json_values, max_size=3))
@example([{"Checks": [{"Status": []}]}])
def test_no_instance_breaks_the_reader(instances: list[Any]) -> None:
    for found in read_instances(instances):
        assert isinstance(found, Entry | LeftOut)


def test_an_instance_in_consul_has_an_address_of_its_own_or_its_nodes() -> None:
    assert of_consul({"Meta": {"team": "blue"}}, "passing") == (
        Entry("a", "10.0.0.1", 1, 2, metadata=(("team", "blue"),)),
    )
    assert of_consul({"Address": ""}) == (Entry("a", "10.0.0.9", 1, 2),)
    assert of_consul({"Locality": {"Zone": "z1"}, "Weights": None}) == (Entry("a", "10.0.0.1", 1, 1, "z1"),)
    node = {"Address": "10.0.0.9", "Meta": {"zone": "z2"}}
    assert of_consul({"Meta": {"priority": "1"}}, node=node) == (
        Entry("a", "10.0.0.1", 1, 2, "z2", 1, (("priority", "1"),)),
    )


def test_checks_decide_which_instances_serve() -> None:
    assert of_consul({}, "passing", "critical", "warning") == ()
    assert of_consul({}, "passing", "warning") == (Entry("a", "10.0.0.1", 1, 1),)
    assert of_consul({"Weights": {"Passing": 1, "Warning": 0}}, "warning") == ()


@pytest.mark.parametrize("service", [{"Port": 0}, {"Port": None}, {"Address": "a b"}, {"Weights": {"Passing": -1}}])
def test_an_instance_that_cannot_be_used_is_left_out(service: dict[str, Any]) -> None:
    (found,) = of_consul(service)
    assert isinstance(found, LeftOut)
    assert found.name == "a"


@pytest.mark.parametrize("answer", [None, {}, "x"])
def test_an_answer_that_is_no_list_is_an_error(answer: object) -> None:
    with pytest.raises(ValueError, match="no list"):
        read_instances(answer)


@pytest.mark.parametrize(
    ("asked", "answered", "following"),
    [
        (0, "14", 14),
        (14, "14", 14),
        (14, "15", 15),
        (14, "13", 0),
        (0, "0", 1),
        (0, None, 1),
        (14, None, 0),
        (14, "x", 0),
        (0, "-3", 1),
    ],
)
def test_an_index_that_goes_backwards_begins_anew(asked: int, answered: str | None, following: int) -> None:
    assert next_index(asked, answered) == following


def test_of_entries_of_one_address_the_first_counts() -> None:
    entries = [Entry("a", "10.0.0.1", 1), Entry("b", "10.0.0.1", 1), Entry("c", "10.0.0.1", 1, weight=2)]
    found = merge("etcd:///svc", entries, {})
    assert found.endpoints == (Endpoint("10.0.0.1:1"),)
    assert found.hint == (
        "etcd:///svc has entries that are left out: 'c': 10.0.0.1:1 is registered before with another weight or place."
    )


def test_host_names_become_their_addresses() -> None:
    entries: list[Read] = [Entry("a", "app", 1, 2, "z"), Entry("b", "gone", 1), LeftOut("c", "torn")]
    assert host_names(entries) == ("app", "gone")
    found = merge("etcd:///svc", entries, {"app": ("10.0.0.1", "::1"), "gone": ()})
    assert found.endpoints == (Endpoint("10.0.0.1:1", 2, "z"), Endpoint("[::1]:1", 2, "z"))
    assert "'b': gone cannot be resolved; 'c': torn" in found.hint


def test_a_hint_names_a_few_and_counts_the_rest() -> None:
    assert hint("x", [LeftOut(str(number), "torn") for number in range(10)]).endswith("; and 7 more.")
    assert hint("x", []) == ""


def test_a_prefix_ends_where_its_keys_end() -> None:
    assert prefix_range("svc") == prefix_range("svc/") == (b"svc/", b"svc0")


def test_every_endpoint_has_an_address_the_core_takes() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    entries = [
        Entry(str(n), f"10.0.{chance.randrange(3)}.{chance.randrange(5)}", 1 + chance.randrange(2)) for n in range(99)
    ]
    addresses = [endpoint.address for endpoint in merge("x", entries, {}).endpoints]
    assert len(addresses) == len(set(addresses))
    assert all(is_ip(address.rpartition(":")[0]) for address in addresses)


def test_delays_grow_within_bounds() -> None:
    back_off = BackOff(0.2, 30.0)
    delays = [back_off.next() for _ in range(2000)]
    assert 0.16 <= delays[0] <= 0.24
    assert all(24.0 <= delay <= 36.0 for delay in delays[20:])
    assert len(set(delays[20:])) > 1
    back_off.reset()
    assert back_off.next() <= 0.24
