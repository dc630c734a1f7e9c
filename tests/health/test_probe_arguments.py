"""What the command line of `tidegate probe` becomes, without asking anybody."""

from __future__ import annotations

from typing import Any

import pytest

from healthcheck.probe.command import main
from healthcheck.probe.durations import parse_duration
from healthcheck.probe.flags import Usage, parse
from healthcheck.probe.options import FLAGS
from healthcheck.probe.report import exit_status
from healthcheck.probe.targets import check, document


def read(path: str) -> str:
    return f"contents of {path}"


def compiled(*argv: str) -> dict[str, Any]:
    """What the core is asked for the one target."""
    values, targets = parse(argv, FLAGS)
    check(values, targets)
    return document(targets[0], values, read, lambda: "public roots")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1.0), ("1.5h", 5400.0), ("1m30s", 90.0), ("300ms", 0.3), ("5us", 5e-6), ("5µs", 5e-6), (".5s", 0.5)],
)
def test_durations_are_go_s(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", "s", "1 s", "-1s", "1x", "1..5s", "1s2", "\u0661s", "+"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    "argv",
    [
        ("-addr", "a:1", "-tls", "-rpc-timeout", "2s"),
        ("--addr=a:1", "--tls=true", "--rpc-timeout=2s"),
        ("-rpc-timeout=2000ms", "-tls=T", "--", "a:1"),
        ("a:1", "-tls", "-rpc-timeout", "2s"),
    ],
)
def test_flags_may_be_written_in_go_s_ways(argv: tuple[str, ...]) -> None:
    values, others = parse(argv, FLAGS)
    assert values["tls"] is True
    assert values["rpc-timeout"] == 2.0
    assert [values["addr"], *others][-1] == "a:1"


def test_defaults_are_those_of_the_original() -> None:
    target = compiled("a:50051")
    assert (target["connect_timeout_ms"], target["answer_timeout_ms"]) == (1000, 1000)
    assert (target["service"], target["headers"], target["gzip"]) == ("", [], False)
    assert "tls" not in target


@pytest.mark.parametrize(
    ("text", "kind", "address", "authority"),
    [
        ("a.example:50051", "grpc", "a.example:50051", "a.example:50051"),
        ("a.example", "grpc", "a.example:443", "a.example:443"),
        (":50051", "grpc", "localhost:50051", "localhost:50051"),
        ("[::1]:50051", "grpc", "[::1]:50051", "[::1]:50051"),
        ("dns:///a.example:1", "grpc", "a.example:1", "a.example:1"),
        ("ipv4:127.0.0.1:1", "grpc", "127.0.0.1:1", "127.0.0.1:1"),
        ("unix:/run/app.sock", "grpc", "unix:///run/app.sock", "localhost"),
        ("unix:///run/app.sock", "grpc", "unix:///run/app.sock", "localhost"),
        ("http://a.example/x?y", "http", "a.example:80", "a.example"),
        ("http://a.example:8080", "http", "a.example:8080", "a.example:8080"),
        ("h2c://[::1]/x", "http2", "[::1]:80", "[::1]"),
        ("tcp://a.example:5432", "tcp", "a.example:5432", "a.example:5432"),
    ],
)
def test_targets_in_every_form(text: str, kind: str, address: str, authority: str) -> None:
    target = compiled(text)
    assert (target["kind"], target["address"], target["authority"]) == (kind, address, authority)


def test_paths_and_services_stand_in_the_target() -> None:
    assert compiled("http://a/x?y=1")["path"] == "/x?y=1"
    assert compiled("http://a?y=1")["path"] == "/?y=1"
    assert compiled("http://a")["path"] == "/"
    assert compiled("grpc://a:1/pkg.Service", "-service=other")["service"] == "pkg.Service"


def test_tls() -> None:
    assert compiled("https://a.example")["tls"] == {
        "verify": True,
        "ca_pem": "public roots",
        "server_name": "a.example",
    }
    assert compiled("[::1]:1", "-tls", "-tls-no-verify")["tls"] == {"verify": False, "server_name": "::1"}
    mutual = compiled(
        "a:1", "-tls", "-tls-ca-cert=ca", "-tls-client-cert=c", "-tls-client-key=k", "-tls-server-name=b.example"
    )
    assert mutual["authority"] == "b.example"
    assert mutual["tls"] == {
        "verify": True,
        "ca_pem": "contents of ca",
        "client": {"chain_pem": "contents of c", "key_pem": "contents of k"},
        "server_name": "b.example",
    }


