"""Observations as text, and as the exit statuses that grpc_health_probe has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVES = 0
BAD_ARGUMENTS = 1
NO_CONNECTION = 2
CALL_FAILED = 3
NOT_SERVING = 4
NO_SPIFFE = 20

ANSWERS = ("NOT_SERVING", "SERVICE_UNKNOWN", "UNKNOWN", "HTTP_STATUS")


def exit_status(observation: Mapping[str, Any]) -> int:
    if observation["healthy"]:
        return SERVES
    if not observation["connected"]:
        return NO_CONNECTION
    # A server that ends Check with NOT_FOUND has not said how it is.
    failed = observation["grpc_status"] not in (None, 0)
    return NOT_SERVING if observation["outcome"] in ANSWERS and not failed else CALL_FAILED


def line(observation: Mapping[str, Any], *, named: bool, timed: bool, verbose: bool) -> str:
    """`named`: begins with the target; `timed`: with the time, in UTC."""
    outcome, text = observation["outcome"], observation["text"]
    said = f"status: {outcome}" if exit_status(observation) in (SERVES, NOT_SERVING) else f"error: {outcome}"
    if text != outcome:
        said += f" ({text})"
    if named:
        said = f"{observation['target']}: {said}"
    if timed:
        from time import gmtime, strftime

        said = f"{strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(observation['at']))} {said}"
    return f"{said}\n{_details(observation)}" if verbose else said


def _details(observation: Mapping[str, Any]) -> str:
    address = observation["address"] or "no address"
    times = [
        f"{what} {observation[key]} ms"
        for what, key in (("connected in", "connect_ms"), ("answered in", "answer_ms"))
        if observation[key] is not None
    ]
    return "  " + ", ".join([address, *times])
