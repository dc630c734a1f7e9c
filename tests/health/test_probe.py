"""`tidegate probe` against real gRPC servers and against what else may stand at an address."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from healthcheck.probe.command import main
from tests.health.servers import resetting, saying, serving, silent
from tests.support.backends import GrpcBackend
from tests.support.certificates import Authority
from tests.support.processes import ROOT, Program
from tests.support.waiting import wait_for

PATIENT = ("-connect-timeout=60s", "-rpc-timeout=60s")
"""Machines under load are slow; only what is to time out gets less."""


class Seen:
    """What a probe printed and how it ended."""

    def __init__(self, status: int, output: str) -> None:
        self.status = status
        self.text = output

    @property
    def observations(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def probe(capsys: pytest.CaptureFixture[str]) -> Any:
    """`probe("-addr", ...)` runs the command in this process."""

    def run(*arguments: str) -> Seen:
        status = main([*PATIENT, *arguments])
        output = capsys.readouterr()
        assert output.err == ""
        return Seen(status, output.out)

    return run


@pytest.fixture
def backend() -> Iterator[GrpcBackend]:
    with GrpcBackend() as backend:
        yield backend


@contextmanager
def bare_server(**options: Any) -> Iterator[tuple[grpc.Server, str]]:
    """A gRPC server without services."""
    server = grpc.server(ThreadPoolExecutor(4), **options)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield server, f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def test_a_grpc_server_that_serves(probe: Any, backend: GrpcBackend) -> None:
    backend.set_serving(True)
    backend.set_serving(True, "pkg.Service")
    for arguments in (("-addr", backend.address), (f"--addr={backend.address}", "--service=pkg.Service")):
        seen = probe(*arguments)
        assert (seen.status, seen.text) == (0, "status: SERVING\n")
    assert probe(f"grpc://{backend.address}/pkg.Service").status == 0


def test_one_that_does_not(probe: Any, backend: GrpcBackend) -> None:
    backend.set_serving(False)
    seen = probe(backend.address)
    assert (seen.status, seen.text) == (4, "status: NOT_SERVING\n")


def test_a_service_that_it_does_not_know(probe: Any, backend: GrpcBackend) -> None:
    seen = probe(backend.address, "-service=nobody")
    assert seen.status == 3
    assert "SERVICE_UNKNOWN" in seen.text


def test_one_without_the_health_service(probe: Any) -> None:
    with bare_server() as (_, address):
        seen = probe(address)
        assert seen.status == 3
        assert "UNIMPLEMENTED" in seen.text


def test_compressed_questions_and_answers(probe: Any) -> None:
    with bare_server(compression=grpc.Compression.Gzip) as (server, address):
        servicer = health.HealthServicer()
        servicer.set("pkg.A-rather-long-name-of-a-service", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        seen = probe(address, "-gzip", "-service=pkg.A-rather-long-name-of-a-service")
        assert (seen.status, seen.text) == (0, "status: SERVING\n")


def test_headers_reach_the_server(probe: Any) -> None:
    arrived: list[dict[str, Any]] = []

    class Recorder(health.HealthServicer):
        def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
            arrived.append({**dict(context.invocation_metadata()), "left": context.time_remaining()})
            return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)

    with bare_server() as (server, address):
        health_pb2_grpc.add_HealthServicer_to_server(Recorder(), server)
        seen = probe(address, "-rpc-header", "X-Key: a value", "-user-agent=my-agent", "-rpc-timeout=300s")
        assert seen.status == 0
    assert arrived[0]["x-key"] == "a value"
    assert arrived[0]["user-agent"] == "my-agent"
    assert 100 < arrived[0]["left"] <= 300


def test_a_unix_socket(probe: Any, tmp_path: Path) -> None:
    with GrpcBackend(address=f"unix:{tmp_path}/app.sock") as backend:
        backend.set_serving(True)
        assert probe(f"unix:{tmp_path}/app.sock").status == 0
    assert probe(f"unix:{tmp_path}/nobody.sock").status == 2


def test_tls_and_mutual_tls(probe: Any, tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path_of(tmp_path, "other"))
    own = authority.issue("127.0.0.1", "app.example")
    client = authority.issue("probe", stem="client")
    pair = (own.key.read_bytes(), own.chain.read_bytes())
    trust = ("-tls", f"-tls-ca-cert={authority.ca}")
    with GrpcBackend(credentials=grpc.ssl_server_credentials([pair])) as backend:
        backend.set_serving(True)
        assert probe(backend.address, *trust).status == 0
        assert probe(f"grpcs://{backend.address}", *trust[1:], "-tls-server-name=app.example").status == 0
        assert probe(backend.address, "-tls", "-tls-no-verify").status == 0
        assert probe(f"tls://{backend.address}", *trust[1:]).status == 0
        for refused in (
            (*trust, "-tls-server-name=other.example"),
            ("-tls", f"-tls-ca-cert={stranger.ca}"),
            ("-connect-timeout=60s",),
        ):
            assert probe(backend.address, *refused).status == 2
    mutual = grpc.ssl_server_credentials([pair], authority.ca.read_bytes(), require_client_auth=True)
    with GrpcBackend(credentials=mutual) as backend:
        backend.set_serving(True)
        assert probe(backend.address, *trust).status == 2
        shown = (f"-tls-client-cert={client.chain}", f"-tls-client-key={client.key}")
        assert probe(backend.address, *trust, *shown).status == 0


def tmp_path_of(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    return folder


def test_tls_where_there_is_none(probe: Any, backend: GrpcBackend) -> None:
    seen = probe(backend.address, "-tls", "-tls-no-verify")
    assert seen.status == 2
    assert "TLS_FAILED" in seen.text


def test_nobody_listens(probe: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    seen = probe(address)
    assert (seen.status, seen.text) == (2, "error: REFUSED (connection refused)\n")


def test_a_server_that_never_answers(probe: Any) -> None:
    with serving(silent) as address:
        seen = probe(address, "-connect-timeout=100ms")
        assert seen.status == 2
        assert "CONNECT_TIMEOUT" in seen.text
        seen = probe(f"http://{address}", "-rpc-timeout=100ms")
        assert seen.status == 3
        assert "ANSWER_TIMEOUT (no answer within 100ms)" in seen.text


def test_a_call_that_is_never_answered(probe: Any) -> None:
    class Sleeper(health.HealthServicer):
        def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
            wait_for("the client to leave", lambda: not context.is_active())

    with bare_server() as (server, address):
        health_pb2_grpc.add_HealthServicer_to_server(Sleeper(), server)
        seen = probe(address, "-rpc-timeout=200ms")
        assert seen.status == 3


@pytest.mark.parametrize(
    ("serve", "target", "status", "text"),
    [
        (resetting, "{}", 2, "CLOSED"),
        (resetting, "http://{}", 3, "CLOSED"),
        (saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "{}", 2, "the server speaks HTTP/1.1"),
        (saying(b"\0" * 100), "{}", 2, "PROTOCOL_ERROR"),
        (saying(b"what?\r\n"), "http://{}", 3, "PROTOCOL_ERROR"),
        (
            saying(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
            "http://{}/healthz",
            0,
            "status: SERVING (HTTP 200)",
        ),
        (saying(b"HTTP/1.1 503 Down\r\n\r\n"), "http://{}", 4, "status: HTTP_STATUS (HTTP 503)"),
        (silent, "tcp://{}", 0, "status: SERVING (takes connections)"),
    ],
)
def test_other_servers(probe: Any, serve: Any, target: str, status: int, text: str) -> None:
    with serving(serve) as address:
        seen = probe(target.format(address))
        assert (seen.status, text in seen.text) == (status, True), seen.text


def test_several_targets_and_json(probe: Any, backend: GrpcBackend) -> None:
    backend.set_serving(True)
    backend.set_serving(False, "pkg.Service")
    targets = (backend.address, f"grpc://{backend.address}/pkg.Service", f"tcp://{backend.address}")
    seen = probe(*targets, "-o", "json")
    assert seen.status == 4
    outcomes = {observation["target"]: observation["outcome"] for observation in seen.observations}
    assert outcomes == dict(zip(targets, ("SERVING", "NOT_SERVING", "SERVING"), strict=True))
    named = probe(*targets, "-v").text
    assert f"{targets[1]}: status: NOT_SERVING\n  {backend.address}, connected in " in named


def test_watching_tells_each_change_and_ends_on_a_signal(backend: GrpcBackend, tmp_path: Path) -> None:
    backend.set_serving(True)
    command = [sys.executable, "-m", "infra.cli.main", "probe", "-watch", "-o=json", *PATIENT, backend.address]
    with Program(command, tmp_path) as program:

        def outcomes() -> list[str]:
            lines = program.stdout.splitlines(keepends=True)
            return [json.loads(line)["outcome"] for line in lines if line.endswith("\n")]

        wait_for("the first status", lambda: outcomes() == ["SERVING"])
        backend.set_serving(False)
        wait_for("the change", lambda: outcomes() == ["SERVING", "NOT_SERVING"])
        backend.set_serving(False)
        backend.set_serving(True)
        wait_for("the change back", lambda: outcomes() == ["SERVING", "NOT_SERVING", "SERVING"])
        program.send(signal.SIGINT)
        assert program.finish() == 130
        assert program.stderr == ""


def test_a_reader_that_leaves_ends_a_watch(backend: GrpcBackend, tmp_path: Path) -> None:
    backend.set_serving(True)
    command = [sys.executable, "-m", "infra.cli.main", "probe", "-watch", *PATIENT, backend.address]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b"SERVING" in process.stdout.readline()
        process.stdout.close()
        backend.set_serving(False)
        assert process.wait(60) == 141


def test_a_probe_imports_next_to_nothing(backend: GrpcBackend) -> None:
    backend.set_serving(True)
    program = (
        "import sys; from infra.cli.main import main; status = main(sys.argv[1:]);"
        "print(*sys.modules, file=sys.stderr); sys.exit(status)"
    )
    command = [sys.executable, "-c", program, "probe", *PATIENT, backend.address]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in result.stderr.split()}
    heavy = {
        "argparse",
        "asyncio",
        "dataclasses",
        "gateway",
        "google",
        "grpc",
        "inspect",
        "logging",
        "pathlib",
        "socket",
    }
    assert loaded & heavy == set()
