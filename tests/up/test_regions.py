"""The world of three regions: what `tidegate up` prints has to work as printed, and traffic leaves what is broken."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from infra.sample import ECHO, REVERSE
from infra.sample.messages import method_of
from infra.world.state import STATE_FILE
from tests.support.processes import ROOT, Program, descendants, tidegate, wait_until_gone
from tests.support.waiting import wait_for

pytest.importorskip("tidegate_core", reason="the native module is not built: run make build")

HOME = "us-central1"


@dataclass(frozen=True, slots=True)
class Running:
    """`lines` are the commands that were printed, by the sentence above each."""

    directory: Path
    state: dict[str, Any]
    lines: dict[str, str]

    def paste(self, about: str) -> str:
        """Runs the one line whose sentence contains `about`, in a shell; returns its output."""
        (line,) = [line for sentence, line in self.lines.items() if about in sentence]
        result = subprocess.run(["sh", "-c", line], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
        assert result.returncode == 0, f"{line}\n{result.stderr}"
        return result.stdout

    def run(self, *arguments: str) -> str:
        """A command of `tidegate`, in this world's directory."""
        command = tidegate(*arguments, "--directory", str(self.directory))
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    def call(self, service: str, token: str | None, region: str = HOME) -> tuple[str, str]:
        """(the answer's content, the pod's name) of a gRPC call by a client in a region. grpc.RpcError."""
        (listen,) = [each["listen"] for each in self.state["listeners"] if each["client_region"] == region]
        method = method_of(service)
        metadata = [("authorization", f"Bearer {token}")] if token else []
        credentials = grpc.ssl_channel_credentials(Path(self.state["authority"]).read_bytes())
        host = self.state["host"]
        options = [("grpc.ssl_target_name_override", host), ("grpc.default_authority", host)]
        with grpc.secure_channel(listen, credentials, options) as channel:
            send: Any = channel.unary_unary(method.path, lambda m: m.SerializeToString(), method.response.FromString)
            response, calling = send.with_call(method.request(content="hello"), metadata=metadata, timeout=30)
        return response.content, dict(calling.initial_metadata())["hostname"]

    def pods_that_answer(self, token: str, region: str = HOME, calls: int = 12) -> set[str]:
        return {self.call(ECHO, token, region)[1] for _ in range(calls)}

    def regions_that_answer(self, token: str, region: str = HOME) -> set[str]:
        return {pod.partition("/")[0] for pod in self.pods_that_answer(token, region)}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("up")
    directory = folder / "world"
    command = tidegate("up", "--port=0", "--api-port=0", "--directory", str(directory))
    with Program(command, folder) as up:

        def printed() -> bool:
            assert up.process.poll() is None, f"up ended early:\n{up.stderr}"
            return "Ctrl-C" in up.stdout

        wait_for("the printed lines", printed)
        state = json.loads((directory / STATE_FILE).read_text())
        lines = dict(re.findall(r"^  # (.+)\n  (.+)$", up.stdout, re.MULTILINE))
        everyone = descendants(up.pid)
        yield Running(directory, state, lines)
        up.process.terminate()
        up.finish()
        wait_until_gone(everyone)


def refusal(world: Running, token: str | None) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        world.call(ECHO, token)
    error: Any = caught.value
    return error.code(), error.details()


def test_without_a_token_a_call_is_refused(world: Running) -> None:
    assert refusal(world, None) == (grpc.StatusCode.UNAUTHENTICATED, "Jwt is missing")


@pytest.mark.real("curl")
def test_the_line_without_a_token_is_refused(world: Running) -> None:
    answer = world.paste("No token")
    assert answer.startswith("HTTP/2 401")
    assert json.loads(answer.splitlines()[-1]) == {"code": 401, "message": "Jwt is missing"}


@pytest.mark.real("curl")
def test_the_lines_with_a_token_are_answered(world: Running) -> None:
    for about, content in (("With a token", "hello"), ("other service", "olleh")):
        answer = world.paste(about)
        assert "HTTP/2 200" in answer
        assert json.loads(answer.splitlines()[-1]) == {"content": content}
        assert f"hostname: {HOME}/" in answer


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_every_algorithm_of_the_issuer_is_verified(algorithm: str, world: Running) -> None:
    assert world.call(REVERSE, world.run("token", "--alg", algorithm))[0] == "olleh"


