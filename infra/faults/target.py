"""What a fault is done to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class FaultError(Exception):
    """A fault that cannot be made or undone; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class PodTarget:
    """A pod: two processes that share a fate.

    `name` is `REGION/NUMBER`. `app` and `gateway` are process ids, others once the pod was started anew. `control` is
    the Unix socket of the app's controls (`infra.sample.controls`). `is_gone`: a process of it has ended, whoever ended
    it, and nobody starts it anew.
    """

    name: str
    region: str
    app: int
    gateway: int
    control: Path
    is_gone: bool = False

    @property
    def processes(self) -> tuple[int, int]:
        return self.gateway, self.app


def select(pods: list[PodTarget], where: str) -> list[PodTarget]:
    """The pod of that name, or all of that region in the order of their names. FaultError: there is neither."""
    found = sorted((pod for pod in pods if where in (pod.name, pod.region)), key=lambda pod: pod.name)
    if not found:
        regions = ", ".join(sorted({pod.region for pod in pods})) or "none"
        names = ", ".join(sorted(pod.name for pod in pods)) or "none"
        raise FaultError(f'there is no "{where}": regions are {regions}; pods are {names}')
    return found
