"""With firewalls enforced, the load balancer reaches what the rules of its network let it reach, and says why not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.twin.front_end.firewall import refusal, rules
from infra.twin.front_end.front_end import FrontEndOptions
from infra.twin.process import TwinOptions
from tests.support.backends import GrpcBackend
from tests.twin.balancer import CLIENT_REGIONS, ZONES, Balancer, Caller, unverifiable
from tests.twin.compiled import GROUPS, Twin, traffic
from tests.twin.conftest import Client, Json, Start

US = CLIENT_REGIONS[0]
GOOGLE = ["35.191.0.0/16", "130.211.0.0/22"]
PORT = 8443
TCP = [{"IPProtocol": "tcp", "ports": [str(PORT)]}]


def rule(**fields: Any) -> Json:
    """One that lets Google's ranges in, with other fields put over its own; None takes one away."""
    usual: Json = {"direction": "INGRESS", "priority": 1000, "disabled": False, "sourceRanges": GOOGLE, "allowed": TCP}
    return {name: value for name, value in (usual | fields).items() if value is not None}


def deny(**fields: Any) -> Json:
    return rule(**{"allowed": None, "denied": TCP} | fields)


NOBODY = [f"no firewall rule of network default lets {source} to port {PORT} in" for source in GOOGLE]
DENIED = [f"firewall rule r0 of network default keeps {source} from port {PORT}" for source in GOOGLE]


@pytest.mark.parametrize(
    ("known", "reasons"),
    [
        pytest.param([], NOBODY, id="what no rule speaks of is kept out"),
        pytest.param([rule()], [], id="both ranges"),
        pytest.param([rule(sourceRanges=["0.0.0.0/0"])], [], id="everyone"),
        pytest.param([rule(sourceRanges=None)], [], id="no source is everyone"),
        pytest.param([rule(sourceRanges=GOOGLE[:1])], NOBODY[1:], id="one range is not enough"),
        pytest.param([rule(sourceRanges=GOOGLE[:1]), rule(sourceRanges=GOOGLE[1:])], [], id="one rule for each"),
        pytest.param([rule(sourceRanges=["10.0.0.0/8"])], NOBODY, id="others"),
        pytest.param(
            [rule(sourceRanges=["35.191.0.0/17", GOOGLE[1]])],
            [f"no firewall rule of network default lets 35.191.128.0/17 to port {PORT} in"],
            id="a part of a range",
        ),
        pytest.param([rule(sourceRanges=["35.191.0.0/17", "35.191.128.0/17", GOOGLE[1]])], [], id="both parts of it"),
        pytest.param([rule(allowed=[{"IPProtocol": "tcp"}])], [], id="all ports"),
        pytest.param([rule(allowed=[{"IPProtocol": "all"}])], [], id="all protocols"),
        pytest.param([rule(allowed=[{"IPProtocol": "6", "ports": ["8000-9000"]}])], [], id="by number, in a range"),
        pytest.param([rule(allowed=[{"IPProtocol": "udp", "ports": [str(PORT)]}])], NOBODY, id="another protocol"),
        pytest.param([rule(allowed=[{"IPProtocol": "tcp", "ports": ["80", "8000-8442"]}])], NOBODY, id="other ports"),
        pytest.param([rule(disabled=True)], NOBODY, id="disabled"),
        pytest.param([rule(direction="EGRESS")], NOBODY, id="the other way"),
        pytest.param([rule(sourceRanges=None, sourceTags=["web"])], NOBODY, id="only from tags"),
        pytest.param([rule(sourceTags=["web"])], [], id="from ranges or tags"),
        pytest.param([rule(sourceRanges=None, sourceServiceAccounts=["a@b"])], NOBODY, id="only from accounts"),
        pytest.param([rule(targetTags=["web"])], [], id="allowed for some machines counts"),
        pytest.param([rule(), deny(priority=1, targetTags=["web"])], [], id="denied for some machines does not"),
        pytest.param([deny(), rule()], DENIED, id="at one priority it is denied"),
        pytest.param([deny(priority=999), rule()], DENIED, id="denied first"),
        pytest.param([deny(priority=1001), rule()], [], id="allowed first"),
        pytest.param([deny(priority=1, denied=[{"IPProtocol": "udp"}]), rule()], [], id="another protocol denied"),
        pytest.param(
            [deny(priority=1, sourceRanges=["35.191.7.0/24"]), rule()],
            [f"firewall rule r0 of network default keeps 35.191.7.0/24 from port {PORT}"],
            id="a part of a range denied",
        ),
        pytest.param(
            [deny(priority=9, sourceRanges=["35.191.7.0/24"]), rule(priority=8, sourceRanges=["35.191.0.0/16"])],
            NOBODY[1:],
            id="a part denied that was allowed before",
        ),
    ],
)
def test_what_rules_let_in(known: list[Json], reasons: list[str]) -> None:
    asked = rules((f"r{number}", firewall) for number, firewall in enumerate(known))
    assert refusal(asked, "default", 4, PORT) == "; ".join(reasons)


