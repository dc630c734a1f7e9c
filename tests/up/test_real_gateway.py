"""The world with the real gateway: what `tidegate up` prints has to work as printed."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
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


@dataclass(frozen=True, slots=True)
class World:
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

    def token(self, *options: str) -> str:
        command = tidegate("token", "--directory", str(self.directory), *options)
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    def call(self, service: str, token: str | None) -> tuple[str, str]:
        """(the answer's content, the pod's name) of a gRPC call through the gateway. grpc.RpcError."""
        method = method_of(service)
        metadata = [("authorization", f"Bearer {token}")] if token else []
        with grpc.insecure_channel(self.state["gateway"]["address"]) as channel:
            send: Any = channel.unary_unary(method.path, lambda m: m.SerializeToString(), method.response.FromString)
            response, calling = send.with_call(method.request(content="hello"), metadata=metadata, timeout=30)
        return response.content, dict(calling.initial_metadata())["hostname"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("up")
    directory = folder / "world"
    command = tidegate("up", "--port=0", "--admin-port=0", "--directory", str(directory))
    with Program(command, folder) as up:

        def printed() -> bool:
            assert up.process.poll() is None, f"up ended early:\n{up.stderr}"
            return "Ctrl-C" in up.stdout

        wait_for("the printed lines", printed)
        state = json.loads((directory / STATE_FILE).read_text())
        lines = dict(re.findall(r"^  # (.+)\n  (.+)$", up.stdout, re.MULTILINE))
        everyone = descendants(up.pid)
        yield World(directory, state, lines)
        up.process.terminate()
        up.finish()
        wait_until_gone(everyone)


def refusal(world: World, token: str | None) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        world.call(ECHO, token)
    error: Any = caught.value
    return error.code(), error.details()


def test_without_a_token_a_call_is_refused(world: World) -> None:
    assert refusal(world, None) == (grpc.StatusCode.UNAUTHENTICATED, "Jwt is missing")


@pytest.mark.real("curl")
def test_the_line_without_a_token_is_refused(world: World) -> None:
    answer = world.paste("No token")
    assert "HTTP/1.1 401" in answer
    assert json.loads(answer.splitlines()[-1]) == {"code": 401, "message": "Jwt is missing"}


@pytest.mark.real("curl")
def test_the_lines_with_a_token_are_answered(world: World) -> None:
    for about, content, pods in (
        ("With a token", "hello", ("echo-0", "echo-1")),
        ("other service", "olleh", ("reverse-0", "reverse-1")),
    ):
        answer = world.paste(about)
        assert "HTTP/1.1 200" in answer
        assert json.loads(answer.splitlines()[-1]) == {"content": content}
        assert any(f"hostname: {pod}" in answer for pod in pods)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_every_algorithm_of_the_issuer_is_verified(algorithm: str, world: World) -> None:
    assert world.call(REVERSE, world.token("--alg", algorithm))[0] == "olleh"


def test_both_pods_of_a_service_answer(world: World) -> None:
    token = world.token()
    seen: set[str] = set()

    def both() -> bool:
        seen.add(world.call(ECHO, token)[1])
        return seen == {"echo-0", "echo-1"}

    wait_for("both pods", both)


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ("--expired", grpc.StatusCode.UNAUTHENTICATED, "Jwt is expired"),
        ("--not-yet-valid", grpc.StatusCode.UNAUTHENTICATED, "Jwt not yet valid"),
        ("--wrong-key", grpc.StatusCode.UNAUTHENTICATED, "Jwt verification fails"),
        ("--wrong-audience", grpc.StatusCode.PERMISSION_DENIED, "Audiences in Jwt are not allowed"),
    ],
)
def test_a_bad_token_is_refused_for_its_fault(fault: str, code: grpc.StatusCode, message: str, world: World) -> None:
    assert refusal(world, world.token(fault)) == (code, message)


def test_health_follows_the_app_both_ways(world: World) -> None:
    def health() -> tuple[int, str]:
        connection = HTTPConnection(world.state["gateway"]["address"], timeout=30)
        connection.request("GET", "/v1/health")
        response = connection.getresponse()
        answer = response.status, json.loads(response.read())["status"]
        connection.close()
        return answer

    assert health() == (200, "SERVING")
    world.paste("stops serving")
    wait_for("503", lambda: health() == (503, "NOT_SERVING"))
    world.paste("serves again")
    wait_for("200", lambda: health() == (200, "SERVING"))


@pytest.mark.real("curl")
def test_the_health_line_works(world: World) -> None:
    answer = world.paste("Health needs no token")
    assert "HTTP/1.1 200" in answer
    assert json.loads(answer.splitlines()[-1]) == {"status": "SERVING"}


@pytest.mark.real("grpcurl")
def test_the_grpcurl_line_works(world: World) -> None:
    assert json.loads(world.paste("same in gRPC")) == {"content": "hello"}


def test_it_ends_by_itself_with_a_verdict(tmp_path: Path) -> None:
    options = ("--for", "1s", "--port=0", "--admin-port=0", "--directory", str(tmp_path / "world"))
    with Program(tidegate("up", *options), tmp_path) as up:
        assert up.finish() == 0, up.stderr
