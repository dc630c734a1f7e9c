"""How `tidegate fault` reaches the world that runs: `{"fault": "hang", "where": "us-central1"}` over its Unix socket.

The answer is `{"pods": [{"pod": name, "fault": ..., "done": ..., "error": ...}, ...]}`, null where there is none;
or, where nothing was done, `{"error": message}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra import unix_socket
from infra.faults.outcome import SomeFailed, read_outcome, whole
from infra.faults.target import FaultError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from infra.faults.injector import Faults
    from infra.faults.outcome import Outcome

CONTROL_SOCKET = "control.sock"
"""Its name in the world's directory."""
ANSWER_SECONDS = 120.0
"""A pod that is healed may have to start."""


def serve_faults(directory: Path, faults: Faults) -> AbstractAsyncContextManager[None]:
    """Takes orders in `directory` until the end of the block. OSError."""

    async def answer(line: dict[str, Any]) -> dict[str, Any]:
        fault, where = line.get("fault"), line.get("where")
        if not isinstance(fault, str) or not isinstance(where, str):
            return {"error": "fault and where must be text"}
        try:
            outcomes: Sequence[Outcome] = await faults.inject(fault, where)
        except SomeFailed as error:
            outcomes = error.outcomes
        except FaultError as error:
            return {"error": str(error)}
        return {"pods": [outcome.as_dict() for outcome in outcomes]}

    return unix_socket.serve(directory / CONTROL_SOCKET, answer)


async def order(directory: Path, fault: str, where: str) -> list[Outcome]:
    """What the world of `directory` makes of it, as `Faults.inject` does. FaultError."""
    path = directory / CONTROL_SOCKET
    try:
        answer = await unix_socket.ask(path, {"fault": fault, "where": where}, ANSWER_SECONDS)
    except (FileNotFoundError, ConnectionRefusedError):
        raise FaultError(f"no world runs in {directory}: start `tidegate up` first, or name its --directory") from None
    except TimeoutError:
        raise FaultError(f"{path} has not answered within {ANSWER_SECONDS:g} s") from None
    except (OSError, ValueError) as error:
        raise FaultError(f"{path} cannot be asked: {error}") from None
    if "error" in answer:
        raise FaultError(str(answer["error"]))
    try:
        outcomes = [read_outcome(entry) for entry in answer["pods"]]
    except (KeyError, TypeError, AttributeError, ValueError):
        raise FaultError(
            f"{path} answered with neither pods nor error: is its `tidegate up` of another version?"
        ) from None
    return whole(outcomes)
