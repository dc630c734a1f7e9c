"""`tidegate validate` with the native core: what only it knows of descriptors and HTTP bindings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.configuration.validate import run
from tests.gateway.core import document
from tidegate_core import Core, SnapshotError, check_snapshot

SAMPLE = Path(__file__).parents[2] / "infra" / "sample" / "api.pb"
SERVICE = """\
name: x.example.com
apis: [{name: api.Echo}, {name: grpc.health.v1.Health}]
http:
  rules:
  - selector: api.Echo.Echo
    get: /v1/{contents}
    additional_bindings:
    - post: /v1/echo
      body: contant
    - put: /v1/echo
      body: "*"
      response_body: hostname
    - patch: /v1/{content}
  - selector: grpc.health.v1.Health.Watch
    get: /v1/watch
"""
GATEWAY = """\
apiVersion: tidegate.dev/v1
kind: Gateway
spec:
  listeners:
  - name: edge
    address: 127.0.0.1:0
    tls: {certificates: [{directory: /nowhere}]}
  backends:
  - name: app
    targets: [127.0.0.1:50051]
  api:
    descriptors: [%s]
    http:
    - selector: api.Echo.Echo
      post: /v1/echo
      body: contant
"""


def validate(*paths: Path) -> tuple[int, list[str]]:
    out: list[str] = []
    status = run([str(path) for path in paths], out.append, out.append)
    return status, "".join(out).splitlines()


def test_every_binding_that_does_not_fit_its_message_is_named(tmp_path: Path) -> None:
    file = tmp_path / "service.yaml"
    file.write_text(SERVICE)
    status, lines = validate(file, SAMPLE)
    assert status == 1
    expected = [
        (f"{file}:6: http.rules[0].get: api.Echo.Echo, GET /v1/{{contents}}: ", "contents"),
        (f"{file}:9: http.rules[0].additional_bindings[0].body: api.Echo.Echo, POST /v1/echo: ", "contant"),
        (f"{file}:12: http.rules[0].additional_bindings[1].response_body: api.Echo.Echo, PUT /v1/echo: ", "hostname"),
        (f"{file}:15: http.rules[1].get: grpc.health.v1.Health.Watch, GET /v1/watch: ", "streaming"),
    ]
    errors = [line for line in lines if line.startswith(f"{file}:")]
    for error, (place, said) in zip(errors, expected, strict=True):
        assert error.startswith(place)
        assert said in error


def test_a_gateway_yaml_is_checked_without_its_certificates(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(GATEWAY % SAMPLE)
    status, lines = validate(file)
    assert status == 1
    assert [line for line in lines if line.startswith(f"{file}:")] == [
        f"{file}:16: spec.api.http[0].body: api.Echo.Echo, POST /v1/echo: `api.EchoRequest` has no field `contant`"
    ]
    file.write_text((GATEWAY % SAMPLE).replace("contant", "content"))
    status, lines = validate(file)
    assert (status, lines[-1]) == (0, f"{file}: gateway.yaml, valid")


@pytest.mark.parametrize(
    "changed", [{"routes": [{"name": "all", "backends": [{"name": "other"}]}]}, {"versions": 1}, {}], ids=str
)
def test_a_snapshot_is_checked_as_it_is_applied(changed: dict[str, object]) -> None:
    snapshot = json.dumps({**document("127.0.0.1:50051"), **changed}).encode()
    core = Core(1)
    try:
        core.apply(snapshot)
        faults = []
    except SnapshotError as error:
        faults = error.args[0]
    finally:
        core.stop()
    assert bool(faults) == bool(changed)
    assert check_snapshot(snapshot) == faults
