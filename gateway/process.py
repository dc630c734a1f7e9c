"""The gateway as a whole: which parts there are, how they come up, change together and end.

`Gateway` is for any asyncio program; it touches no signal handler and no logging set-up, and several live side by side
in one process. `gateway.serve` puts a process around it.

A configuration is taken over in one order, at the start as at a reload: discovery and key fetches begin for what is
new, the snapshot is compiled with what they found, the core swaps to it or refuses it as a whole, and only then do the
parts around the core follow.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Self

from gateway.balance.book import HealthBook
from gateway.balance.checks import Checks, addresses
from gateway.balance.outliers import Outliers
from gateway.configuration.model import GatewayConfig
from gateway.core import (
    Core,
    CoreFactory,
    EndpointLost,
    KeysWanted,
    NativeProbing,
    OutlierSeen,
    Probing,
    open_core,
    read_event,
)
from gateway.discover.directory import Directory, Endpoints
from gateway.discover.resolve import Resolve, resolve
from gateway.keys.fetcher import Fetch, Fetcher
from gateway.keys.refresh import KeyRefresher
from gateway.lifecycle.cpus import default_workers
from gateway.lifecycle.drain import Drain, Phase, Policy
from gateway.lifecycle.log import FIELDS
from gateway.lifecycle.reload import ReloadReport
from gateway.problems import GatewayError, problems_of
from healthcheck.state import Admin

if TYPE_CHECKING:
    from gateway.admin.facts import Facts

log = logging.getLogger("tidegate")
core_log = logging.getLogger("tidegate.core")

FIRST_RESOLUTION = 5.0
"""Seconds that a start or a reload waits for sources that say nothing at all (an answer, or a failure, ends it); what
is found later follows. A registry on a busy machine takes more than one for its first list."""

CompileSnapshot = Callable[[GatewayConfig, str, Mapping[str, Endpoints]], bytes]


def _compile(config: GatewayConfig, version: str, endpoints: Mapping[str, Endpoints]) -> bytes:
    from gateway.snapshot import compile_snapshot

    return compile_snapshot(config, version, endpoints)


def _compile_checks(config: GatewayConfig) -> Mapping[str, bytes]:
    from gateway.snapshot import compile_checks

    return compile_checks(config)


def _explain(problems: Iterable[str], config: GatewayConfig) -> tuple[str, ...]:
    from gateway.snapshot import explain

    return tuple(str(problem) for problem in explain(problems, config))


@dataclass(frozen=True, slots=True)
class Parts:
    """What a gateway is made of beside its configuration. `fetch` None: HTTP and files."""

    open_core: CoreFactory = open_core
    compile_snapshot: CompileSnapshot = _compile
    resolve: Resolve = resolve
    fetch: Fetch | None = None
    probing: Probing = field(default_factory=NativeProbing)


OWN_PARTS = Parts()


@dataclass(frozen=True, slots=True)
class _Serving:
    """What the core serves now."""

    config: GatewayConfig
    version: str = ""
    snapshot: bytes = b""
    addresses: Mapping[str, str] = field(default_factory=dict)


class Gateway:
    """A gateway that serves from `__aenter__` to `__aexit__`:

        async with Gateway(config) as gateway:
            print(gateway.addresses["http"])

    Raises GatewayError where the configuration cannot be served. Leaving the block cuts what is open; `drain` first
    ends without losing a request.
    """

    def __init__(self, config: GatewayConfig, *, warnings: Sequence[object] = (), parts: Parts = OWN_PARTS) -> None:
        self._parts = parts
        self._serving = _Serving(config)
        self._warnings = tuple(str(warning) for warning in warnings)
        self._fixed = (config.admin, config.workers)
        self._generation = 0
        self._started_at = time.time()
        self._changing = asyncio.Lock()
        self._resources = AsyncExitStack()
        self.workers = config.workers or default_workers()
        """Threads that move requests."""
        self.admin_address: str | None = None
        """Where the admin server listens; None when it is off."""
        self.reloads: Callable[[], ReloadReport] = ReloadReport
        """Asked for what the admin pages say of reloads; whoever reloads puts its own count here."""

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._resources.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._resources.aclose()

    @property
    def core(self) -> Core:
        return self._core

    @property
    def config(self) -> GatewayConfig:
        """The configuration that serves."""
        return self._serving.config

    @property
    def addresses(self) -> Mapping[str, str]:
        """The bound address of each listener by its name, ports filled in."""
        return MappingProxyType(dict(self._serving.addresses))

    async def apply(self, config: GatewayConfig, warnings: Sequence[object] = ()) -> None:
        """Serves another configuration without losing a request. GatewayError: it is refused, the old one goes on."""
        async with self._changing:
            if self._drain.phase is not Phase.SERVING:
                raise GatewayError(["The process is ending, so it takes nothing new over."])
            try:
                await self._take_over(config)
            except Exception as error:
                self._directory.abandon()
                self._checks.abandon()
                self._health.abandon()
                self._keys.abandon()
                problems = problems_of(error)
                if problems is None:
                    raise
                raise GatewayError(_explain(problems, config)) from error
            self._warnings = tuple(str(warning) for warning in warnings)

    def administer(self, backend: str, address: str, admin: Admin, detail: str = "") -> None:
        """Takes one endpoint out (DRAINING, DRAINED) or back in; what runs there finishes.

        It holds until it is taken back, over reloads too; `detail` says whose word it is. KeyError: the backend has no
        such endpoint.
        """
        known = {report.backend: report.endpoints for report in self._directory.reports()}
        if address not in known[backend] and address not in self._health.drained(backend):
            raise KeyError(address)
        self._health.administer(backend, address, admin, detail)
        self._directory.leave_out(backend, self._health.drained(backend))

    async def drain(self) -> None:
        """Ends without losing a request: see `gateway.lifecycle.drain`. Returns when the block may be left."""
        self.request_drain()
        await self.drained()

    def request_drain(self) -> None:
        """Begins the drain, as SIGTERM does; a second call ends it at once."""
        self._drain.signal()

    async def drained(self) -> None:
        """Waits for a request to drain, and carries it out."""
        await self._drain.run()

    async def failed(self) -> None:
        """Never returns; raises what made one of the long tasks fail."""
        await asyncio.shield(self._tasks)

    def facts(self) -> Facts:
        """What the admin pages show."""
        from gateway.admin.facts import Facts

        return Facts(
            config=self._serving.config,
            version=self._serving.version,
            snapshot=self._serving.snapshot,
            started_at=self._started_at,
            workers=self.workers,
            addresses=self.addresses,
            phase=self._drain.phase,
            keys=self._keys.reports(),
            backends=self._directory.reports(),
            reloads=self.reloads(),
            warnings=self._warnings,
            ejections=self._outliers.reports(),
            health={known.name: self._health.states(known.name) for known in self._serving.config.backends},
            probes=self._checks.probes(),
            health_changes={name: dict(counts) for name, counts in self._health.changes().items()},
        )

    async def _start(self) -> None:
        self._core = self._parts.open_core(self.workers)
        self._resources.push_async_callback(asyncio.to_thread, self._core.stop)
        fetch = self._parts.fetch
        if fetch is None:
            fetch = fetcher = Fetcher()
            self._resources.push_async_callback(fetcher.aclose)
        self._keys = KeyRefresher(self._core, fetch)
        self._directory = Directory(self._core, self._parts.resolve, follow=self._follow)
        self._health = HealthBook(self._core, self._directory.addresses)
        self._outliers = Outliers(self._core, self._health, self._directory.addresses)
        self._checks = Checks(self._health.observe, self._core.ended_calls, self._parts.probing)
        self._resources.callback(self._checks.aclose)
        self._drain = Drain(self._core, self._drain_policy)
        self._listen_to_core()
        self._tasks = asyncio.create_task(self._run_long_tasks(), name="gateway")
        self._resources.push_async_callback(_cancel, self._tasks)
        await self._start_admin()
        await self.apply(self._serving.config, self._warnings)

    async def _run_long_tasks(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._directory.run(), name="discover")
            tasks.create_task(self._health.run(), name="health")
            tasks.create_task(self._outliers.run(), name="outliers")
            tasks.create_task(self._checks.run(), name="checks")
            tasks.create_task(self._keys.run(), name="keys")

    async def _start_admin(self) -> None:
        admin = self._serving.config.admin
        if admin.port == 0:
            return
        from gateway.admin.server import AdminServer

        server = AdminServer(self, admin.port, admin.address)
        self.admin_address = await server.start()
        self._resources.push_async_callback(server.aclose)

    def _listen_to_core(self) -> None:
        loop = asyncio.get_running_loop()
        descriptor = self._core.event_fd()
        loop.add_reader(descriptor, self._take_events)
        self._resources.callback(loop.remove_reader, descriptor)

    def _take_events(self) -> None:
        for text in self._core.poll_events():
            event = read_event(text)
            if isinstance(event, KeysWanted):
                self._keys.want(event.provider)
            elif isinstance(event, OutlierSeen):
                self._outliers.seen(event)
            elif isinstance(event, EndpointLost):
                self._directory.refresh(event.backend)
            else:
                level = logging.getLevelNamesMapping().get(event.severity, logging.WARNING)
                core_log.log(level, "%s", event.message, extra={FIELDS: dict(event.fields)})

    async def _take_over(self, config: GatewayConfig) -> None:
        self._directory.prepare(config.backends, config.zone)
        self._keys.prepare(config.authentication)
        endpoints, _ = await asyncio.gather(self._directory.attempted(FIRST_RESOLUTION), self._keys.attempted())
        version = str(self._generation + 1)
        snapshot = await asyncio.to_thread(self._parts.compile_snapshot, config, version, endpoints)
        requests = await asyncio.to_thread(_compile_checks, config)
        await self._checks.prepare(config.backends, requests, dict(addresses(endpoints)))
        self._health.prepare(config.backends)
        await asyncio.to_thread(self._core.apply, snapshot)
        found = self._checks.commit()
        self._generation += 1
        if (config.admin, config.workers) != self._fixed:
            log.warning("Another status port, admin address or number of workers takes effect at the next start.")
        self._health.commit(config.backends, found)
        self._directory.commit(endpoints)
        self._outliers.commit(config.backends)
        self._keys.commit()
        self._serving = _Serving(config, version, snapshot, dict(self._core.listeners()))

    def _follow(self, backend: str, added: Iterable[str], gone: Iterable[str] | None) -> None:
        added = tuple(added)
        self._checks.follow(backend, added, gone)
        self._health.follow(backend, added, gone)

    def _drain_policy(self) -> Policy:
        return Policy(delay=self._serving.config.drain_delay, grace=self._serving.config.drain_grace)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and task.exception() is not None:
        log.error("A part of the gateway had failed.", exc_info=task.exception())
