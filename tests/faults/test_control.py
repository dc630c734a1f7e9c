"""Orders from another process: the world's socket, and the command that speaks to it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from infra import unix_socket
from infra.cli.main import main
from infra.faults.control import CONTROL_SOCKET, order, serve_faults
from infra.faults.outcome import Outcome, SomeFailed
from infra.faults.target import FaultError
from tests.faults.pods import Pods

POD = "us-central1/0"


async def test_an_order_is_carried_out_and_answered(pods: Pods, tmp_path: Path) -> None:
    await pods.start(POD)
    async with serve_faults(tmp_path, pods.faults):
        (said,) = await order(tmp_path, "hang", "us-central1")
        assert str(said).startswith(f"{POD}: stands still")
        assert pods.faults.active() == {POD: "hang"}
        assert await order(tmp_path, "heal", POD) == [Outcome(POD, "", "goes on (SIGCONT)")]
        with pytest.raises(FaultError, match='there is no "mars"'):
            await order(tmp_path, "hang", "mars")


async def test_the_socket_is_its_owners_and_goes_with_the_world(pods: Pods, tmp_path: Path) -> None:
    path = tmp_path / CONTROL_SOCKET
    path.touch()
    async with serve_faults(tmp_path, pods.faults):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_ISSOCK(path.stat().st_mode)
    assert not path.exists()
    with pytest.raises(FaultError, match="start `tidegate up` first"):
        await order(tmp_path, "hang", POD)


async def test_a_folder_with_a_long_name_will_do(pods: Pods, tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 50)
    folder.mkdir()
    async with serve_faults(folder, pods.faults):
        with pytest.raises(FaultError, match="pods are none"):
            await order(folder, "hang", POD)


@pytest.mark.parametrize("line", [b"{", b"[]", b"{}", b'{"fault": 1, "where": "x"}', b"\xff"])
async def test_a_line_that_makes_no_sense_is_answered_and_the_next_one_heard(
    line: bytes, pods: Pods, tmp_path: Path
) -> None:
    async with serve_faults(tmp_path, pods.faults):
        reader, writer = await asyncio.open_unix_connection(tmp_path / CONTROL_SOCKET)
        for each in (line, b'{"fault": "hang", "where": "mars"}'):
            writer.write(each + b"\n")
            assert list(json.loads(await reader.readline())) == ["error"]
        writer.close()


async def test_a_line_without_end_ends_the_connection(pods: Pods, tmp_path: Path) -> None:
    async with serve_faults(tmp_path, pods.faults):
        reader, writer = await asyncio.open_unix_connection(tmp_path / CONTROL_SOCKET)
        writer.write(b"x" * (unix_socket.MAX_BYTES + 1))
        assert await reader.read() == b""
        writer.close()


async def test_the_end_of_the_world_ends_conversations_quietly(
    pods: Pods, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve_faults(tmp_path, pods.faults):
        reader, writer = await asyncio.open_unix_connection(tmp_path / CONTROL_SOCKET)
        writer.write(b"{}\n")
        await reader.readline()
    assert await reader.read() == b""
    writer.close()
    assert caplog.text == ""


async def test_the_command_prints_what_was_done(pods: Pods, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await pods.start(POD)
    async with serve_faults(tmp_path, pods.faults):
        directory = ["--directory", str(tmp_path)]
        assert await asyncio.to_thread(main, ["fault", "slow", "us-central1", *directory]) == 0
        assert capsys.readouterr().out == f"{POD}: takes 1 s longer for each call\n"
        assert await asyncio.to_thread(main, ["fault", "kill", "mars", *directory]) == 1
        output = capsys.readouterr()
    assert output.out == ""
    assert 'tidegate fault: there is no "mars"' in output.err


async def test_programs_get_what_became_of_each_pod(
    pods: Pods, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = await pods.start("us-central1/1")
    await pods.start(POD)

    async def said(fault: str, where: str) -> tuple[int, dict[str, Any], str]:
        """The exit status, what was printed, and the reason that people get."""
        command = ["fault", fault, where, "-o", "json", "--directory", str(tmp_path)]
        status = await asyncio.to_thread(main, command)
        output = capsys.readouterr()
        return status, json.loads(output.out), output.err

    async with serve_faults(tmp_path, pods.faults):
        assert await said("slow", POD) == (
            0,
            {
                "pods": [{"pod": POD, "fault": "slow", "done": "takes 1 s longer for each call", "error": None}],
                "error": None,
            },
            "",
        )
        status, document, reason = await said("kill", "us-central1")
        assert (status, document["pods"]) == (1, [])
        assert "heal first" in document["error"]
        assert "heal first" in reason

        os.kill(gone.app, signal.SIGKILL)
        await pods.ended(gone.name)
        status, document, reason = await said("slow", "us-central1")
        assert status == 1
        assert [(each["pod"], each["fault"]) for each in document["pods"]] == [(POD, "slow"), (gone.name, None)]
        assert document["pods"][0]["done"] == "has the fault slow already"
        assert "heal starts it anew" in document["pods"][1]["error"]
        assert document["error"] in reason


async def test_a_world_of_another_version_is_named(tmp_path: Path) -> None:
    async def answer(_: dict[str, Any]) -> dict[str, Any]:
        return {"pods": [{"pod": 1}]}

    async with unix_socket.serve(tmp_path / CONTROL_SOCKET, answer):
        with pytest.raises(FaultError, match="of another version"):
            await order(tmp_path, "hang", POD)


async def test_what_became_of_each_pod_survives_the_way(tmp_path: Path) -> None:
    sent = [Outcome(POD, "hang", "stands still"), Outcome("us-central1/1", "", error="process 1 has ended")]

    async def answer(_: dict[str, Any]) -> dict[str, Any]:
        return {"pods": [outcome.as_dict() for outcome in sent]}

    async with unix_socket.serve(tmp_path / CONTROL_SOCKET, answer):
        with pytest.raises(SomeFailed, match="us-central1/1: process 1 has ended") as failed:
            await order(tmp_path, "hang", "us-central1")
    assert list(failed.value.outcomes) == sent


def test_the_command_without_a_world_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fault", "kill", "us-central1", "--directory", str(tmp_path)]) == 1
    assert "start `tidegate up` first" in capsys.readouterr().err


def test_the_command_knows_its_faults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["fault", "explode", "us-central1"])
    assert end.value.code == 2
    assert "not-serving" in capsys.readouterr().err
