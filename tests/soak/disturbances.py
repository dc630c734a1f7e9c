"""What operators, discovery and crashes do to a gateway, at random times."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from tests.soak.backends import BackendProcess, FaultyBackend
from tests.soak.core import CoreProcess
from tests.soak.snapshot import BACKEND, snapshot
from tests.soak.tally import Tally

WHO = "disturbance"
KINDS = ("reload", "endpoints changed", "backend killed and started", "listener came and went")


class Disturber:
    def __init__(
        self,
        core: CoreProcess,
        backends: list[BackendProcess],
        faulty: FaultyBackend,
        seed: int,
        tally: Tally,
        stop: threading.Event,
    ) -> None:
        self._core = core
        self._backends = backends
        self._faulty = faulty
        self._random = random.Random(seed)
        self._tally = tally
        self._stop = stop
        self._version = 0

    def run(self) -> None:
        disturb: tuple[Callable[[], None], ...] = (self._reload, self._change_endpoints, self._kill, self._listen)
        kinds = list(zip(KINDS, disturb, strict=True))
        self._random.shuffle(kinds)
        while not self._stop.wait(self._random.uniform(0.1, 0.5)):
            # Each kind in turn, so that a short soak sees them all.
            kinds.append(kinds.pop(0))
            name, act = kinds[-1]
            act()
            self._tally.count(WHO, name)

    def _addresses(self) -> list[str]:
        return [backend.address for backend in self._backends]

    def _reload(self) -> None:
        streams, window = self._random.choice((5, 100, 250)), self._random.choice((65_535, 1 << 20))
        changes = {"max_concurrent_streams": streams, "connection_window_bytes": window}
        self._core.apply(snapshot(self._next_version(), self._addresses(), **changes))

    def _change_endpoints(self) -> None:
        a, b = self._addresses()
        faulty = self._faulty.address
        self._core.set_endpoints(BACKEND, self._random.choice(([a], [b], [a, b], [a, faulty], [a, b, faulty], [])))

    def _kill(self) -> None:
        self._random.choice(self._backends).restart()

    def _listen(self) -> None:
        document = snapshot(self._next_version(), self._addresses())
        second = {"name": "second", "address": "127.0.0.1:0"}
        self._core.apply(document | {"listeners": [*document["listeners"], second]})
        self._stop.wait(0.1)
        self._core.apply(document)

    def _next_version(self) -> str:
        self._version += 1
        return str(self._version)
