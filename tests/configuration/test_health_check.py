"""A backend's `healthCheck`: what it means, what is refused, and what the prober is asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.admin.redact import REDACTED, configuration
from gateway.configuration.model import Backend, BackendTls, HealthCheck
from gateway.snapshot import compile_checks, sources
from tests.configuration.test_gateway_yaml import HEAD, errors, load_text
from tests.process.fakes import plain_config
from tests.process.test_admin import FACTS

WHOLE = """\
      protocol: http2
      path: /ready?full=1
      host: app.example:8080
      expectedStatuses: [200, 300-307]
      headers: [{name: X-Token, value: s3cret}]
      interval: 250ms
      noTrafficInterval: 2m
      jitterPercent: 0
      timeout: 3s
      unhealthyThreshold: 5
      healthyThreshold: 1
      flapDamping: false
      port: 8081
"""


def backend(directory: Path, check: str, more: str = "") -> Backend:
    text = f"{HEAD}  backends:\n  - name: app\n    targets: ['10.0.0.1:1']\n{more}    healthCheck:{check}\n"
    return load_text(directory, text).config.backends[0]


def refusals(directory: Path, check: str, target: str = "10.0.0.1:1") -> list[str]:
    head = f"{HEAD}  backends:\n  - name: app\n    targets: ['{target}']\n    healthCheck:\n"
    found = errors(directory, head + check)
    return [
        text.removeprefix(f"{directory}/gateway.yaml:").replace("spec.backends[0].healthCheck", "*") for text in found
    ]


def target(directory: Path, check: str, more: str = "") -> dict[str, Any]:
    made = backend(directory, check, more)
    requests = compile_checks(plain_config(backends=(made, Backend("plain", ()))))
    assert list(requests) == ["app"]
    (found,) = json.loads(requests["app"])["targets"]
    assert isinstance(found, dict)
    return found


def test_nothing_said_is_watch_each_second(tmp_path: Path) -> None:
    assert backend(tmp_path, " {}").health_check == HealthCheck()
    asked = target(tmp_path, " {}")
    assert (asked["kind"], asked["watch"], asked["service"], asked["authority"]) == ("grpc", True, "", "")
    assert (asked["interval_ms"], asked["quiet_interval_ms"], asked["answer_timeout_ms"]) == (1000, 60000, 1000)
    assert (
        load_text(tmp_path, HEAD + "  backends: [{name: app, targets: ['10.0.0.1:1']}]\n")
        .config.backends[0]
        .health_check
        is None
    )


def test_all_that_can_be_said(tmp_path: Path) -> None:
    check = backend(tmp_path, "\n" + WHOLE).health_check
    assert check is not None
    assert (check.port, check.unhealthy_threshold, check.healthy_threshold, check.flap_damping) == (8081, 5, 1, False)
    asked = target(tmp_path, "\n" + WHOLE)
    assert asked["headers"] == [["x-token", "s3cret"]]
    assert asked["expected_statuses"] == [[200, 200], [300, 307]]
    assert (asked["kind"], asked["path"], asked["authority"]) == ("http2", "/ready?full=1", "app.example:8080")
    assert (asked["interval_ms"], asked["quiet_interval_ms"], asked["jitter_percent"]) == (250, 120000, 0)
    assert (asked["connect_timeout_ms"], asked["watch"], asked["tls"]) == (3000, False, None)


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    made = backend(tmp_path, "\n" + WHOLE)
    assert "s3cret" not in repr(made)
    shown = json.dumps(configuration(replace(FACTS, config=plain_config(backends=(made,)))))
    assert "s3cret" not in shown
    assert REDACTED in shown


def test_tls_is_the_backends_unless_said_otherwise(tmp_path: Path) -> None:
    own = "    tls: {ca: own.pem, serverName: own.example}\n    authority: api.example\n"
    check = backend(tmp_path, " {}", own).health_check
    assert check is not None
    assert check.tls == BackendTls(ca=tmp_path / "own.pem", server_name="own.example")
    assert check.host == "api.example"
    other = backend(tmp_path, " {tls: {ca: other.pem, serverName: other.example}}", own)
    assert other.health_check is not None
    assert other.health_check.tls == BackendTls(ca=tmp_path / "other.pem", server_name="other.example")
    bare = backend(tmp_path, " {cleartext: true}", own).health_check
    assert bare is not None
    assert bare.tls is None
    assert {tmp_path / "own.pem", tmp_path / "other.pem"} <= set(sources(plain_config(backends=(other,))))


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ("      protocol: https\n", '8: *.protocol: "https" is none of grpc, http, http2, tcp'),
        ("      path: /x\n", "8: *.path: protocol grpc has no path"),
        ("      protocol: tcp\n      service: x\n", "9: *.service: protocol tcp has no service"),
        ("      protocol: http\n      path: 'no path'\n", '9: *.path: "no path" is no path of a URL'),
        ("      protocol: http\n      expectedStatuses: [99]\n", '9: *.expectedStatuses[0]: "99" is no HTTP status'),
        ("      protocol: http\n      expectedStatuses: [300-200]\n", '9: *.expectedStatuses[0]: "300-200" is no'),
        ("      host: 'a b'\n", '8: *.host: "a b": "a b" is not a host name'),
        ("      headers: [{name: 'a b', value: x}]\n", '8: *.headers[0].name: "a b" is not a header name'),
        ("      headers: [{name: TE, value: x}]\n", "8: *.headers[0].name: te is set by the check itself"),
        ('      headers: [{name: a, value: "x\\ny"}]\n', "8: *.headers[0].value: is no value of a header"),
        ("      interval: 1ms\n", "8: *.interval: 1ms is less than 0.01"),
        ("      unhealthyThreshold: 0\n", "8: *.unhealthyThreshold: 0 is not between 1 and 100"),
        ("      port: 0\n", "8: *.port: 0 is not between 1 and 65535"),
        ("      cleartext: true\n      tls: {}\n", "*: only one of tls, cleartext can be given"),
        ("      intervall: 1s\n", '8: *.intervall: unknown key "intervall"'),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, check: str, message: str) -> None:
    found = refusals(tmp_path, check)
    assert any(message in text for text in found), found


def test_a_unix_socket_has_no_port(tmp_path: Path) -> None:
    (found,) = refusals(tmp_path, "      port: 80\n", "unix:///run/app.sock")
    assert "*.port: a Unix socket has no port" in found


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    found = refusals(tmp_path, "      interval: never\n      port: 99999\n      headers: [{name: host, value: x}]\n")
    assert len(found) == 3


def test_the_prober_takes_what_is_compiled(tmp_path: Path) -> None:
    core = pytest.importorskip("tidegate_core", reason="the native module is not built")
    for check in (" {}", "\n" + WHOLE, " {protocol: tcp}", " {protocol: http, path: '/~!x'}", " {host: '[::1]:8'}"):
        requests = compile_checks(plain_config(backends=(backend(tmp_path, check),)))
        core.ProbePlan(requests["app"])
