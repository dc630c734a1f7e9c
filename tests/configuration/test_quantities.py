"""Durations, sizes and addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.configuration.api.bindings import check_template
from gateway.configuration.quantities import (
    check_listen_address,
    check_target,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
    split_host_port,
)


@given(st.integers(0, 10**10))
def test_durations_come_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


@given(st.integers(0, 1 << 45))
def test_sizes_come_back(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1h30m", 5400), ("500ms", 0.5), ("15", 15), ("1.5", 1.5), ("2d", 172800), ("0", 0), (" 5s ", 5)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "-1s", "1 h", "s", "1x", "1e3", "nan", "inf", "99999999999999", "1h-1m", "٣s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("64k", 65536), ("64KiB", 65536), ("1mb", 1 << 20), ("2GiB", 2 << 30), ("7b", 7)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "-1", "1.5k", "k", "1t", "1 k", "9" * 20])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


def test_addresses() -> None:
    assert check_listen_address("[::]:8080") == "[::]:8080"
    assert check_listen_address("127.0.0.1:0") == "127.0.0.1:0"
    assert check_target("[0:0:0:0:0:0:0:1]:1") == "[::1]:1"
    assert check_target("echo-grpc.default.svc.cluster.local:8081") == "echo-grpc.default.svc.cluster.local:8081"
    assert split_host_port("app", 80) == ("app", 80)


@pytest.mark.parametrize(
    "text", ["", ":80", "a:", "a", "::1:80", "[::1]", "[x]:1", "a b:1", "a:99999", "a:-1", "a:1:2", "-a:1", "a/b:1"]
)
def test_what_is_no_target(text: str) -> None:
    with pytest.raises(ValueError, match=r"port|host|IPv6|brackets"):
        check_target(text)


@pytest.mark.parametrize(
    "text",
    [
        "/",
        "/v1/health",
        "/v1/{name}",
        "/v1/{name=shelves/*/books/**}:read",
        "/v1/{a.b}/{c=*}",
        "/v1/**",
        "/v1/x%2Fy",
        "/v1/messages:batchGet",
        "/{name=**}/tail",
        "/v1/a:b/c",
    ],
)
def test_path_templates(text: str) -> None:
    assert check_template(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v1",
        "/v1/",
        "//v1",
        "/v1/{",
        "/v1/{}",
        "/v1/{a=}",
        "/{a}/{a}",
        "/**/**",
        "/{a=**}/**",
        "/v1/a b",
        "/v1?x=1",
        "/v1/{a}b",
        "/v1/*b",
    ],
)
def test_what_is_no_path_template(text: str) -> None:
    with pytest.raises(ValueError, match=r"template|one \*\* at most|twice"):
        check_template(text)
