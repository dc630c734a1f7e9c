"""Regions and pods of a whole world are lost under load: `python -m tests.bench.failover.run`, or `make failover`."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from infra.load.generator import Load, Settings
from infra.world.world import Settings as WorldSettings
from infra.world.world import World
from tests.bench.errors import BenchError
from tests.bench.failover.outcome import Outcome
from tests.bench.failover.scenarios import REGION, SCENARIOS, Scenario
from tests.bench.failover.table import HEAD, Trials, verdicts
from tests.bench.report import Report
from tests.bench.stage import PLAIN_WIDTH, ROOT

PODS = 2
"""Of each region."""
RATE = 300.0
DEADLINE_SECONDS = 2.0
BEFORE_SECONDS = 3.0
AFTER_SECONDS = 8.0
"""More than twice as long as the checks take to find a dead pod."""
CALM_SECONDS = 3.0
"""After the region has its calls again: longer than the last of the others may take."""
STILL_SECONDS = 1.0
"""A hundred calls of the region's own clients are due in that time."""
RECOVERY_SECONDS = 60.0
PROPAGATIONS = (0.0, 30.0)
REPETITIONS = {0.0: 3, 30.0: 1}
"""By propagation delay: with 30 s of it a roll-out takes two minutes."""


def main() -> None:
    options = _options()
    scenarios = [one for one in SCENARIOS if not options.only or one.name in options.only]
    repetitions = {delay: 1 if options.quick else REPETITIONS.get(delay, 1) for delay in options.propagation}
    progress = Console(stderr=True, highlight=False)
    trials: list[Trials] = []
    try:
        for propagation, times in repetitions.items():
            trials += asyncio.run(
                rehearse(scenarios, propagation, times, lambda text: progress.print(text, soft_wrap=True))
            )
    except BenchError as error:
        raise SystemExit(f"failover: {error}") from error
    report = _report(trials, repetitions)
    path = options.output / "failover.json"
    report.write(path)
    console = Console()
    report.show(console if console.is_terminal else Console(width=PLAIN_WIDTH))
    console.print(str(path), markup=False, highlight=False)


async def rehearse(
    scenarios: Sequence[Scenario], propagation: float, repetitions: int, say: Callable[[str], None]
) -> list[Trials]:
    """All of them, so many times, in one world. BenchError."""
    outcomes: dict[str, list[Outcome]] = {one.name: [] for one in scenarios}
    with tempfile.TemporaryDirectory(prefix="tidegate-failover-") as folder:
        settings = WorldSettings(Path(folder), port=0, api_port=0, propagation_delay=propagation)
        async with World(settings) as world:
            for number in range(1, repetitions + 1):
                for scenario in scenarios:
                    outcome = await _trial(world, scenario, propagation)
                    outcomes[scenario.name].append(outcome)
                    say(f"{number}, propagation {propagation:g} s: {scenario.title}: {_told(outcome)}")
    return [Trials(scenario, propagation, tuple(outcomes[scenario.name])) for scenario in scenarios]


async def _trial(world: World, scenario: Scenario, propagation: float) -> Outcome:
    token = world.token("failover")
    settings = Settings(
        targets={listener.client_region: listener.listen for listener in world.listeners},
        rate=RATE,
        certificate=world.layout.authority.read_bytes(),
        token=lambda: token,
        deadline=DEADLINE_SECONDS,
    )
    delay = propagation if scenario.propagates else 0.0
    async with Load(settings) as load:
        await asyncio.sleep(BEFORE_SECONDS)
        fault = time.monotonic()
        await scenario.begin(world)
        await asyncio.sleep(delay + AFTER_SECONDS)
        healed = time.monotonic()
        moved = _moved(load, scenario, fault, healed)
        await scenario.end(world)
        await _recovery(load, scenario, delay + RECOVERY_SECONDS)
        await asyncio.sleep(CALM_SECONDS)
    if load.left_out:
        raise BenchError(f"{scenario.title}: this machine was too busy to send {load.left_out} calls in time")
    try:
        return Outcome.of(load.sent, load.failures, fault, healed, moved)
    except ValueError as error:
        raise BenchError(f"{scenario.title}: {error}") from None


def _moved(load: Load, scenario: Scenario, fault: float, now: float) -> float | None:
    """When the last answer came from what was lost. BenchError: it still answers, so that nothing was rehearsed."""
    if not scenario.lost:
        return None
    answers = [when for pod, when in load.last_answers.items() if scenario.lost in (pod, pod.partition("/")[0])]
    if not answers:
        raise BenchError(f"{scenario.title}: no call was answered by {scenario.lost} before the fault")
    last = max(answers)
    if now - last < STILL_SECONDS:
        raise BenchError(f"{scenario.title}: {scenario.lost} still answers {now - fault:.0f} s after the fault")
    return last - fault


async def _recovery(load: Load, scenario: Scenario, seconds: float) -> None:
    """Returns when all that clients of the region got in a second came from its pods. BenchError: it never does."""
    load.take()
    try:
        async with asyncio.timeout(seconds):
            while True:
                await asyncio.sleep(1.0)
                pods = load.take()[REGION].pods
                if len(pods) == PODS and all(name.partition("/")[0] == REGION for name in pods):
                    return
    except TimeoutError:
        raise BenchError(f"{scenario.title}: {seconds:g} s after it was healed, calls still go elsewhere") from None


def _told(outcome: Outcome) -> str:
    if outcome.seconds is None:
        return f"{outcome.failed} failed"
    return f"{outcome.failed} failed, the last began after {outcome.seconds:+.2f} s"


def _report(trials: Sequence[Trials], repetitions: dict[float, int]) -> Report:
    times = ", ".join(f"{count} at propagation {delay:g} s" for delay, count in repetitions.items())
    return Report(
        title="A region or a pod is lost under load (simulation)",
        head=HEAD,
        rows=[each.row() for each in trials],
        verdicts=list(verdicts(trials)),
        options={
            "calls per second": f"{RATE:g} from three client regions",
            "deadline": f"{DEADLINE_SECONDS:g} s",
            "health checks": "every 1 s, time-out 1 s, threshold 2",
            "repetitions": times,
        },
        raw=[_raw(each) for each in trials],
    )


def _raw(trials: Trials) -> dict[str, Any]:
    outcomes = [asdict(outcome) for outcome in trials.outcomes]
    return {"fault": trials.scenario.name, "propagation": trials.propagation, "outcomes": outcomes}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="each fault once: a look, not a result")
    parser.add_argument("--only", action="append", choices=[one.name for one in SCENARIOS], help="repeatable")
    parser.add_argument(
        "--propagation", type=float, nargs="+", default=PROPAGATIONS, metavar="SECONDS", help="default: 0 30"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "bench/results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
