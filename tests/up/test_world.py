"""`tidegate up` as its user meets it: a process that is started, signalled and killed. One region of one pod."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from infra.sample import ECHO, REVERSE
from infra.sample.messages import method_of
from infra.world.state import LOCK_FILE, STATE_FILE
from tests.support.processes import ROOT, Program, descendants, is_running, tidegate, wait_until_gone
from tests.support.waiting import wait_for

pytest.importorskip("tidegate_core", reason="the native module is not built: run make build")

Start = Callable[..., Program]
CLUSTERS = "regions: [{name: us-central1, pods: 1}]"
POD = "us-central1/0"


def command(folder: Path) -> list[str]:
    clusters = folder / "clusters.yaml"
    clusters.write_text(CLUSTERS)
    start = [sys.executable, "-m", "tests.up.fake_world", "--port=0", "--api-port=0", "--clusters", str(clusters)]
    return [*start, "--directory", str(folder / "world")]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts `up` with the fake twin, on free ports, in `tmp_path / "world"`."""

    def start_world(*arguments: str, environment: dict[str, str] | None = None) -> Program:
        return Program([*command(tmp_path), *arguments], tmp_path, environment)

    return start_world


def wait_until_ready(program: Program, directory: Path) -> dict[str, Any]:
    """The content of up.json, once this very `up` wrote it."""

    def look() -> dict[str, Any]:
        assert program.process.poll() is None, f"up ended early:\n{program.stderr}"
        state: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return state if state.get("pid") == program.pid else {}

    path = directory / STATE_FILE
    return wait_for("up.json", look)


def pids_of(state: dict[str, Any]) -> set[int]:
    pods = {pid for pod in state["pods"] for pid in (pod["app_pid"], pod["gateway_pid"])}
    return pods | {state[part]["pid"] for part in ("issuer", "twin")}


def test_it_ends_by_itself_and_leaves_nothing(start: Start, tmp_path: Path) -> None:
    with start("--for", "1s") as up:
        state = wait_until_ready(up, tmp_path / "world")
        everyone = descendants(up.pid)
        assert pids_of(state) < everyone, "the guard is one more"
        assert up.finish() == 0, up.stderr
        wait_until_gone(everyone)
    assert not (tmp_path / "world" / STATE_FILE).exists()
    for address in (state["listeners"][0]["listen"], state["issuer"]["url"], state["twin"]["api"]):
        assert address in up.stdout
    assert "curl" in up.stdout
    assert "ready" in up.stderr


def test_json_output_is_what_the_file_says(start: Start, tmp_path: Path) -> None:
    with start("--for", "1s", "-o", "json") as up:
        state = wait_until_ready(up, tmp_path / "world")
        assert up.finish() == 0, up.stderr
    assert json.loads(up.stdout) == state
    assert state["pid"] == up.pid
    assert [pod["name"] for pod in state["pods"]] == [POD]
    assert [each["client_region"] for each in state["listeners"]] == ["us-central1"]


def test_the_app_of_a_pod_answers_for_both_services(start: Start, tmp_path: Path) -> None:
    with start() as up:
        (pod,) = wait_until_ready(up, tmp_path / "world")["pods"]
        with grpc.insecure_channel(pod["app"]) as channel:
            for service, answer in ((ECHO, "abc"), (REVERSE, "cba")):
                method = method_of(service)
                send: Any = channel.unary_unary(
                    method.path, lambda m: m.SerializeToString(), method.response.FromString
                )
                response, calling = send.with_call(method.request(content="abc"), timeout=30)
                assert response.content == answer
                assert dict(calling.initial_metadata())["hostname"] == POD


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything(number: signal.Signals, start: Start, tmp_path: Path) -> None:
    with start() as up:
        wait_until_ready(up, tmp_path / "world")
        everyone = descendants(up.pid)
        up.send(number)
        assert up.finish() == 0, up.stderr
        wait_until_gone(everyone)
    assert "Traceback" not in up.stderr
    assert "never retrieved" not in up.stderr


