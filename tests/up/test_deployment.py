"""The order in which pods are replaced: what makes a roll-out cost no call."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from infra.world.clusters import Cluster
from infra.world.deployment import Deployment
from infra.world.errors import WorldError
from infra.world.layout import Block, Layout, PodPlan
from infra.world.pod import Phase

LAYOUT = Layout(
    Path("/world"), (Cluster("us-central1", "us-central1-a"), Cluster("asia-east1", "asia-east1-a")), Block(10)
)
FIRST, SECOND = "us-central1/0", "us-central1/1"


class Recorder:
    """Stands for the pods, their groups and the load balancer; `events` is what each was asked for."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.pods = [RecordingPod(plan, self.events) for plan in LAYOUT.pods]
        pods: Any = self.pods
        parts: Any = self
        self.deployment = Deployment(pods, parts, parts, lambda: self.events.append("changed"))

    async def attach(self, pod: PodPlan) -> None:
        self.events.append(f"attach {pod.name}")

    async def detach(self, pod: PodPlan) -> None:
        self.events.append(f"detach {pod.name}")

    async def left(self, pod: PodPlan) -> None:
        self.events.append(f"{pod.name} is left")

    async def serving(self, pods: list[PodPlan]) -> None:
        self.events += [f"{pod.name} serves" for pod in pods]


class RecordingPod:
    def __init__(self, plan: PodPlan, events: list[str]) -> None:
        self.plan = plan
        self.phase = Phase.RUNNING
        self.does_start = True
        self._events = events

    async def stop(self) -> None:
        self._events.append(f"stop {self.plan.name}")
        await asyncio.sleep(0)

    async def start_app(self) -> None:
        self._events.append(f"start the app of {self.plan.name}")
        await asyncio.sleep(0)
        if not self.does_start:
            raise WorldError("its app does not serve")

    async def start_gateway(self) -> None:
        self._events.append(f"start the gateway of {self.plan.name}")


def restarted(name: str) -> list[str]:
    started = [f"start the app of {name}", f"start the gateway of {name}"]
    return [f"stop {name}", *started, f"attach {name}", "changed"]


async def test_a_pod_ends_after_it_is_left_and_the_next_after_it_serves_again() -> None:
    recorder = Recorder()
    await recorder.deployment.roll("us-central1")
    expected = []
    for name in (FIRST, SECOND):
        expected += [f"detach {name}", f"{name} is left", *restarted(name), f"{name} serves"]
    assert recorder.events == expected


async def test_a_lost_pod_is_started_anew_without_a_word_to_the_load_balancer_before() -> None:
    recorder = Recorder()
    await recorder.deployment.restart(FIRST)
    assert recorder.events == restarted(FIRST)


async def test_of_a_pod_that_does_not_start_anew_nothing_is_left_and_it_can_be_tried_again() -> None:
    recorder = Recorder()
    recorder.pods[0].does_start = False
    with pytest.raises(WorldError, match="its app does not serve"):
        await recorder.deployment.restart(FIRST)
    assert recorder.events == [f"stop {FIRST}", f"start the app of {FIRST}", f"stop {FIRST}"]
    recorder.events.clear()
    recorder.pods[0].does_start = True
    await recorder.deployment.restart(FIRST)
    assert recorder.events == restarted(FIRST)


async def test_a_pod_is_started_anew_once_at_a_time() -> None:
    recorder = Recorder()
    await asyncio.gather(recorder.deployment.restart(FIRST), recorder.deployment.restart(FIRST))
    assert recorder.events == restarted(FIRST) * 2


async def test_two_roll_outs_follow_each_other() -> None:
    recorder = Recorder()
    await asyncio.gather(recorder.deployment.roll("us-central1"), recorder.deployment.roll("us-central1"))
    alone = Recorder()
    await alone.deployment.roll("us-central1")
    assert recorder.events == alone.events * 2