def test_endpoints_with_ipv6_have_ranges_of_their_own() -> None:
    def reason(*sources: str) -> str:
        return refusal(rules([("r", rule(sourceRanges=list(sources)))]), "net", 6, PORT)

    assert reason("2600:2d00:1:b029::/64", "2600:2d00:1:1::/64") == reason("::/0") == ""
    assert "2600:2d00:1:b029::/64" in reason(*GOOGLE, "0.0.0.0/0")


CORNERS = [ip_address(f"35.191.{third}.{fourth}") for third in (0, 63, 64, 127, 128, 192, 255) for fourth in (0, 255)]
RANGES = [f"35.191.{third}.0/{bits}" for third, bits in ((0, 16), (0, 17), (128, 17), (64, 18), (192, 18), (0, 24))]


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 3), st.lists(st.sampled_from([*RANGES, "0.0.0.0/0"]), max_size=3)),
        max_size=6,
    )
)
def test_a_range_is_let_in_where_each_of_its_addresses_is(known: list[tuple[bool, int, list[str]]]) -> None:
    def one(allows: bool, priority: int, sources: list[str]) -> Json:
        made = rule if allows else deny
        return made(priority=priority, sourceRanges=[*sources, "10.0.0.0/8"])

    def is_let_in(address: Any) -> bool:
        met = [
            (priority, allows)
            for allows, priority, sources in known
            if any(address in ip_network(source) for source in sources)
        ]
        return bool(met) and min(met)[1]

    other = ("other", rule(priority=0, sourceRanges=GOOGLE[1:]))
    closed = refusal(rules([*((f"r{at}", one(*of)) for at, of in enumerate(known)), other]), "default", 4, PORT)
    ours = [reason for reason in closed.split("; ") if "35.191" in reason]
    assert bool(ours) == (not all(map(is_let_in, CORNERS)))


def closed(changed: dict[tuple[str, str], Json]) -> dict[str, set[str]]:
    """Why endpoints of each group are closed, in the chain of `compiled`, whose rule lets everyone in."""
    twin = Twin()
    twin.make(changed)
    served = traffic(twin)
    (groups,) = next(iter(served.values()))["closed"].values()
    return {name: set(of.values()) for name, of in zip(GROUPS, groups, strict=True)}


WALL = ("global/firewalls", "wall")


def test_the_port_of_the_health_check_has_to_be_open_too() -> None:
    wall = {"name": "wall", "allowed": TCP}
    check = {"name": "check", "type": "TCP", "tcpHealthCheck": {"port": 9000}}
    assert closed({WALL: wall}) == {"near": set(), "far": set()}
    reasons = closed({WALL: wall, ("global/healthChecks", "check"): check})
    assert all("from port 9000" in reason and "8443" not in reason for reason in reasons["near"])
    assert reasons["near"]


def test_each_group_has_the_rules_of_its_own_network() -> None:
    group = {"name": "near", "defaultPort": PORT, "network": "global/networks/net"}
    reasons = closed({(GROUPS["near"], "near"): group})
    assert reasons["far"] == set()
    assert reasons["near"] == {"; ".join(reason.replace("default", "net") for reason in NOBODY)}


@pytest.mark.parametrize(
    "fields",
    [
        {"sourceRanges": ["everyone"]},
        {"sourceRanges": ["10.0.0.0/40"]},
        {"allowed": [{"IPProtocol": "tcp", "ports": ["9000-8000"]}]},
        {"allowed": [{"IPProtocol": "tcp", "ports": ["65536"]}]},
        {"allowed": [{"IPProtocol": "tcp", "ports": ["http"]}]},
        {"allowed": [{"IPProtocol": "https"}]},
    ],
)
async def test_a_rule_that_cannot_be_asked_is_refused(client: Client, fields: Json) -> None:
    status, _, message = await client.refused("POST", "global/firewalls", {"name": "wall", "allowed": TCP} | fields)
    assert status == 400
    assert "Must be a" in message