def test_a_signal_during_the_start_ends_everything(start: Start, tmp_path: Path) -> None:
    with start("--fault", "unready") as up:
        log = tmp_path / "world" / "logs" / "us-central1-0-gateway.log"
        wait_for("the gateway's start", log.exists)
        everyone = descendants(up.pid)
        up.send(signal.SIGINT)
        assert up.finish() == 1
        wait_until_gone(everyone)
    assert "before everything was ready" in up.stderr


def test_a_kill_of_up_ends_everything_below_it(start: Start, tmp_path: Path) -> None:
    grandchild = tmp_path / "grandchild"
    with start("--spawn", str(grandchild)) as up:
        state = wait_until_ready(up, tmp_path / "world")
        wait_for("the grandchild", grandchild.exists)
        everyone = descendants(up.pid)
        assert pids_of(state) | {int(grandchild.read_text())} < everyone
        up.send(signal.SIGKILL)
        assert up.finish() == -signal.SIGKILL
        wait_until_gone(everyone)
    with start("--for", "1s") as next_up:
        wait_until_ready(next_up, tmp_path / "world")
        assert next_up.finish() == 0, next_up.stderr


def test_a_second_signal_does_not_wait_for_the_stubborn(start: Start, tmp_path: Path) -> None:
    with start("--patient") as up:
        state = wait_until_ready(up, tmp_path / "world")
        everyone = descendants(up.pid)
        os.kill(state["pods"][0]["gateway_pid"], signal.SIGSTOP)
        up.send(signal.SIGTERM)
        wait_for("the first signal's effect", lambda: "stopping" in up.stderr)
        up.send(signal.SIGTERM)
        up.finish()
        wait_until_gone(everyone)


@pytest.mark.parametrize("victim", ["twin", "issuer", "guard"])
def test_a_vital_process_that_dies_is_named_and_ends_the_world(victim: str, start: Start, tmp_path: Path) -> None:
    with start() as up:
        state = wait_until_ready(up, tmp_path / "world")
        everyone = descendants(up.pid)
        (guard,) = everyone - pids_of(state)
        os.kill(guard if victim == "guard" else state[victim]["pid"], signal.SIGKILL)
        assert up.finish() == 1
        wait_until_gone(everyone)
    assert victim in up.stderr.splitlines()[-1] or f"{victim} ended on its own (killed by SIGKILL)" in up.stderr


@pytest.mark.parametrize("part", ["app", "gateway"])
def test_a_pod_that_dies_is_told_and_can_be_healed(part: str, start: Start, tmp_path: Path) -> None:
    with start() as up:
        state = wait_until_ready(up, tmp_path / "world")
        os.kill(state["pods"][0][f"{part}_pid"], signal.SIGKILL)
        wait_for("the trouble", lambda: f"{POD}: its {part} has ended (killed by SIGKILL)" in up.stderr)
        assert is_running(state["twin"]["pid"])
        wait_for("its line", lambda: "us-central1: 0/1 ready, 1 gone" in up.stdout)
        heal = ["fault", "heal", POD, "--directory", str(tmp_path / "world")]
        healed = subprocess.run(tidegate(*heal), cwd=ROOT, capture_output=True, text=True, check=True)
        assert healed.stdout == f"{POD}: started anew\n"
        wait_for("its return", lambda: f"{POD}: healthy again" in up.stderr)
        up.send(signal.SIGTERM)
        assert up.finish() == 1
    assert f"tidegate up: {POD}: " in up.stderr


def test_a_pod_that_was_ever_unhealthy_is_told_and_remembered(start: Start, tmp_path: Path) -> None:
    with start() as up:
        state = wait_until_ready(up, tmp_path / "world")
        app = state["pods"][0]["app_pid"]
        os.kill(app, signal.SIGUSR1)
        wait_for("the trouble", lambda: "answers 503" in up.stderr)
        os.kill(app, signal.SIGUSR2)
        wait_for("its end", lambda: f"{POD}: healthy again" in up.stderr)
        up.send(signal.SIGTERM)
        assert up.finish() == 1
    assert f"tidegate up: {POD}: GET https://" in up.stderr


