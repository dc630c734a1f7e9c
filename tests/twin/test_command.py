"""`tidegate twin` and `tidegate twin listeners` as a user has them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import aiohttp
import pytest

from infra.cli.main import main
from tests.support.processes import Program, tidegate
from tests.support.waiting import wait_for
from tests.twin.balancer import Balancer
from tests.twin.conftest import Client


def announced(descriptor: int) -> str:
    with os.fdopen(descriptor, "rb") as pipe:
        return str(json.loads(pipe.readline())["address"])


def api_of(program: Program) -> str:
    """`host:port`, from the URL that it prints."""

    def said() -> str:
        return program.stdout.strip()

    return wait_for("the URL", said).removeprefix("http://").partition("/")[0]


async def test_listeners_of_a_twin(tmp_path: Path) -> None:
    command = tidegate("twin", "--port", "0", "--client-region", "us-central1", "--client-region", "asia-east1")
    with Program(command, tmp_path) as program:
        api = api_of(program)

        def listeners(*arguments: str) -> str:
            return subprocess.check_output(
                tidegate("twin", "listeners", "--api", api, *arguments), cwd=Path(__file__).parents[2], text=True
            )

        assert listeners().strip() == "No forwarding rule yet."
        async with aiohttp.ClientSession() as session:
            await Balancer(Client(session, f"http://{api}")).make({"us-central1": ["127.0.0.1:9"]})
        found = wait_for(
            "two listeners", lambda: [one for one in json.loads(listeners("-o", "json")) if one["ready"]][1:]
        )
        assert found[0]["clientRegion"] == "asia-east1"
        lines = listeners().splitlines()
        assert lines[0].startswith("client region")
        assert [line.split()[:4] for line in lines[1:]] == [
            ["us-central1", "203.0.113.1", "443", "HTTPS"],
            ["asia-east1", "203.0.113.1", "443", "HTTPS"],
        ]
        program.send(signal.SIGTERM)
        assert program.finish() == 0


async def test_firewalls_say_in_words_what_they_close(tmp_path: Path) -> None:
    with Program(tidegate("twin", "--port", "0", "--enforce-firewalls"), tmp_path) as program:
        api = api_of(program)
        async with aiohttp.ClientSession() as session:
            await Balancer(Client(session, f"http://{api}")).make({"us-central1": ["127.0.0.1:9"]})
        reason = "no firewall rule of network default lets 35.191.0.0/16 to port 9 in"
        wait_for("the reason", lambda: reason in program.stderr)
        program.send(signal.SIGTERM)
        assert program.finish() == 0


def test_without_a_twin_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["twin", "listeners", "--api", "127.0.0.1:1"]) == 1
    said = capsys.readouterr().err
    assert "no twin answers at http://127.0.0.1:1/twin/v1/listeners" in said
    assert "start `tidegate twin`" in said


def test_who_starts_it_learns_its_address(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    with subprocess.Popen(
        tidegate("twin", "--port", "0", "--ready-fd", str(writer)), pass_fds=(writer,), cwd=Path(__file__).parents[2]
    ) as process:
        os.close(writer)
        host, _, port = announced(reader).rpartition(":")
        assert host == "127.0.0.1"
        assert int(port) > 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
