"""Managed certificates: the twin's own authority signs those that a load balancer uses.

At Google, a managed certificate stays PROVISIONING until its domains lead to a load balancer whose target proxy has it
(cloud.google.com/load-balancing/docs/ssl-certificates/troubleshooting), and stays ACTIVE when it is taken away again.
Nobody's domains lead here, so the load balancer alone is asked for: a forwarding rule, as the front end knows it, whose
proxy has the certificate. What is signed is kept with the resource, key and all, as a given certificate is: after a
restart clients see the same leaf, and answers the same `expireTime`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from infra.certificates import KeyPair, new_authority
from infra.twin.engine import Engine
from infra.twin.resources.certificate import domains, issued
from infra.twin.resources.key import Key, parse
from infra.twin.resources.kind import Json
from infra.twin.store import StoreError
from infra.twin.world import Change, World

log = logging.getLogger("tidegate.twin")

LIFETIME = timedelta(days=90)
"""Of a leaf (Google's figure)."""

RENEWAL = timedelta(days=30)
"""What a leaf has left when another takes its place (Google: about a month)."""

AUTHORITY_LIFETIME = timedelta(days=3650)

LOOK = 3600.0
"""Seconds from one look for what has to be renewed to the next."""

_ATTACHING = ("forwardingRules", "targetHttpsProxies")
"""Nothing else makes a certificate one that is used: it has to be there before a proxy may have it."""

Issue = Callable[[tuple[str, ...]], KeyPair]
"""Signs a leaf for domains. ValueError: it cannot be."""


def make_authority() -> KeyPair:
    """A new one, for `infra.certificates.Authority`."""
    return new_authority("tidegate twin", AUTHORITY_LIFETIME)


class Provisioning:
    """Signs what needs it, as soon as `world`, the front end's, shows that it does. `now` has a zone."""

    def __init__(self, engine: Engine, world: World, issue: Issue, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._world = world
        self._issue = issue
        self._now = now

    def arrived(self, change: Change) -> None:
        """A change has come to `world`."""
        if change.key.collection in _ATTACHING:
            self.look()

    def look(self) -> None:
        """Signs what needs it now."""
        for key, resource in list(pending(self._engine.world, self._world, self._now())):
            try:
                leaf = self._issue(tuple(domains(resource)))
                self._engine.make(Change(key, issued(resource, leaf.chain, leaf.key)))
            except (ValueError, StoreError) as error:
                log.warning("%s stays as it is: %s", key, error)


def pending(world: World, served: World, now: datetime) -> Iterator[tuple[Key, Json]]:
    """The managed certificates of a world that a forwarding rule of the one that is served leads to, and that are not
    signed or soon expire."""
    for key in sorted(_attached(served)):
        resource = world.resources.get(key)
        # Another one may have taken the name while changes are under way.
        known = served.resources.get(key)
        if resource is None or known is None or resource["id"] != known["id"] or resource["type"] != "MANAGED":
            continue
        expires = resource.get("expireTime")
        if expires is None or datetime.fromisoformat(expires) - now < RENEWAL:
            yield key, resource


def _attached(world: World) -> set[Key]:
    found: set[Key] = set()
    rules = [(key, rule) for key, rule in world.resources.items() if key.collection == "forwardingRules"]
    for key, rule in rules:
        target = parse(rule["target"], key.project)
        if target.collection == "targetHttpsProxies":
            names = (world.get(target) or {}).get("sslCertificates", ())
            found.update(parse(name, target.project) for name in names)
    return found
