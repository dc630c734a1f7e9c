"""The workloads, who takes part in each, and the goals: Tidegate's median over a peer's median of the same run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from tests.bench.load import Load
from tests.bench.peers import Kind

Unit = Literal["us/call", "us/MiB"]
Tokens = Literal["none", "rs256", "mixed"]

SECONDS = 3.0
QUICK_SECONDS = 1.0
PACED_RATE = 8000.0
ALL = ("tidegate", "envoy", "haproxy", "nghttpx", "nginx", "relay")


@dataclass(frozen=True, slots=True)
class Row:
    """`goals` maps a peer to the highest ratio; `tokens` names the issuer's file that the driver sends from.

    The backend of a row of kind "spread" has so many `endpoints`. `own_loads` are for peers that take another load.
    """

    name: str
    title: str
    load: Load
    peers: tuple[str, ...]
    goals: dict[str, float]
    kind: Kind = "plain"
    unit: Unit = "us/call"
    tokens: Tokens = "none"
    confirm: bool = False
    notes: dict[str, str] = field(default_factory=dict)
    endpoints: int = 1
    own_loads: dict[str, Load] = field(default_factory=dict)

    def load_of(self, peer: str) -> Load:
        return self.own_loads.get(peer, self.load)


IN_FLIGHT = 160
RELAY_NOTE = "a socket for each endpoint on either side, 160 calls in flight or more: what sockets cost without HTTP"


def spread(endpoints: int) -> Row:
    """Plain 16 x 10 over so many endpoints, in turn, with active checks of each every second."""
    places = "1 endpoint" if endpoints == 1 else f"{endpoints} endpoints"
    return Row(
        name=f"spread-{endpoints}",
        title=f"plain, 16 x 10, round robin over {places}, checked",
        load=Load(connections=16, streams=10),
        peers=("tidegate", "envoy", "relay"),
        goals={"envoy": 0.15},
        kind="spread",
        endpoints=endpoints,
        own_loads={"relay": Load(connections=endpoints, streams=math.ceil(IN_FLIGHT / endpoints))},
        notes={"relay": RELAY_NOTE},
    )


ROWS = (
    Row(
        name="plain",
        title="plain, 16 connections x 10 streams",
        load=Load(connections=16, streams=10),
        peers=ALL,
        goals={"envoy": 0.10, "nghttpx": 0.35, "relay": 1.0},
        confirm=True,
    ),
    Row(
        name="wide",
        title="plain, 8 x 100",
        load=Load(connections=8, streams=100),
        peers=ALL,
        goals={"envoy": 0.05, "nghttpx": 0.25, "relay": 3.0},
        confirm=True,
    ),
    Row(
        name="paced",
        title="plain, paced 8,000/s over 16 connections",
        load=Load(connections=16, rate=PACED_RATE),
        peers=ALL,
        goals={"envoy": 0.12, "nghttpx": 0.5, "relay": 1.3},
    ),
    Row(
        name="ticks",
        title="the same, sent every 10 ms as by h2load --rps",
        load=Load(connections=16, rate=PACED_RATE, tick=0.01),
        peers=ALL,
        goals={"envoy": 0.12, "nghttpx": 0.5, "relay": 1.3},
    ),
    Row(
        name="jwt",
        title="one RS256 token per connection, verified, 16 x 10",
        load=Load(connections=16, streams=10, token_change="connection"),
        peers=("tidegate", "envoy", "relay"),
        goals={"envoy": 0.15, "relay": 2.0},
        kind="jwt",
        tokens="rs256",
        notes={"relay": "forwards the token, does not verify it"},
    ),
    Row(
        name="tokens",
        title="10,000 distinct tokens in turn, ES256 and RS256, cache of 1,000",
        load=Load(connections=16, streams=10, token_change="request"),
        peers=("tidegate", "envoy"),
        goals={"envoy": 1.0},
        kind="jwt",
        tokens="mixed",
    ),
    Row(
        name="tls",
        title="TLS both sides, 16 x 10",
        load=Load(connections=16, streams=10),
        peers=("tidegate", "envoy", "haproxy", "nghttpx", "nginx"),
        goals={"envoy": 0.15, "nghttpx": 0.6},
        kind="tls",
    ),
    Row(
        name="health-http1",
        title="GET /v1/health transcoded, HTTP/1.1 over 16 connections",
        load=Load(call="health-http1", connections=16, streams=1),
        peers=("tidegate", "envoy"),
        goals={"envoy": 0.25},
        kind="health",
    ),
    Row(
        name="health-h2",
        title="GET /v1/health transcoded, h2, 16 x 10",
        load=Load(call="health-h2", connections=16, streams=10),
        peers=("tidegate", "envoy"),
        goals={"envoy": 0.10},
        kind="health",
    ),
    Row(
        name="feed",
        title="64 KiB messages, server streaming, 8 x 10",
        load=Load(call="feed", connections=8, streams=10, warm_up=2),
        peers=ALL,
        goals={"envoy": 0.75, "nghttpx": 0.9, "relay": 1.3},
        unit="us/MiB",
    ),
    spread(1),
    spread(3),
    spread(100),
)
