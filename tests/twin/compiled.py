"""A whole load balancer in a twin without a server, and what its resources make of the traffic."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import trustme

from gateway.configuration import ConfigurationError
from gateway.configuration.model import GatewayConfig
from gateway.core import CoreEndpoint
from gateway.snapshot import compile_checks
from infra.certificates import Authority, KeyPair, new_authority
from infra.twin.api.call import Answer, Request
from infra.twin.api.dispatch import Api
from infra.twin.engine import Engine, Settings
from infra.twin.front_end.capacity import endpoints, members
from infra.twin.front_end.chain import Chain, chains
from infra.twin.front_end.configuration import configuration, snapshot
from infra.twin.front_end.firewall import Firewalls
from infra.twin.front_end.waterfall import distribute
from infra.twin.managed import Provisioning
from infra.twin.places import Places, round_trip
from infra.twin.store import Store

Json = dict[str, Any]

PROJECT = "demo"
BASE = "http://twin/compute/v1"
CLIENTS = {"us-central1": 150.0, "europe-west1": 10.0}
"""Requests per second by client region: more than the nearest group of the first can carry."""
ZONES = {"near": "us-central1-a", "far": "europe-west1-b"}
NOW = 1_700_000_000.0

GROUPS = {name: f"zones/{zone}/networkEndpointGroups" for name, zone in ZONES.items()}


def _certificate(host: str) -> Json:
    leaf = trustme.CA().issue_cert(host)
    chain = "".join(pem.bytes().decode() for pem in leaf.cert_chain_pems)
    return {"certificate": chain, "privateKey": leaf.private_key_pem.bytes().decode()}


AUTHORITY = Authority(new_authority("test"))


@lru_cache
def _issue(domains: tuple[str, ...]) -> KeyPair:
    """What the authority signs, each time the same."""
    return AUTHORITY.issue(*domains)


CERTIFICATES = [_certificate("a.example"), _certificate("b.example")]


def _backend(group: str) -> Json:
    return {"group": f"{GROUPS[group]}/{group}", "balancingMode": "RATE", "maxRatePerEndpoint": 50}


def _service(name: str) -> Json:
    return {
        "name": name,
        "protocol": "HTTP2",
        "loadBalancingScheme": "EXTERNAL_MANAGED",
        "healthChecks": ["global/healthChecks/check"],
        "backends": [_backend("near"), _backend("far")],
    }


def _rule(name: str, target: str, port: str) -> Json:
    return {
        "name": name,
        "target": f"global/{target}",
        "IPAddress": "global/addresses/vip",
        "portRange": port,
        "loadBalancingScheme": "EXTERNAL_MANAGED",
    }


CHAIN: tuple[tuple[str, Json], ...] = (
    ("global/networks", {"name": "net"}),
    ("regions/us-central1/subnetworks", {"name": "sub", "network": "global/networks/net", "ipCidrRange": "10.0.0.0/8"}),
    ("global/firewalls", {"name": "wall", "allowed": [{"IPProtocol": "tcp"}]}),
    ("global/firewalls", {"name": "last", "denied": [{"IPProtocol": "all"}], "priority": 60_000}),
    ("global/securityPolicies", {"name": "policy"}),
    ("global/addresses", {"name": "vip"}),
    ("global/healthChecks", {"name": "check", "type": "GRPC_WITH_TLS", "grpcTlsHealthCheck": {"port": 8443}}),
    ("global/healthChecks", {"name": "other", "type": "TCP"}),
    *((path, {"name": name, "defaultPort": 8443}) for name, path in GROUPS.items()),
    ("global/backendServices", _service("service")),
    ("global/backendServices", _service("other")),
    ("global/urlMaps", {"name": "map", "defaultService": "global/backendServices/service"}),
    ("global/urlMaps", {"name": "other", "defaultService": "global/backendServices/other"}),
    ("global/sslCertificates", {"name": "cert", **CERTIFICATES[0]}),
    ("global/sslCertificates", {"name": "other", **CERTIFICATES[1]}),
    ("global/targetHttpProxies", {"name": "plain", "urlMap": "global/urlMaps/map"}),
    (
        "global/targetHttpsProxies",
        {"name": "secure", "urlMap": "global/urlMaps/map", "sslCertificates": ["global/sslCertificates/cert"]},
    ),
    (
        "global/targetHttpsProxies",
        {"name": "other", "urlMap": "global/urlMaps/map", "sslCertificates": ["global/sslCertificates/other"]},
    ),
    ("global/forwardingRules", _rule("rule", "targetHttpsProxies/secure", "443")),
    ("global/forwardingRules", _rule("plain", "targetHttpProxies/plain", "8080")),
)
"""(collection's path, body), in an order in which they can be made. The first of a kind is the one that is varied."""

ENDPOINTS = {
    "near": [{"ipAddress": "127.0.1.1", "instance": "vm-1"}, {"ipAddress": "127.0.1.2", "instance": "vm-2"}],
    "far": [{"ipAddress": "127.0.2.1", "instance": "vm-3"}, {"ipAddress": "127.0.2.2", "instance": "vm-4"}],
}


class Refused(Exception):
    """The twin does not take a body of the chain."""


class Twin:
    """Time stands still in it, and numbers begin anew: the same bodies have the same answers."""

    def __init__(self) -> None:
        self.engine = Engine(Store(None), Settings())
        now = datetime.fromtimestamp(NOW, UTC)
        self.engine.watchers.append(Provisioning(self.engine, self.engine.world, _issue, lambda: now).arrived)
        self.api = Api(self.engine, Places(), lambda *_: {})

    def call(self, verb: str, path: str, body: object = None) -> Answer:
        """`path` is below the project."""
        data = b"" if body is None else json.dumps(body).encode()
        return self.api.answer(Request(verb, f"projects/{PROJECT}/{path}", {}, data, BASE, NOW))

    def get(self, path: str) -> Json:
        answer = self.call("GET", path)
        assert answer.status == 200, answer.body
        return answer.body

    def make(self, changed: Mapping[tuple[str, str], Json], members: Mapping[str, list[Json]] = ENDPOINTS) -> None:
        """The whole chain; `changed` are the bodies of some, by path and name. Refused: one of them is."""
        for path, body in CHAIN:
            self._take(path, changed.get((path, body["name"]), body))
            if body["name"] in members and path in GROUPS.values():
                attached = deepcopy(members[body["name"]])
                self._take(f"{path}/{body['name']}/attachNetworkEndpoints", {"networkEndpoints": attached})

    def _take(self, path: str, body: Json) -> None:
        answer = self.call("POST", path, body)
        if answer.status != 200:
            raise Refused(f"{path}: {answer.body['error']['message']}")


def traffic(twin: Twin) -> Json:
    """All that the front end does with the resources, where every endpoint is healthy and firewalls are enforced."""
    world, regions = twin.engine.world, Places().zones
    firewalls = Firewalls(world)
    distances = {(client, region): round_trip(client, region) for client in CLIENTS for region in regions.values()}
    found: Json = {}
    for chain in chains(world):
        config = _unnamed(configuration(chain, "127.0.0.1:0", "-"))
        groups = {
            service.name: members(world, service.resource, service.key.project, regions, firewalls.closed(service))
            for service in chain.services
        }
        shares = {
            name: distribute(CLIENTS, [group.group(lambda _: True) for group in of], distances)
            for name, of in groups.items()
        }
        served = {
            client: {
                name: endpoints(client, of, shares[name][client], lambda _: True, distances)
                for name, of in groups.items()
            }
            for client in CLIENTS
        }
        found[str(chain.rule)] = {
            "address": chain.address,
            "port": chain.port,
            "protocol": chain.protocol,
            "configuration": config,
            "checks": compile_checks(config),
            "closed": {name: [group.closed for group in of] for name, of in groups.items()},
            "snapshots": {client: _snapshot(chain, config, known) for client, known in served.items()},
        }
    return found


def _unnamed(config: GatewayConfig) -> GatewayConfig:
    """Names of routes are for the access log."""
    return replace(config, routes=tuple(replace(route, name=str(at)) for at, route in enumerate(config.routes)))


def _snapshot(chain: Chain, config: GatewayConfig, served: Mapping[str, Sequence[CoreEndpoint]]) -> object:
    try:
        return json.loads(snapshot(chain, config, "1", served))
    except ConfigurationError as error:
        return str(error)
