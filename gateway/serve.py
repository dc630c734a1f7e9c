"""The composition root of the command: a gateway, its reloads and the signals of its process."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.configuration.model import GatewayConfig
from gateway.lifecycle.log import FIELDS
from gateway.lifecycle.reload import Loaded, Reloader
from gateway.process import OWN_PARTS, Gateway, Parts

log = logging.getLogger("tidegate")

Sources = Callable[[GatewayConfig], Iterable[Path]]


async def serve(
    loaded: Loaded, load: Callable[[], Loaded], sources: Sources, loaded_at: float, parts: Parts = OWN_PARTS
) -> None:
    """Serves until a signal has drained the gateway. GatewayError: `loaded` cannot be served.

    `load` reads the configuration again, `sources` names its files; `loaded` was read at `loaded_at` (Unix seconds).
    """
    _warn(loaded)
    signals = _Signals()
    with signals.handled():
        async with Gateway(loaded.config, warnings=loaded.warnings, parts=parts) as gateway:

            async def take_over(fresh: Loaded) -> None:
                await gateway.apply(fresh.config, fresh.warnings)
                _warn(fresh)

            reloader = Reloader(load, take_over, sources, loaded, loaded_at)
            gateway.reloads = lambda: reloader.report
            signals.attach(gateway, reloader)
            _announce(gateway)
            async with asyncio.TaskGroup() as tasks:
                background = (
                    tasks.create_task(reloader.run(), name="reload"),
                    tasks.create_task(gateway.failed(), name="gateway"),
                )
                await gateway.drained()
                for task in background:
                    task.cancel()


class _Signals:
    """SIGTERM and SIGINT drain and, given again, end the drain; before there is anything to drain they end the start.

    Handlers are set before the start, because the first process of a container ignores signals that it does not handle.
    """

    def __init__(self) -> None:
        self._starting = asyncio.current_task()
        self._gateway: Gateway | None = None
        self._reloader: Reloader | None = None

    @contextmanager
    def handled(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        handlers = {signal.SIGTERM: self._end, signal.SIGINT: self._end, signal.SIGHUP: self._reload}
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    def attach(self, gateway: Gateway, reloader: Reloader) -> None:
        self._gateway, self._reloader = gateway, reloader

    def _end(self) -> None:
        if self._gateway is not None:
            self._gateway.request_drain()
        elif self._starting is not None:
            self._starting.cancel()

    def _reload(self) -> None:
        if self._reloader is not None:
            self._reloader.request()


def _warn(loaded: Loaded) -> None:
    for warning in loaded.warnings:
        log.warning("%s", warning)


def _announce(gateway: Gateway) -> None:
    encrypted = {listener.name for listener in gateway.config.listeners if listener.tls is not None}
    for name, address in gateway.addresses.items():
        kind = "TLS" if name in encrypted else "cleartext"
        log.info("Listening on %s (%s, %s).", address, name, kind, extra={FIELDS: {"address": address}})
    if gateway.admin_address is not None:
        log.info("Probes and metrics are on %s.", gateway.admin_address)
    log.info("Serving with %d workers.", gateway.workers, extra={FIELDS: {"addresses": dict(gateway.addresses)}})
