"""A watched server whose packets vanish is missed long before the kernel would give it up, and found again."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.backends import GrpcBackend
from tests.support.network import Network, Unavailable
from tests.support.processes import Program
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.real("ip")]


@pytest.fixture
def network() -> Iterator[Network]:
    try:
        with Network() as network:
            yield network
    except Unavailable as reason:
        pytest.skip(f"no network namespaces here: {reason}")


def test_a_watched_server_that_vanishes_is_missed_and_found_again(network: Network, tmp_path: Path) -> None:
    with network.far.inside():
        backend = GrpcBackend(address=f"{network.far.address}:0")
    with backend:
        backend.set_serving(True)
        command = [sys.executable, "-m", "infra.cli.main", "probe", "-watch", "-o=json", backend.address]
        with network.near.inside():
            program = Program(command, tmp_path)
        with program:

            def seen() -> list[str]:
                lines = program.stdout.splitlines(keepends=True)
                return [json.loads(line)["outcome"] for line in lines if line.endswith("\n")]

            wait_for("the first status", lambda: "SERVING" in seen())
            begun = len(seen())
            network.cut()
            wait_for("the loss", lambda: len(seen()) > begun)
            assert seen()[begun] == "CLOSED"
            network.heal()
            wait_for("the return", lambda: seen()[-1] == "SERVING")
            program.send(signal.SIGINT)
            assert program.finish() == 130
