"""What hangs together behind a forwarding rule: its proxy, URL map, certificates and backend services."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.twin.front_end.routes import Forward, routes
from infra.twin.resources.key import Key, parse
from infra.twin.world import World

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Certificate:
    name: str
    chain_pem: str
    key_pem: str


@dataclass(frozen=True, slots=True)
class Service:
    """`check` None: it has none, and its endpoints count as healthy."""

    key: Key
    resource: Json
    check: Json | None

    @property
    def name(self) -> str:
        """What the front end calls it."""
        return str(self.key)


@dataclass(frozen=True, slots=True)
class Chain:
    """`certificates` None: cleartext. `ignored` are places of the URL map that are kept and not honoured."""

    rule: Key
    address: str
    port: int
    certificates: tuple[Certificate, ...] | None
    routes: tuple[Forward, ...]
    services: tuple[Service, ...]

    @property
    def protocol(self) -> str:
        return "HTTP" if self.certificates is None else "HTTPS"

    @property
    def ignored(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(place for route in self.routes for place in route.ignored))


def chains(world: World) -> Iterator[Chain]:
    """Those of all forwarding rules of all projects, as far as they are whole; references cannot dangle."""
    projects = sorted({key.project for key in world.resources})
    for project in projects:
        for key, rule in world.of(project, "forwardingRules"):
            yield _chain(world, key, rule)


def _chain(world: World, key: Key, rule: Json) -> Chain:
    target = parse(rule["target"], key.project)
    proxy = _known(world, target)
    url_map = _known(world, parse(proxy["urlMap"], key.project))
    forwards = routes(url_map)
    names = dict.fromkeys(name for forward in forwards for name, _ in forward.services)
    secure = target.collection == "targetHttpsProxies"
    return Chain(
        rule=key,
        address=rule["IPAddress"],
        port=int(str(rule["portRange"]).partition("-")[0]),
        certificates=tuple(_certificates(world, proxy, key.project)) if secure else None,
        routes=forwards,
        services=tuple(_service(world, parse(name, key.project)) for name in names),
    )


def _service(world: World, key: Key) -> Service:
    resource = _known(world, key)
    checks = resource.get("healthChecks", ())
    return Service(key, resource, _known(world, parse(checks[0], key.project)) if checks else None)


def _certificates(world: World, proxy: Json, project: str) -> Iterator[Certificate]:
    """A managed certificate has no key before it is signed."""
    for reference in proxy.get("sslCertificates", ()):
        certificate = _known(world, parse(reference, project))
        if "privateKey" in certificate:
            yield Certificate(certificate["name"], certificate["certificate"], certificate["privateKey"])


def _known(world: World, key: Key) -> Json:
    resource = world.get(key)
    if resource is None:
        raise KeyError(str(key))
    return resource
