"""Whether the firewall rules of a network let the load balancer in, and if not, why, in words.

Google's front ends and probers come from fixed ranges (cloud.google.com/load-balancing/docs/firewall-rules). The rules
of a network are asked in the order of their priorities, the lowest number first, at the same priority those that deny
before those that allow; what none of them speaks of is kept out (cloud.google.com/firewall/docs/firewalls). A rule may
speak of a part of a range only, so what is left of the range is carried from rule to rule: all of it has to be let in.

Which machines a rule is aimed at (targetTags, targetServiceAccounts) cannot be known, as there are no machines. The
doubt is in favour of the endpoint: a rule that allows counts as aimed at every one, a rule that denies at none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from infra.twin.front_end.capacity import Closed
from infra.twin.front_end.chain import Service
from infra.twin.front_end.health_check import health_check
from infra.twin.resources.key import Key, parse
from infra.twin.resources.network import port_range, source_range
from infra.twin.world import Change, Endpoint, World

Json = Mapping[str, Any]
Network = IPv4Network | IPv6Network

FRONT_ENDS: Mapping[int, tuple[Network, ...]] = {
    4: (ip_network("35.191.0.0/16"), ip_network("130.211.0.0/22")),
    6: (ip_network("2600:2d00:1:b029::/64"), ip_network("2600:2d00:1:1::/64")),
}
"""Where probes and traffic come from, by the IP version of the endpoint."""

_EVERYONE = ("0.0.0.0/0",)
"""Whom a rule speaks of that says nothing of sources."""

_TCP = ("tcp", "6", "all")
_ALL_PORTS = (0, 65535)


@dataclass(frozen=True, slots=True)
class Rule:
    """One for TCP that comes in. `ports` are (first, last)."""

    name: str
    priority: int
    allows: bool
    sources: tuple[Network, ...]
    ports: tuple[tuple[int, int], ...]

    def speaks_of(self, port: int) -> bool:
        return any(first <= port <= last for first, last in self.ports)


def rules(firewalls: Iterable[tuple[str, Json]]) -> tuple[Rule, ...]:
    """(name, resource) of one network's, as rules in the order in which they are asked; without those that are for
    something else."""
    found = [rule for name, firewall in firewalls if (rule := _rule(name, firewall)) is not None]
    return tuple(sorted(found, key=lambda rule: (rule.priority, rule.allows, rule.name)))


def refusal(asked: Sequence[Rule], network: str, version: int, port: int) -> str:
    """Why the load balancer does not reach a port in a network, by its rules; `` where it does."""
    reasons = (_refusal(asked, network, source, port) for source in FRONT_ENDS[version])
    return "; ".join(filter(None, reasons))


def _refusal(asked: Sequence[Rule], network: str, source: Network, port: int) -> str:
    left: list[Network] = [source]
    for rule in asked:
        if not rule.speaks_of(port):
            continue
        for spoken_of in rule.sources:
            if spoken_of.version != source.version:
                continue
            met = [piece for piece in left if piece.overlaps(spoken_of)]
            if met and not rule.allows:
                kept_out = _smaller(met[0], spoken_of)
                return f"firewall rule {rule.name} of network {network} keeps {kept_out} from port {port}"
            left = [rest for piece in left for rest in _without(piece, spoken_of)]
        if not left:
            return ""
    first = min(left, key=lambda piece: int(piece.network_address))
    return f"no firewall rule of network {network} lets {first} to port {port} in"


def _without(piece: Network, taken: Network) -> Iterator[Network]:
    """Of two networks that overlap one contains the other."""
    if not piece.overlaps(taken):
        yield piece
    elif piece.prefixlen < taken.prefixlen:
        yield from piece.address_exclude(taken)  # type: ignore[arg-type]


def _smaller(one: Network, other: Network) -> Network:
    return max(one, other, key=lambda network: network.prefixlen)


def _rule(name: str, firewall: Json) -> Rule | None:
    allows = "allowed" in firewall
    aimed = firewall.get("targetTags") or firewall.get("targetServiceAccounts")
    if firewall["disabled"] or firewall["direction"] != "INGRESS" or (aimed and not allows):
        return None
    ports = tuple(_ports(firewall["allowed" if allows else "denied"]))
    return Rule(name, firewall["priority"], allows, tuple(map(source_range, _sources(firewall))), ports)


def _sources(firewall: Json) -> Sequence[str]:
    """The front ends have no tags and no service account: a rule for such sources alone does not speak of them."""
    ranges: Sequence[str] = firewall.get("sourceRanges") or ()
    named = firewall.get("sourceTags") or firewall.get("sourceServiceAccounts")
    return ranges or (() if named else _EVERYONE)


def _ports(entries: Iterable[Json]) -> Iterator[tuple[int, int]]:
    for entry in entries:
        if str(entry.get("IPProtocol", "")).lower() in _TCP:
            yield from map(port_range, entry["ports"]) if entry.get("ports") else (_ALL_PORTS,)


class Firewalls:
    """Those of a world, asked for its endpoints. Answers are remembered until something in the world changes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rules: dict[str, tuple[Rule, ...]] = {}
        self._refusals: dict[tuple[str, int, int], str] = {}

    def arrived(self, _: Change) -> None:
        """The world has changed."""
        self._rules.clear()
        self._refusals.clear()

    def closed(self, service: Service) -> Closed:
        """Of a service's endpoints: what its health check looks at has to be open as well."""
        probed = health_check(service.check).port if service.check else None
        return lambda group, endpoint: self.refusal(group, endpoint, probed)

    def refusal(self, group: Key, endpoint: Endpoint, probed: int | None) -> str:
        """Why the load balancer does not reach an endpoint of a group; `` where it does.

        `probed` is the port that its health check names, None where it is that of the endpoint. Groups outside of
        Google's networks are behind none of these rules.
        """
        resource = self._world.get(group)
        if resource is None or resource["networkEndpointType"] != "GCE_VM_IP_PORT":
            return ""
        version = ip_address(endpoint.ip_address).version
        ports = dict.fromkeys((endpoint.port, probed or endpoint.port))
        return "; ".join(filter(None, (self._refusal(resource["network"], version, port) for port in ports)))

    def _refusal(self, network: str, version: int, port: int) -> str:
        place = (network, version, port)
        if place not in self._refusals:
            if network not in self._rules:
                self._rules[network] = rules(self._of(network))
            self._refusals[place] = refusal(self._rules[network], network.rpartition("/")[2], version, port)
        return self._refusals[place]

    def _of(self, network: str) -> Iterator[tuple[str, Json]]:
        project = parse(network, "").project
        for key, firewall in self._world.of(project, "firewalls"):
            if firewall["network"] == network:
                yield key.name, firewall