def test_headers_and_statuses() -> None:
    target = compiled("http://a", "-rpc-header", "x-a: 1:2", "-rpc-header", "X-B:", "-expect", "200, 301-308")
    assert target["headers"] == [("x-a", "1:2"), ("X-B", "")]
    assert target["expected_statuses"] == [(200, 200), (301, 308)]


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        ((), "which server"),
        (("-adr=a:1",), "Did you mean -addr"),
        (("-addr",), "-addr needs a value"),
        (("a:1", "-tls=maybe"), "neither true nor false"),
        (("a:1", "-connect-timeout=0s"), "more than nothing"),
        (("a:1", "-rpc-timeout=1"), "no duration"),
        (("a:1", "-rpc-header=x"), "NAME: VALUE"),
        (("a:0",), "a port from 1 to 65535"),
        (("a:x",), "a port from 1 to 65535"),
        (("tcp://a",), "a port from 1 to 65535"),
        (("unix:relative",), "absolute"),
        (("ftp://a:1",), "there is no scheme ftp"),
        (("tcp://a:1/x",), "a path is for HTTP"),
        (("http://a", "-tls"), "say https://"),
        (("a:1", "-tls-no-verify"), "no use without -tls"),
        (("a:1", "-tls", "-tls-no-verify", "-tls-ca-cert=x"), "would not be used"),
        (("a:1", "-tls", "-tls-client-cert=x"), "needs -tls-client-key"),
        (("a:1", "-tls", "-tls-client-key=x"), "needs -tls-client-cert"),
        (("a:1", "-tls", "-tls-ca-cert=/nowhere"), "/nowhere: No such file"),
        (("http://a", "-expect=ok"), "no list of statuses"),
        (("http://a", "-expect=300-200"), "the lower one first"),
        (("a:1", "-o=yaml"), "neither text nor json"),
        (("a:1", "-authority=a b"), "no host"),
        (("http://a/x y",), "no path"),
        (("a:1", "-rpc-header=a b: c"), "no header field"),
        (("a:1", "-alts"), "not supported"),
    ],
)
def test_bad_arguments_end_with_status_1_and_say_why(
    argv: tuple[str, ...], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert text in output.err


def test_spiffe_ends_with_its_own_status() -> None:
    assert main(["a:1", "-spiffe"]) == 20


def test_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    for asked in ("-h", "--help"):
        assert main([asked]) == 0
        text = capsys.readouterr().out
        assert all(f"-{flag.name}" in text for flag in FLAGS)
    assert main(["-version"]) == 0
    assert capsys.readouterr().out.startswith("tidegate ")


def test_a_usage_error_is_one() -> None:
    with pytest.raises(Usage):
        compiled("a:1", "-o", "xml")


@pytest.mark.parametrize(
    ("outcome", "connected", "grpc_status", "status"),
    [
        ("SERVING", True, 0, 0),
        ("NOT_SERVING", True, 0, 4),
        ("UNKNOWN", True, 0, 4),
        ("SERVICE_UNKNOWN", True, None, 4),
        ("SERVICE_UNKNOWN", True, 5, 3),
        ("UNIMPLEMENTED", True, 12, 3),
        ("CALL_FAILED", True, 14, 3),
        ("HTTP_STATUS", True, None, 4),
        ("ANSWER_TIMEOUT", True, None, 3),
        ("CLOSED", True, None, 3),
        ("CLOSED", False, None, 2),
        ("REFUSED", False, None, 2),
        ("TLS_FAILED", False, None, 2),
    ],
)
def test_exit_statuses(outcome: str, connected: bool, grpc_status: int | None, status: int) -> None:
    observation = {
        "outcome": outcome,
        "healthy": outcome == "SERVING",
        "connected": connected,
        "grpc_status": grpc_status,
    }
    assert exit_status(observation) == status