def test_a_process_that_ends_at_once_is_quoted(start: Start) -> None:
    with start("--fault", "exit") as up:
        assert up.finish() == 1
    assert "twin ended before it was ready (exit status 3)" in up.stderr
    assert "cannot serve: this is the fault that was asked for" in up.stderr


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("open", "answers 200 instead of 401"),
        ("refuse", "answers 403: Quota exceeded."),
    ],
)
def test_a_load_balancer_that_does_not_do_its_work_is_not_ready(
    fault: str, said: str, start: Start, tmp_path: Path
) -> None:
    with start("--fault", fault) as up:
        assert up.finish() == 1
    assert said in up.stderr
    assert up.stdout == ""
    assert not (tmp_path / "world" / STATE_FILE).exists()


def test_what_is_not_ready_in_time_is_named(start: Start) -> None:
    with start("--ready-timeout", "1ms") as up:
        assert up.finish() == 1
    assert "was not ready after 0.001 s" in up.stderr


def test_a_second_up_in_the_same_directory_is_refused(start: Start, tmp_path: Path) -> None:
    with start() as first:
        wait_until_ready(first, tmp_path / "world")
        with start() as second:
            assert second.finish() == 1
        assert f"kill {first.pid}" in second.stderr
        assert (tmp_path / "world" / STATE_FILE).exists()
        assert is_running(first.pid)


def test_a_directory_that_cannot_be_is_named(start: Start, tmp_path: Path) -> None:
    (tmp_path / "world").touch()
    with start() as up:
        assert up.finish() == 1
    assert f"{tmp_path / 'world'} cannot be the world's folder (it is a file)" in up.stderr


def test_a_lock_without_an_owner_is_taken(start: Start, tmp_path: Path) -> None:
    (tmp_path / "world").mkdir()
    (tmp_path / "world" / LOCK_FILE).write_text("1\n")
    (tmp_path / "world" / STATE_FILE).write_text("{}")
    with start("--fault", "exit") as up:
        up.finish()
    assert "ended before it was ready" in up.stderr
    assert not (tmp_path / "world" / STATE_FILE).exists()


@pytest.mark.parametrize("option", ["--port", "--api-port"])
def test_a_port_in_use_is_named(option: str, start: Start) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with start(option, str(port)) as up:
            assert up.finish() == 1
        assert f"port {port}" in up.stderr


def test_two_worlds_live_side_by_side(start: Start, tmp_path: Path) -> None:
    with start() as first:
        one = wait_until_ready(first, tmp_path / "world")
        with start("--directory", str(tmp_path / "other")) as second:
            other = wait_until_ready(second, tmp_path / "other")
            assert one["pods"][0]["address"] != other["pods"][0]["address"]
            assert one["issuer"]["url"] != other["issuer"]["url"]


def test_a_file_of_clusters_is_refused_with_every_fault(tmp_path: Path, start: Start) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("regions:\n- name: us-centrall\n- name: europe-west1\n  pods: 0\n")
    with start("--clusters", str(file)) as up:
        assert up.finish() == 1
    assert f'{file}:2: regions[0].name: the twin has no region "us-centrall" (did you mean "us-central1"?)' in up.stderr
    assert f"{file}:4: regions[1].pods: 0 is not between 1 and 64" in up.stderr


def test_settings_for_an_operators_gateway_do_not_reach_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from infra.world.children import environment

    monkeypatch.setenv("TIDEGATE_BACKEND", "grpc://elsewhere:1")
    monkeypatch.setenv("KEPT", "yes")
    variables = environment()
    assert "TIDEGATE_BACKEND" not in variables
    assert variables["KEPT"] == "yes"


def test_a_reader_that_has_gone_ends_the_world_quietly(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    directory = tmp_path / "world"
    start = [*command(tmp_path), "-o", "json"]
    up = subprocess.Popen(start, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    _, stderr = up.communicate(timeout=60)
    assert up.returncode == 141
    assert b"Traceback" not in stderr
    assert not (directory / STATE_FILE).exists()
