"""Makes faults and undoes them, one at a time for each pod."""

from __future__ import annotations

import asyncio
from difflib import get_close_matches
from typing import TYPE_CHECKING

from infra.faults.actions import actions
from infra.faults.kinds import FAULTS, HEAL, KILL
from infra.faults.outcome import Outcome, whole
from infra.faults.target import FaultError, PodTarget, select

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence


class Faults:
    """The faults of the pods that `pods` names at each moment.

    A pod that is gone, by a fault or by anybody's hand, stays among them as it was, until `restart`, which is given its
    name, has started it anew. What `restart` raises becomes part of a FaultError.
    """

    def __init__(self, pods: Callable[[], Sequence[PodTarget]], restart: Callable[[str], Awaitable[None]]) -> None:
        self._pods = pods
        self._actions = actions(restart)
        self._active: dict[str, tuple[str, tuple[int, int]]] = {}
        self._lock = asyncio.Lock()

    async def inject(self, fault: str, where: str) -> list[Outcome]:
        """`where` is a region or a pod; returns what was done to each pod. `heal` undoes whatever is active there, and
        starts anew what is gone.

        FaultError: there is no such fault or place, or a pod has another fault, and nothing was done.
        SomeFailed: it did not work for some pods.
        """
        if fault != HEAL and fault not in self._actions:
            close = get_close_matches(fault, [*FAULTS, HEAL], n=1)
            hint = f', did you mean "{close[0]}"?' if close else ":"
            raise FaultError(f'there is no fault "{fault}"{hint} there are {", ".join(FAULTS)} and {HEAL}')
        async with self._lock:
            targets = select(list(self._pods()), where)
            active = self.active()
            if fault != HEAL:
                _refuse_second(fault, targets, active)
            work = [self._begin(fault, pod, active) if fault != HEAL else self._end(pod, active) for pod in targets]
            ends = await asyncio.gather(*work, return_exceptions=True)
            active = self.active()
        return whole([_outcome(pod.name, active, end) for pod, end in zip(targets, ends, strict=True)])

    def active(self) -> Mapping[str, str]:
        """The fault of each pod that has one. A pod that was started anew has none."""
        processes = {pod.name: pod.processes for pod in self._pods()}
        return {name: fault for name, (fault, of) in self._active.items() if processes.get(name) == of}

    async def _begin(self, fault: str, pod: PodTarget, active: Mapping[str, str]) -> str:
        if pod.is_gone and fault != KILL:
            raise FaultError(f"is gone, a process of it has ended: {HEAL} starts it anew")
        if pod.name in active:
            return f"has the fault {fault} already"
        said = await self._actions[fault].begin(pod)
        self._active[pod.name] = fault, pod.processes
        return said

    async def _end(self, pod: PodTarget, active: Mapping[str, str]) -> str:
        # Of a pod that is gone nothing is left to be undone.
        fault = KILL if pod.is_gone else active.get(pod.name)
        if fault is None:
            return "has no fault"
        said = await self._actions[fault].end(pod)
        self._active.pop(pod.name, None)
        return said


def _refuse_second(fault: str, targets: Sequence[PodTarget], active: Mapping[str, str]) -> None:
    others = [f"{pod.name} ({active[pod.name]})" for pod in targets if active.get(pod.name, fault) != fault]
    if others:
        raise FaultError(f"a pod has one fault at a time; heal first: {', '.join(others)}")


def _outcome(name: str, active: Mapping[str, str], end: str | BaseException) -> Outcome:
    fault = active.get(name, "")
    if isinstance(end, BaseException):
        return Outcome(name, fault, error=str(end) or repr(end))
    return Outcome(name, fault, done=end)
