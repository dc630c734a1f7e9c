"""Follows the objects that a target needs, and says what they come to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Self

from gateway.configuration.model import LookupFamily
from gateway.discover.back_off import BackOff
from gateway.discover.kubernetes import ports
from gateway.discover.kubernetes.access import find_access
from gateway.discover.kubernetes.api import ROLE, Api, Collection
from gateway.discover.kubernetes.follow import Follower, Kind, View
from gateway.discover.kubernetes.http import HttpApi
from gateway.discover.kubernetes.merge import merge
from gateway.discover.kubernetes.objects import Service, Slice, read_endpoints, read_service, read_slice
from gateway.discover.kubernetes.target import Target
from gateway.discover.source import Failed, Found, Settings, Update

BUNDLE = 0.05
"""Seconds between two updates: what changes meanwhile comes together, for a merge looks at all that is known."""
SHARE = 4
"""A merge that took long, as that of 10,000 endpoints does (50 ms), is followed by so many times as long a pause."""

FALL_BACK = (
    "core Endpoints are used, which end at 1,000 addresses and know no zones, because EndpointSlices may not be read "
    f"or are not there; see {ROLE}"
)

Slices = tuple[Slice, ...]


class KubernetesSource:
    """One target. `open_api` gives a connection to each kind of objects, `back_off` its patience."""

    def __init__(
        self,
        target: Target,
        family: LookupFamily,
        open_api: Callable[[], Api],
        back_off: Callable[[], BackOff] = BackOff,
    ) -> None:
        self._target = target
        self._family = family
        self._open_api = open_api
        self._back_off = back_off

    @classmethod
    def of(cls, target: Target, settings: Settings) -> Self:
        return cls(target, settings.family, lambda: HttpApi(lambda: find_access(target.kubeconfig, target.context)))

    async def watch(self) -> AsyncIterator[Update]:
        changed = asyncio.Event()
        slices = Follower(self._open_api(), slice_kinds(self._target), changed.set, self._back_off())
        services = (
            Follower(self._open_api(), [service_kind(self._target)], changed.set, self._back_off())
            if isinstance(self._target.port, int)
            else None
        )
        followers: list[Follower[Any]] = [slices, *([services] if services is not None else [])]
        tasks = [asyncio.create_task(follower.run()) for follower in followers]
        for task in tasks:
            task.add_done_callback(lambda _: changed.set())
        said = _Said()
        loop = asyncio.get_running_loop()
        try:
            while True:
                await changed.wait()
                changed.clear()
                began = loop.time()
                for task in tasks:
                    if task.done():
                        task.result()
                views = [follower.view for follower in followers]
                decided = (
                    decide(self._target, self._family, slices.view, services.view if services else None)
                    if all(view.complete for view in views)
                    else None
                )
                updates = said.fresh(decided, views, self._target.text)
                took = loop.time() - began
                for update in updates:
                    yield update
                await asyncio.sleep(max(BUNDLE, SHARE * took))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class _Said:
    """What was yielded, so that nothing is said twice."""

    def __init__(self) -> None:
        self._last: Update | None = None
        self._failures = 0
        self._failing = False

    def fresh(self, decided: Update | None, views: Sequence[View[Any]], target: str) -> list[Update]:
        """What was found and is new, or comes after a failure that is over; then what fails now."""
        reasons = [view.failure for view in views if view.failure]
        failures = sum(view.failures for view in views)
        updates: list[Update] = []
        repeated = self._failing and not reasons
        if decided is not None and (repeated or decided != self._last):
            updates.append(decided)
            self._last = decided
        if reasons and (updates or failures != self._failures):
            updates.append(Failed(f"{target}: {' '.join(reasons)}"))
        self._failures, self._failing = failures, bool(reasons)
        return updates


def slice_kinds(target: Target) -> list[Kind[Slices]]:
    by_label = ("labelSelector", f"kubernetes.io/service-name={target.service}")
    by_name = ("fieldSelector", f"metadata.name={target.service}")
    return [
        Kind(Collection("discovery.k8s.io", "endpointslices", target.namespace, by_label), read_slice),
        Kind(Collection("", "endpoints", target.namespace, by_name), read_endpoints, FALL_BACK),
    ]


def service_kind(target: Target) -> Kind[Service]:
    by_name = ("fieldSelector", f"metadata.name={target.service}")
    return Kind(Collection("", "services", target.namespace, by_name), read_service)


def decide(target: Target, family: LookupFamily, slices: View[Slices], services: View[Service] | None) -> Update:
    """What complete views come to. Pure. `services` is there where the target's port is a number."""
    known = [one for several in slices.objects.values() for one in several]
    try:
        wanted = _wanted(target, services)
    except ports.NoPort as reason:
        if services is not None and target.service not in services.objects and not known:
            return _found(target, (), f"there is no Service {target.service} in that namespace", slices.note)
        return Failed(f"{target.text}: {reason}")
    merged = merge(known, wanted, family, target.zone)
    if merged.blocked:
        return Failed(f"{target.text}: {merged.blocked}")
    return _found(target, merged.endpoints, merged.hint, slices.note)


def _wanted(target: Target, services: View[Service] | None) -> ports.Wanted:
    if services is None or not isinstance(target.port, int):
        return ports.Wanted(target.port if isinstance(target.port, str) else None)
    service = services.objects.get(target.service)
    if service is None:
        raise ports.NoPort(f"there is no Service {target.service}, of which {target.port} could be a port.")
    if service.external_name:
        raise ports.NoPort(f"the Service is another name for {service.external_name}: write that as the target.")
    return ports.of_service(target.port, service)


def _found(target: Target, endpoints: Sequence[Any], *hints: str) -> Found:
    said = "; ".join(hint.rstrip(".") for hint in hints if hint)
    return Found(tuple(endpoints), f"{target.text}: {said}." if said else "")
