"""A world for programs without asyncio, such as tests: its loop runs in a thread of its own.

with BlockingWorld(Settings(directory)) as world: ...
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

from infra.world.layout import API_HOST
from infra.world.world import World

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from infra.world.world import Settings

Result = TypeVar("Result")


class BlockingWorld:
    """Every method returns when what it says is so, and raises what `World` raises."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tidegate world", daemon=True)

    def __enter__(self) -> Self:
        """WorldError, KeyFileError, OSError: it does not start; nothing of it is left then."""
        self._thread.start()
        try:
            self._world = self._run(self._make())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            self._run(self._world.__aexit__(*exc_info))
        finally:
            self._end()

    @property
    def host(self) -> str:
        """The name that the load balancer's certificate is for, and that calls have as their authority."""
        return API_HOST

    @property
    def authority(self) -> Path:
        """The file with the certificate to trust, PEM."""
        return self._world.layout.authority

    @property
    def api(self) -> str:
        """The URL of the load balancer's project in the Compute API."""
        return self._world.api

    @property
    def regions(self) -> tuple[str, ...]:
        return self._world.layout.regions

    @property
    def listeners(self) -> dict[str, str]:
        """By region of the client, `host:port` of the load balancer: HTTP/2 and HTTP/1.1 over TLS."""
        return {listener.client_region: listener.listen for listener in self._world.listeners}

    def token(self, subject: str = "developer", lifetime: float = 3600.0) -> str:
        """What calls have to bring as `authorization: Bearer ...`."""
        return self._world.token(subject, lifetime)

    def health(self) -> dict[str, str]:
        """What the load balancer says of each pod; one that it does not have is left out."""
        traffic = self._run(self._world.front.traffic())
        named = {pod.plan.endpoint: pod.plan.name for pod in self._world.pods}
        return {named[address]: seen.health for address, seen in traffic.endpoints.items() if address in named}

    def wait_until_healthy(self, where: str | None = None) -> None:
        """Until the load balancer holds a region, a pod or everything for healthy."""
        pods = [pod.plan for pod in self._world.pods if where in (None, pod.plan.region, pod.plan.name)]
        self._run(self._world.front.serving(pods))

    def fault(self, kind: str, where: str) -> None:
        """Breaks a region or a pod: kill, hang, not-serving, partition, slow or overload. The load balancer has to
        notice by itself, as it would."""
        self._run(self._world.fault(kind, where))

    def heal(self, where: str | None = None) -> None:
        """Undoes what is broken in a region, in a pod or anywhere, and waits until the load balancer knows."""
        for region in self.regions if where is None else (where,):
            self._run(self._world.heal(region))
        self.wait_until_healthy(where)

    def roll(self, region: str) -> None:
        """Replaces the pods of a region one by one."""
        self._run(self._world.roll(region))

    def drain(self, region: str) -> None:
        """Lets the load balancer send nothing more to a region, by its capacityScaler."""
        self._run(self._world.set_capacity(region, 0.0))

    def undrain(self, region: str) -> None:
        """Gives a region all of its capacity back."""
        self._run(self._world.set_capacity(region, 1.0))

    async def _make(self) -> World:
        return await World(self._settings).__aenter__()

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            # A test that is interrupted here interrupts what it waits for.
            future.cancel()
            raise

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
