"""All resources of the twin as they are now. References stand in their stored form, `projects/...`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from gateway.configuration.quantities import join_host_port
from infra.twin.resources.key import Key
from infra.twin.resources.kinds import BY_COLLECTION
from infra.twin.resources.paths import find

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One of a group's; `instance` is empty where the group is not of Google's machines."""

    ip_address: str
    port: int
    instance: str = ""

    @property
    def address(self) -> str:
        """`host:port`."""
        return join_host_port(self.ip_address, self.port)

    def json(self) -> Json:
        """As groups list it."""
        written: Json = {"ipAddress": self.ip_address, "port": self.port}
        return {**written, "instance": self.instance} if self.instance else written


@dataclass(frozen=True, slots=True)
class Change:
    """What one mutation does to one resource, once it is done. `after` None: the resource is gone.

    `attached` and `detached` are a group's endpoints; a change of these alone has the resource in `after` as it is.
    """

    key: Key
    after: Json | None
    attached: tuple[Endpoint, ...] = ()
    detached: tuple[Endpoint, ...] = ()


_DEFAULT_NETWORK: Json = {
    "name": "default",
    "id": "1",
    "creationTimestamp": "2020-01-01T00:00:00.000-08:00",
    "description": "Default network for the project",
    "autoCreateSubnetworks": True,
    "routingConfig": {"routingMode": "REGIONAL"},
}


def default_network(project: str) -> Key:
    """Nobody made it, and nobody can change or delete it."""
    return Key(project, "global", "networks", "default")


@dataclass(slots=True)
class World:
    """A `View` for rules (see `infra.twin.resources.kind`)."""

    resources: dict[Key, Json] = field(default_factory=dict)
    endpoints: dict[Key, dict[Endpoint, None]] = field(default_factory=dict)
    """By the group's key, in the order of attachment."""

    def get(self, key: Key) -> Mapping[str, Any] | None:
        """The resource of that name; None: there is none. Every project has a network `default`."""
        known = self.resources.get(key)
        return _DEFAULT_NETWORK if known is None and key == default_network(key.project) else known

    def of(self, project: str, collection: str) -> Iterator[tuple[Key, Mapping[str, Any]]]:
        """All of a kind, over all scopes, by name."""
        chosen = {key for key in self.resources if key.project == project and key.collection == collection}
        if collection == "networks":
            chosen.add(default_network(project))
        for key in sorted(chosen):
            yield key, self.resources.get(key, _DEFAULT_NETWORK)

    def users(self, key: Key) -> Iterator[Key]:
        """What refers to a resource."""
        name = str(key)
        for other, resource in self.resources.items():
            kind = BY_COLLECTION[other.collection]
            if any(value == name for reference in kind.references for _, value in find(resource, reference.pattern)):
                yield other
            elif (key.collection, other.collection, other.project) == ("addresses", "forwardingRules", key.project):
                address = self.resources.get(key, {}).get("address")
                if address and resource.get("IPAddress") == address:
                    yield other

    def users_of_all(self) -> Callable[[Key], Iterable[Key]]:
        """`users` for whoever asks for many: looks through everything once, and only if it is asked."""
        index = cache(self._index)

        def users(key: Key) -> Iterable[Key]:
            address = self.resources.get(key, {}).get("address") if key.collection == "addresses" else None
            return {*index().get(str(key), ()), *index().get(f"{key.project} {address}", ())}

        return users

    def _index(self) -> Mapping[str, set[Key]]:
        """What refers to a name, or to a project's address."""
        found: dict[str, set[Key]] = {}
        for other, resource in self.resources.items():
            for reference in BY_COLLECTION[other.collection].references:
                for _, value in find(resource, reference.pattern):
                    found.setdefault(value, set()).add(other)
            if other.collection == "forwardingRules":
                found.setdefault(f"{other.project} {resource['IPAddress']}", set()).add(other)
        return found

    def copy(self) -> World:
        """The same, of its own: resources are never changed in place."""
        return World(dict(self.resources), {key: dict(members) for key, members in self.endpoints.items()})

    def apply(self, change: Change) -> None:
        """Makes a change; one that was made already changes nothing."""
        if change.after is None:
            self.resources.pop(change.key, None)
            self.endpoints.pop(change.key, None)
            return
        self.resources[change.key] = change.after
        if change.attached or change.detached:
            members = self.endpoints.setdefault(change.key, {})
            for endpoint in change.detached:
                members.pop(endpoint, None)
            members.update(dict.fromkeys(change.attached))


def load(resources: Iterable[tuple[Key, Json]], endpoints: Iterable[tuple[Key, Endpoint]]) -> World:
    """A world from what was stored."""
    world = World(dict(resources))
    for key, endpoint in endpoints:
        world.endpoints.setdefault(key, {})[endpoint] = None
    return world
