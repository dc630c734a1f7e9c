"""Endpoints that come and go: what is said of each phase, and the set that is changed."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.bench import churn, grow
from tests.bench.load import Outcome, Window
from tests.bench.place import endpoints
from tests.support.waiting import wait_for


def outcome(*failed: int) -> Outcome:
    """A window for each phase; the phase number times 100 us is its p99."""
    windows = [Window(10 - count, count, {"p50": 50.0, "p99": 100.0 * index}) for index, count in enumerate(failed)]
    kinds = {"grpc_status_14": sum(failed)}
    return Outcome(10 * len(failed), 0, kinds, 0, 1.0, 0.0, {}, 0, (), tuple(windows))


def test_a_row_for_each_phase_but_the_warm_up() -> None:
    changes = [
        grow.Change.of(outcome(0, 0, 1, 0, 2, 0), grow.MANY),
        grow.Change.of(outcome(0, 0, 0, 0, 1, 0), grow.MANY),
    ]
    shown = grow.rows(changes)
    assert [row[0] for row in shown] == list(grow.PHASES[1:])
    assert [row[1] for row in shown] == ["0", "1", "0", "3", "0"]
    assert [row[3] for row in shown] == ["100 us", "200 us", "300 us", "400 us", "500 us"]
    assert [change.failed for change in changes] == [3, 1]


def test_endpoints_are_addresses_of_their_own() -> None:
    places = endpoints(churn.ENDPOINTS + churn.SPARE, 9000)
    assert len(set(places)) == churn.ENDPOINTS + churn.SPARE
    for place in places:
        octets = [int(text) for text in place.partition(":")[0].split(".")]
        assert octets[:2] == [127, 1]
        assert all(0 <= octet <= 255 for octet in octets)
        assert 1 <= octets[3] <= 254


@pytest.fixture
def committed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The operations that a Registry sends to etcd."""
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(churn.Registry, "_commit", lambda _self, operations: sent.extend(operations))
    return sent


def keys(operations: list[dict[str, Any]], kind: str) -> list[str]:
    return [base64.b64decode(one[kind]["key"]).decode() for one in operations if kind in one]


def test_the_set_keeps_its_size(committed: list[dict[str, Any]]) -> None:
    registry = churn.Registry("127.0.0.1:1", churn.PREFIX, endpoints(250, 9000))
    registry.fill(200)
    there = set(keys(committed, "request_put"))
    assert len(there) == 200
    value = json.loads(base64.b64decode(committed[0]["request_put"]["value"]))
    assert value["Addr"] in keys(committed, "request_put")[0]
    committed.clear()
    with registry.changing():
        wait_for("changes", lambda: registry.made >= 300)
    for one in committed:
        gone, come = keys([one], "request_delete_range"), keys([one], "request_put")
        assert set(gone) <= there
        assert not set(come) & there
        there = (there - set(gone)) | set(come)
    assert len(there) == 200
    assert registry.made == len(committed)


def test_medians_of_rounds_with_and_without_changes() -> None:
    rounds = [
        churn.Round(True, 10, failed, 100.0, p99, 1000.0, 0.25, 0.5)
        for failed, p99 in ((0, 300.0), (2, 100.0), (0, 200.0))
    ]
    assert churn.row("changes", rounds) == [
        "changes",
        "2",
        "100 us",
        "200 us",
        "1,000",
        "25% of a core",
        "50% of a core",
    ]
