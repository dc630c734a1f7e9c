"""One of three backends is killed with -9 under paced load: `python -m tests.bench.kill`, or `make bench-kill`."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from tests.bench.deaths import HEAD, Death, Deaths
from tests.bench.errors import BenchError
from tests.bench.goals import Verdict
from tests.bench.load import Load, backend, drive
from tests.bench.peers import envoy
from tests.bench.peers.envoy import Envoy
from tests.bench.peers.tidegate import CHECKED, Tidegate, gateway_file
from tests.bench.process import free_port, listening
from tests.bench.report import Report
from tests.bench.stage import Stage, stage

BACKENDS = 3
RATE = 2000.0
CONNECTIONS = 16
ANSWER_SECONDS = 0.02
"""So long a backend takes for a call: with three of them about 13 are open at each."""
BEFORE_SECONDS = 1.5
AFTER_SECONDS = 6.0
"""As long as it takes active checks of 1 s to find a backend dead, and more."""
REPETITIONS, QUICK_REPETITIONS = 7, 2

POLICY: dict[str, Any] = {
    "retry": {"attempts": 2, "on": ["connect-failure", "refused-stream", "reset"]},
    "circuitBreakers": {"retryBudget": {"percent": 100}},
}
"""What an operator adds to a backend in `gateway.yaml` whose methods are all idempotent. A third of all calls under way
is cut off at once here, so the usual budget of a fifth does not do; Envoy's is unlimited as well."""
FAILURES, LOST = "failures_total{", 'reason="upstream-closed"'
"""The metric, and its label of calls that lost their connection to the backend."""
ENVOY_POLICY = {
    "retry_on": "connect-failure,refused-stream,reset,unavailable",
    "num_retries": 2,
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
            },
        }
    ],
    "host_selection_retry_max_attempts": 3,
}


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    title: str
    ours: bool
    policy: bool


CONTENDERS = (
    Contender("tidegate-policy", "Tidegate, retry policy", ours=True, policy=True),
    Contender("tidegate", "Tidegate, no policy", ours=True, policy=False),
    Contender("envoy-policy", "Envoy, retry policy", ours=False, policy=True),
    Contender("envoy", "Envoy, no policy", ours=False, policy=False),
)


def main() -> None:
    with stage(__doc__) as where:
        programs = {True: Tidegate(where.tidegate), False: Envoy()}
        present = [one for one in CONTENDERS if programs[one.ours].missing() is None]
        repetitions = QUICK_REPETITIONS if where.quick else REPETITIONS
        deaths: dict[str, list[Death]] = {one.name: [] for one in present}
        for number in range(1, repetitions + 1):
            for one in present:
                death = repetition(one, number, where)
                deaths[one.name].append(death)
                where.say(f"{number}: {one.title}: {death.failed} failed, {death.open} were open, {death.late} later")
        found = [Deaths(one.name, one.title, tuple(deaths[one.name])) for one in present]
        report = Report(
            title="One of three backends killed with -9 under paced load",
            head=HEAD,
            rows=[one.row() for one in found],
            verdicts=list(verdicts(found)),
            versions={peer.title: peer.version() for peer in programs.values() if peer.missing() is None},
            options={
                "repetitions": repetitions,
                "calls per second": f"{RATE:,.0f}",
                "connections": CONNECTIONS,
                "answered after": f"{ANSWER_SECONDS * 1000:.0f} ms",
                "active checks": "every second",
            },
            raw=[asdict(one) for one in found],
        )
        where.keep("kill", report)


def verdicts(found: list[Deaths]) -> list[Verdict]:
    by_name = {one.name: one for one in found}
    with_policy, without = by_name.get("tidegate-policy"), by_name.get("tidegate")
    made = []
    if with_policy:
        made.append(
            Verdict(
                subject="failed with a retry policy, worst repetition",
                against=_worst(by_name.get("envoy-policy")),
                goal="0",
                measured=str(with_policy.worst),
                reached=with_policy.worst == 0,
            )
        )
    if without:
        made.append(
            Verdict(
                subject="failed without a policy, each repetition",
                against=_worst(by_name.get("envoy")),
                goal="<= streams open on the dead connection",
                measured=", ".join(f"{death.failed} of {death.excused}" for death in without.each),
                reached=without.within_open,
            )
        )
    return made


def _worst(envoys: Deaths | None) -> str:
    return "" if envoys is None else f"Envoy {envoys.worst}"


def repetition(one: Contender, number: int, where: Stage) -> Death:
    with ExitStack() as stack:
        ports = [(free_port(), free_port()) for _ in range(BACKENDS)]
        backends = [
            stack.enter_context(backend(where.backend, port, admin, delay=ANSWER_SECONDS, cpus=where.load_cpus))
            for port, admin in ports
        ]
        listen = free_port()
        folder = where.folder(f"{one.name}-{number}")
        endpoints = tuple(f"127.0.0.1:{port}" for port, _ in ports)
        if one.ours:
            app = {"name": "app", "targets": list(endpoints), **CHECKED, **(POLICY if one.policy else {})}
            document = gateway_file(listen, app)
            command = Tidegate(where.tidegate).with_file(folder, document)
        else:
            document = envoy.fleet(listen, endpoints, ENVOY_POLICY if one.policy else None)
            command = Envoy().with_file(folder, document)
        stack.enter_context(listening(command, listen, folder / "log", cpus=where.proxy_cpus))
        load = Load(
            connections=CONNECTIONS,
            rate=RATE,
            requests=int(RATE * (BEFORE_SECONDS + AFTER_SECONDS)),
            warm_up=10,
            wait=10.0,
            limit=60.0,
        )
        ends: list[float] = []

        def end() -> None:
            kill(ports[0][1])
            backends[0].wait()
            ends.append(time.monotonic())

        timer = threading.Timer(BEFORE_SECONDS, end)
        stack.callback(timer.cancel)
        outcome = drive(where.driver, load, listen, cpus=where.load_cpus, before=lambda _driver: timer.start())
        timer.join()
        cut = lost_with_connections(document["spec"]["admin"]["port"]) if one.ours else None
        open_calls, killed = last_words(backends[0])
        early = outcome.warm_up_failed + sum(failure.ended < killed for failure in outcome.failures)
        if early:
            raise BenchError(f"{one.title}: {early} calls failed before the kill: {outcome.failed}")
        return Death.of(outcome, open_calls, killed, ends[0], cut)


def kill(admin: int) -> None:
    """Ends the backend, which answers nothing any more."""
    connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=5)
    try:
        connection.request("POST", "/die")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return
    finally:
        connection.close()


def lost_with_connections(admin: int) -> int:
    """Calls that our gateway answered for a backend whose connection had ended."""
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if FAILURES in line and LOST in line)


def last_words(process: subprocess.Popen[bytes]) -> tuple[int, float]:
    """The calls that were open when the backend was killed, and when that was (`time.monotonic`)."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise BenchError("the backend was not killed")
    words = json.loads(line)
    return int(words["open"]), words["time"] / 1e9


if __name__ == "__main__":
    main()
