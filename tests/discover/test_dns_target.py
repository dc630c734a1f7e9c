"""What a `dns:` target may say, and when its name is asked for again."""

from __future__ import annotations

import pytest

from gateway.discover.back_off import JITTER, BackOff
from gateway.discover.dns.schedule import (
    LONGEST_TTL,
    SHORTEST_TTL,
    after_answer,
)
from gateway.discover.dns.target import DnsTarget, parse
from gateway.discover.schemes import check, open_source
from gateway.discover.source import Endpoint, Settings
from gateway.discover.static import Static

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("dns:///app:50051", DnsTarget("app", 50051)),
        ("dns:///app.ns.svc.cluster.local.", DnsTarget("app.ns.svc.cluster.local.")),
        ("dns:///_grpc-web._tcp.app", DnsTarget("_grpc-web._tcp.app")),
        ("dns:///app:1?interval=10s", DnsTarget("app", 1, interval=10.0)),
        ("dns://10.0.0.53/app:1", DnsTarget("app", 1, (("10.0.0.53", 53),))),
        ("dns://ns.example.com:5353/app:1", DnsTarget("app", 1, (("ns.example.com", 5353),))),
        ("dns://10.0.0.53,[fd00::53]:54/app", DnsTarget("app", None, (("10.0.0.53", 53), ("fd00::53", 54)))),
    ],
)
def test_targets(target: str, meant: DnsTarget) -> None:
    assert parse(target) == meant


def test_the_service_of_a_name_is_grpcs_unless_it_says_one() -> None:
    assert parse("dns:///app").service == "_grpc._tcp.app"
    assert parse("dns:///_web._tcp.app").service == "_web._tcp.app"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("dns://app:50051", "write dns:///app"),
        ("dns:///", "a name is missing"),
        ("dns:///:1", "is not a host name"),
        ("dns:///app:0", "port 0"),
        ("dns:///app:x", "is not a port"),
        ("dns:///app:65536", "is not a port"),
        ("dns:///app:", "a port is missing"),
        ("dns:///app/x:1", "is not NAME"),
        ("dns:///ap p:1", "is not a host name"),
        ("dns:///a..b:1", "is not a host name"),
        (f"dns:///{'a' * 64}:1", "63 characters"),
        ("dns:///10.0.0.1", "with its port"),
        ("dns:///_grpc._tcp.app:1", "leave it out"),
        ("dns://10.0.0.53:0/app:1", "name server cannot listen on port 0"),
        ("dns://10.0.0.53,/app:1", "is not a host name"),
        ("dns://10.0.0.53:x/app:1", "is not a port"),
        ("dns:///app:1?intervall=1s", 'did you mean "interval"'),
        ("dns:///app:1?ttl=1s", "only interval"),
        ("dns:///app:1?interval=1s&interval=2s", "second time"),
        ("dns:///app:1?interval=10ms", "less than 100ms"),
        ("dns:///app:1?interval=often", "is not a duration"),
        ("dns:///app:1?interval", "interval"),
    ],
)
def test_what_is_wrong_is_said(target: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(target)


def test_an_address_needs_no_question() -> None:
    assert open_source("dns:///[::1]:1", Settings()) == Static((Endpoint("[::1]:1"),))
    assert open_source("dns:///10.0.0.1:1", Settings()) == Static((Endpoint("10.0.0.1:1"),))


@pytest.mark.parametrize(
    ("ttl", "empty", "interval", "pause"),
    [
        (30, False, None, 30),
        (0, False, None, SHORTEST_TTL),
        (86400, False, None, LONGEST_TTL),
        (86400, True, None, 5),
        (2, True, None, 2),
        (0, True, None, SHORTEST_TTL),
        (30, False, 0.5, 0.5),
        (30, True, 60, 60),
    ],
)
def test_the_ttl_says_when_to_ask_again(ttl: float, empty: bool, interval: float | None, pause: float) -> None:
    assert after_answer(ttl, empty, interval, 5.0) == pause


def test_pauses_after_failures_grow_to_an_end_and_begin_anew() -> None:
    drawn = 0.5
    back_off = BackOff(chance=lambda: drawn)
    pauses = [back_off.next() for _ in range(2000)]
    assert pauses[0] == FIRST_PAUSE
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
    drawn = 1.0
    assert back_off.next() == pytest.approx(LONGEST_PAUSE * (1 + JITTER))
    back_off.reset()
    drawn = 0.0
    assert back_off.next() == pytest.approx(FIRST_PAUSE * (1 - JITTER))
