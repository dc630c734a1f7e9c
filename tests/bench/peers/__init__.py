"""The proxies that are compared, each in the configuration that a knowing operator would give it for the row."""

from __future__ import annotations

from tests.bench.peers.base import Kind, Peer, Scenario
from tests.bench.peers.custom import Custom
from tests.bench.peers.envoy import Envoy
from tests.bench.peers.haproxy import Haproxy, Relay
from tests.bench.peers.nghttpx import Nghttpx
from tests.bench.peers.nginx import Nginx
from tests.bench.peers.tidegate import Tidegate

__all__ = ["Custom", "Envoy", "Haproxy", "Kind", "Nghttpx", "Nginx", "Peer", "Relay", "Scenario", "Tidegate"]
