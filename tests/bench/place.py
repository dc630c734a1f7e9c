"""Where a run takes place, and with what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.certificates import Certificates
from tests.bench.peers import Peer, Scenario
from tests.bench.process import free_port
from tests.bench.rows import Row
from tests.bench.tokens import Issuer


@dataclass(frozen=True, slots=True)
class Place:
    """`directory` is for files of the run; `proxy_cpus` and `load_cpus` None: the kernel decides who runs where."""

    directory: Path
    driver: Path
    backend: Path
    certificates: Certificates
    issuer: Issuer
    descriptors: Path
    rounds: int
    seconds: float
    proxy_cpus: frozenset[int] | None
    load_cpus: frozenset[int] | None
    say: Callable[[str], None]

    def scenario(self, row: Row, peer: Peer, backend_port: int, label: str) -> Scenario:
        """A directory and a port of its own for `peer` in `row`; `label` keeps its instances apart."""
        directory = self.directory / f"{row.name}-{peer.name}-{label}"
        directory.mkdir(parents=True, exist_ok=True)
        return Scenario(
            kind=row.kind,
            listen=free_port(),
            backend=backend_port,
            directory=directory,
            certificates=self.certificates,
            issuer=self.issuer,
            descriptors=self.descriptors,
            endpoints=endpoints(row.endpoints, backend_port) if row.kind == "spread" else (),
        )


def endpoints(count: int, port: int) -> tuple[str, ...]:
    """So many addresses of the loopback network, from 127.1.0.1 on, each with `port`."""
    return tuple(f"127.1.{number // 250}.{number % 250 + 1}:{port}" for number in range(count))
