"""What has to fail before any figure counts, so that a driver or a proxy that is fooled is found out."""

from __future__ import annotations

import dataclasses

from tests.bench.errors import BenchError
from tests.bench.load import Load, Outcome, drive
from tests.bench.peers import Peer, Relay
from tests.bench.place import Place
from tests.bench.process import free_port, listening
from tests.bench.rows import Row

CALLS = 200
SECONDS = 5.0


def dead_backend_fails(row: Row, peer: Peer, load: Load, place: Place) -> None:
    """Raises BenchError unless every call through `peer` to a port where nothing listens is reported as failed."""
    scenario = place.scenario(row, peer, free_port(), "dead")
    with listening(peer.command(scenario), scenario.listen, scenario.directory / "log", cpus=place.proxy_cpus):
        outcome = drive(place.driver, _few(load), scenario.listen, cpus=place.load_cpus)
    if outcome.ok or outcome.sent == 0 or sum(outcome.failed.values()) != outcome.sent:
        raise BenchError(f"with a dead backend, the driver reports {outcome.ok} of {outcome.sent} calls as answered")


def forged_tokens_fail(row: Row, peer: Peer, load: Load, port: int, place: Place) -> None:
    """Raises BenchError if `peer` lets a token through that was signed with a stranger's key."""
    if row.kind != "jwt" or isinstance(peer, Relay):
        return
    forged = dataclasses.replace(_few(load), tokens=place.issuer.forged)
    outcome = drive(place.driver, forged, port, cpus=place.load_cpus)
    if outcome.ok:
        raise BenchError(f"{outcome.ok} of {outcome.sent} calls with forged tokens were answered")


def all_right(outcome: Outcome) -> None:
    """Raises BenchError unless every call was answered correctly, those of the warm-up included."""
    if outcome.warm_up_failed:
        raise BenchError(f"{outcome.warm_up_failed} warm-up calls failed")
    if outcome.sent == 0 or outcome.ok != outcome.sent:
        raise BenchError(f"{outcome.ok} of {outcome.sent} calls were answered correctly, the others: {outcome.failed}")


def counted(outcome: Outcome, served: int) -> None:
    """Raises BenchError if fewer calls were served than were answered correctly."""
    if served < outcome.ok:
        raise BenchError(f"{outcome.ok} calls were answered correctly, the backend served {served}")


def all_took_part(served: dict[str, int], endpoints: int) -> None:
    """Raises BenchError unless each of the `endpoints` has served at least half of its share."""
    share = sum(served.values()) / endpoints
    idle = endpoints - sum(calls >= share / 2 for calls in served.values())
    if idle:
        raise BenchError(f"{idle} of {endpoints} endpoints served less than half of their share of the calls")


def _few(load: Load) -> Load:
    return dataclasses.replace(load, requests=CALLS, duration=None, rate=None, warm_up=0, limit=SECONDS)
