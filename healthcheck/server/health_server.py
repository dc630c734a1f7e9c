"""The health of a Python gRPC server, in a line or two.

    health = await HealthServer.attach(server, services=["shop.Cart"], checks={"database": ping_database})
    await server.start()
    ...
    await health.stop()

A service is SERVING while nobody has said otherwise (`set`), every check that it needs passes, and the server does not
stop. The overall status, of the service "", is SERVING while every service is and every check passes. Nothing here asks
a database because somebody asks for health: answers come from the last run of each check.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Self

import grpc
from grpc_health.v1 import health_pb2_grpc

from healthcheck.server.checks import Check, CheckReport, CheckRunner
from healthcheck.server.servicer import HealthServicer
from healthcheck.server.statuses import NOT_SERVING, OVERALL, SERVING, Statuses

log = logging.getLogger("tidegate.health")

STOP_DELAY = 5.0
STOP_GRACE = 10.0

Services = Iterable[str] | Mapping[str, Iterable[str]]


class HealthServer:
    """Made by `attach`. All of it belongs to the event loop of the server; nothing here is for other threads."""

    def __init__(
        self, server: grpc.aio.Server, needs: Mapping[str, frozenset[str]], checks: Mapping[str, Check]
    ) -> None:
        self._server = server
        self._needs = dict(needs)
        self._refused: set[str] = set()
        self._stopping = False
        self._stopped = asyncio.Event()
        self._statuses = Statuses()
        self._runners = {name: CheckRunner(name, check, self._check_changed) for name, check in checks.items()}
        self._tasks = [
            asyncio.create_task(runner.run(), name=f"health {name}") for name, runner in self._runners.items()
        ]
        self._update()
        health_pb2_grpc.add_HealthServicer_to_server(HealthServicer(self._statuses), server)

    @classmethod
    async def attach(
        cls,
        server: grpc.aio.Server,
        services: Services = (),
        checks: Mapping[str, Check | Callable[[], Awaitable[object]]] | None = None,
    ) -> Self:
        """Adds `grpc.health.v1` to a server that has not been started, and waits for each check's first run.

        `services`: full names, each of which needs all `checks`; or for each the names of those that it needs. A check
        is an async function, or a `Check` that says how often and how long. With "" among `services`, the overall
        status needs only what is named there. ValueError: a service needs a check that there is not.
        """
        made = {name: check if isinstance(check, Check) else Check(check) for name, check in (checks or {}).items()}
        self = cls(server, _needs(services, made), made)
        try:
            for runner in self._runners.values():
                await runner.attempted.wait()
        except BaseException:
            self._end_checks()
            raise
        return self

    @property
    def serving(self) -> Mapping[str, bool]:
        """Which services are SERVING now, "" among them."""
        return {service: status == SERVING for service, status in self._statuses.all.items()}

    @property
    def checks(self) -> Mapping[str, CheckReport]:
        """What came of the last run of each check."""
        return {name: runner.report for name, runner in self._runners.items()}

    @property
    def watchers(self) -> int:
        """How many Watch calls are open."""
        return self._statuses.watchers

    def set(self, service: str, serving: bool) -> None:
        """The app's own word on a service, or with "" on all of them. One that was not known is added, without checks.

        True alone makes nothing SERVING: the checks have to pass as well.
        """
        if service != OVERALL:
            self._needs.setdefault(service, frozenset())
        if serving:
            self._refused.discard(service)
        else:
            self._refused.add(service)
        self._update()

    async def stop(self, delay: float = STOP_DELAY, grace: float | None = STOP_GRACE) -> None:
        """Says NOT_SERVING, serves on for `delay` seconds, then stops the server, with `grace` seconds for open calls.

        The delay is for whoever has to notice first: at least the interval of those who ask, little for those who
        watch. Called again, as on a second signal, the shorter one wins.
        """
        self._stopping = True
        self._update()
        try:
            async with asyncio.timeout(delay):
                await self._stopped.wait()
        except TimeoutError:
            pass
        self._end_checks()
        self._statuses.close()
        await self._server.stop(grace)
        self._stopped.set()

    def _end_checks(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _check_changed(self, name: str, report: CheckReport) -> None:
        if report.passing:
            log.info("Check %s passes.", name)
        else:
            log.warning("Check %s fails: %s.", name, report.error)
        self._update()

    def _update(self) -> None:
        serving = {service: self._serves(service, needs) for service, needs in self._needs.items()}
        if OVERALL not in self._needs:
            serving[OVERALL] = self._serves(OVERALL, self._runners) and all(serving.values())
        for service, serves in serving.items():
            known = service in self._statuses.all
            if self._statuses.put(service, SERVING if serves else NOT_SERVING) and known:
                log.info("%s is %s.", service or "The server", "SERVING" if serves else "NOT_SERVING")

    def _serves(self, service: str, needs: Iterable[str]) -> bool:
        refused = self._stopping or service in self._refused or OVERALL in self._refused
        return not refused and all(self._runners[name].report.passing for name in needs)


def _needs(services: Services, checks: Iterable[str]) -> dict[str, frozenset[str]]:
    if isinstance(services, str):
        message = f"Several services are wanted, not one name: {services!r}."
        raise ValueError(message)
    known = frozenset(checks)
    if not isinstance(services, Mapping):
        return dict.fromkeys(services, known)
    needs = {service: frozenset([names] if isinstance(names, str) else names) for service, names in services.items()}
    for service, names in needs.items():
        if unknown := sorted(names - known):
            message = f"{service or 'The server'} needs checks that there are not: {', '.join(unknown)}."
            raise ValueError(message)
    return needs