class Knocks:
    """A server that counts who connects, and answers nobody."""

    def __init__(self) -> None:
        self.count = 0
        self.knocked = asyncio.Event()
        self.address = ""

    def take(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.count += 1
        self.knocked.set()
        writer.close()


@asynccontextmanager
async def knocks() -> AsyncIterator[Knocks]:
    counted = Knocks()
    async with await asyncio.start_server(counted.take, "127.0.0.1", 0) as server:
        counted.address = "{}:{}".format(*server.sockets[0].getsockname())
        yield counted


async def states(client: Client) -> dict[int, str]:
    group = f"zones/{ZONES[US]}/networkEndpointGroups/{US}"
    _, answer = await client.call("POST", "global/backendServices/service/getHealth", {"group": group})
    return {entry["port"]: entry["healthState"] for entry in answer.get("healthStatus", ())}


async def problems(balancer: Balancer) -> dict[str, str]:
    """By endpoint, as every client region is told."""
    found = {}
    for one in (one for flow in await balancer.flows() for one in flow["endpoints"]):
        found[one["endpoint"]] = one.get("problem", "")
        assert "problem" not in one or one["health"] == "UNHEALTHY"
    return found


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


async def test_nothing_is_sent_to_what_is_closed(start: Start) -> None:
    client = await start(TwinOptions(front_end=FrontEndOptions(enforce_firewalls=True)))
    balancer = Balancer(client)
    wall = {"name": "wall", "sourceRanges": GOOGLE}
    with GrpcBackend("pod", credentials=unverifiable()) as pod:
        async with knocks() as shut:
            allowed = {"IPProtocol": "tcp", "ports": [pod.address.rpartition(":")[2]]}
            await client.done("POST", "global/firewalls", wall | {"allowed": [allowed]})
            await balancer.make({US: [pod.address, shut.address]})
            caller = Caller((await balancer.listeners())[US], balancer.ca)
            await balancer.healthy({US: 1})
            assert await caller(10) == {"pod": 10}
            assert await states(client) == {port_of(pod.address): "HEALTHY", port_of(shut.address): "UNHEALTHY"}
            reason = f"no firewall rule of network default lets 35.191.0.0/16 to port {port_of(shut.address)} in"
            told = await problems(balancer)
            assert told[pod.address] == ""
            assert told[shut.address].startswith(reason)
            assert shut.count == 0

            await client.done("PATCH", "global/firewalls/wall", {"allowed": [allowed, {"IPProtocol": "tcp"}]})
            await shut.knocked.wait()
            assert set((await problems(balancer)).values()) == {""}

            await client.done("DELETE", "global/firewalls/wall")
            await balancer.healthy({US: 0})
            assert set((await states(client)).values()) == {"UNHEALTHY"}
            # The front end follows as soon as it can, which may be a call later.
            while (answer := await caller()) == {"pod": 1}:
                pass
            assert next(iter(answer)).startswith("UNAVAILABLE")


async def test_groups_outside_of_googles_networks_are_behind_no_rule(start: Start) -> None:
    client = await start(TwinOptions(front_end=FrontEndOptions(enforce_firewalls=True)))
    balancer = Balancer(client)
    group = f"zones/{ZONES[US]}/networkEndpointGroups"
    with GrpcBackend("pod", credentials=unverifiable()) as pod:
        await balancer.make({US: []})
        await client.done("POST", group, {"name": "own", "networkEndpointType": "NON_GCP_PRIVATE_IP_PORT"})
        member = {"ipAddress": "127.0.0.1", "port": port_of(pod.address)}
        await client.done("POST", f"{group}/own/attachNetworkEndpoints", {"networkEndpoints": [member]})
        service = await client.get("global/backendServices/service")
        backend = {"group": f"{group}/own", "balancingMode": "RATE", "maxRatePerEndpoint": 10}
        patch = {"backends": [backend], "fingerprint": service["fingerprint"]}
        await client.done("PATCH", "global/backendServices/service", patch)
        caller = Caller((await balancer.listeners())[US], balancer.ca)
        await balancer.healthy({US: 1})
        assert await caller(3) == {"pod": 3}