def test_the_line_that_prints_a_token_works(world: Running) -> None:
    assert world.call(ECHO, world.paste("A token as").strip())[0] == "hello"


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ("--expired", grpc.StatusCode.UNAUTHENTICATED, "Jwt is expired"),
        ("--not-yet-valid", grpc.StatusCode.UNAUTHENTICATED, "Jwt not yet valid"),
        ("--wrong-key", grpc.StatusCode.UNAUTHENTICATED, "Jwt verification fails"),
        ("--wrong-audience", grpc.StatusCode.PERMISSION_DENIED, "Audiences in Jwt are not allowed"),
    ],
)
def test_a_bad_token_is_refused_for_its_fault(fault: str, code: grpc.StatusCode, message: str, world: Running) -> None:
    assert refusal(world, world.run("token", fault)) == (code, message)


def test_clients_are_served_in_their_own_region_by_all_its_pods(world: Running) -> None:
    token = world.run("token")
    for region in [each["client_region"] for each in world.state["listeners"]]:
        own = {pod["name"] for pod in world.state["pods"] if pod["region"] == region}
        assert len(own) == 2

        def all_of_them(region: str = region, own: set[str] = own) -> bool:
            return world.pods_that_answer(token, region) == own

        wait_for(f"all pods of {region}", all_of_them)


@pytest.mark.parametrize("fault", ["kill", "not-serving"])
def test_a_broken_region_is_left_and_found_again(fault: str, world: Running) -> None:
    token = world.run("token")

    def answering() -> set[str]:
        try:
            return world.regions_that_answer(token)
        except grpc.RpcError:
            # What was under way in the pods that were killed.
            return set()

    assert world.run("fault", fault, HOME).count(HOME) == 2
    wait_for("the other regions", lambda: answering() and HOME not in answering())
    world.run("fault", "heal", HOME)
    wait_for("the region itself", lambda: answering() == {HOME})


@pytest.mark.real("curl")
def test_the_lines_that_drain_a_region_lose_no_call(world: Running) -> None:
    token = world.run("token")
    world.paste(f"Drain {HOME} by hand")
    wait_for("the other regions", lambda: HOME not in world.regions_that_answer(token))
    world.paste("let it serve again")
    wait_for("the region itself", lambda: world.regions_that_answer(token) == {HOME})


@pytest.mark.real("gcloud")
def test_the_line_that_drains_a_region_with_gcloud_works(world: Running) -> None:
    token = world.run("token")
    world.paste("with gcloud")
    wait_for("the other regions", lambda: HOME not in world.regions_that_answer(token))
    world.paste("let it serve again")
    wait_for("the region itself", lambda: world.regions_that_answer(token) == {HOME})


@pytest.mark.real("curl")
def test_the_lines_that_break_a_region_work(world: Running) -> None:
    assert f"{HOME}/0: " in world.paste(f"Kill every process in {HOME}")
    assert f"{HOME}/1: " in world.paste("heal it")
    token = world.run("token")
    wait_for("the region itself", lambda: world.regions_that_answer(token) == {HOME})


@pytest.mark.real("curl")
def test_the_health_line_works(world: Running) -> None:
    answer = world.paste("Health needs no token")
    assert "HTTP/2 200" in answer
    assert json.loads(answer.splitlines()[-1]) == {"status": "SERVING"}


@pytest.mark.real("grpcurl")
def test_the_grpcurl_line_works(world: Running) -> None:
    assert json.loads(world.paste("same in gRPC")) == {"content": "hello"}


def test_a_pod_that_is_started_anew_is_in_the_file(world: Running) -> None:
    file = world.directory / STATE_FILE
    before = json.loads(file.read_text())["pods"][0]
    world.run("fault", "kill", before["name"])
    world.run("fault", "heal", before["name"])
    after = json.loads(file.read_text())["pods"][0]
    assert after["address"] == before["address"]
    assert {after["app_pid"], after["gateway_pid"]}.isdisjoint({before["app_pid"], before["gateway_pid"]})


def test_under_load_it_ends_by_itself_with_a_verdict(tmp_path: Path) -> None:
    clusters = tmp_path / "clusters.yaml"
    clusters.write_text("regions: [{name: us-central1, pods: 1}, {name: europe-west1, pods: 1}]")
    options = ("--port=0", "--api-port=0", "--clusters", str(clusters), "--directory", str(tmp_path / "world"))
    with Program(tidegate("up", "--for", "3s", "--load", "50/s", *options), tmp_path) as up:
        assert up.finish() == 0, up.stderr
    assert "clients in europe-west1: " in up.stdout
    assert re.search(r"^of [1-9]\d* calls 0 failed$", up.stderr, re.MULTILINE)
