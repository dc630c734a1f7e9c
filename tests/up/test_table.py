"""What is shown of a world, from what its parts say."""

from __future__ import annotations

import json
from typing import Any

from infra.world.load import LoadGenerator
from infra.world.table import ClientRow, Picture, PodRow, client_cells, lines, pod_cells
from infra.world.troubles import Troubles
from infra.world.twin_pages import EndpointTraffic, read_traffic

REPORT = {
    "time": 1.0,
    "seconds": 2.0,
    "regions": {
        "us-central1": {
            "sent": 200,
            "ok": 180,
            "failures": {"deadline": 15, "unavailable": 5},
            "pods": {"us-central1/0": 90, "us-central1/1": 45, "europe-west1/0": 45},
            "p50": 1.25,
            "p99": 20.0,
        },
        "europe-west1": {"sent": 200, "ok": 0, "failures": {}, "pods": {}, "p50": None, "p99": None},
    },
}


def picture() -> Picture:
    generator = LoadGenerator()
    generator.take(json.dumps(REPORT).encode())
    pods = (
        PodRow("us-central1/0", "us-central1", "ready", "HEALTHY", 50.0, 0.0, ""),
        PodRow("us-central1/1", "us-central1", "not ready", "UNHEALTHY", 0.0, 2.5, "hang"),
        PodRow("europe-west1/0", "europe-west1", "starting", "", 0.0, 0.0, ""),
        PodRow("europe-west1/1", "europe-west1", "gone", "UNHEALTHY", 0.0, 0.0, ""),
        PodRow("asia-east1/0", "asia-east1", "ready", "HEALTHY", 0.0, 0.0, "", capacity=0.0),
        PodRow("us-west1/0", "us-west1", "ready", "HEALTHY", 7.0, 0.0, "", capacity=0.25),
    )
    return Picture(pods, tuple(ClientRow(region, each) for region, each in generator.latest.items()))


def test_each_pod_has_a_row() -> None:
    assert pod_cells(picture()) == [
        ("us-central1/0", "ready", "healthy", "50.0", "0.0", ""),
        ("us-central1/1", "not ready", "unhealthy", "0.0", "2.5", "hang"),
        ("europe-west1/0", "starting", "not attached", "0.0", "0.0", ""),
        ("europe-west1/1", "gone", "unhealthy", "0.0", "0.0", ""),
        ("asia-east1/0", "ready", "healthy, drained", "0.0", "0.0", ""),
        ("us-west1/0", "ready", "healthy, 25% of its capacity", "7.0", "0.0", ""),
    ]


def test_each_region_of_clients_has_a_row() -> None:
    assert client_cells(picture()) == [
        ("us-central1", "100.0", "10.0", "1.2", "20.0", "us-central1 75%, europe-west1 25%"),
        ("europe-west1", "100.0", "0.0", "-", "-", ""),
    ]


def test_plain_lines_sum_up_regions() -> None:
    assert list(lines(picture())) == [
        "us-central1: 1/2 ready, 1 healthy to the load balancer, 50.0 req/s, 2.5 errors/s, fault: hang",
        "europe-west1: 0/2 ready, 1 gone, 0 healthy to the load balancer, 0.0 req/s, 0.0 errors/s",
        "asia-east1: 1/1 ready, 1 healthy to the load balancer, drained, 0.0 req/s, 0.0 errors/s",
        "us-west1: 1/1 ready, 1 healthy to the load balancer, 25% of its capacity, 7.0 req/s, 0.0 errors/s",
        "clients in us-central1: 100.0 calls/s, 10.0 failed/s, answered by us-central1 75%, europe-west1 25%",
        "clients in europe-west1: 100.0 calls/s, 0.0 failed/s, answered by nobody",
    ]


def test_calls_are_counted_from_the_start() -> None:
    generator = LoadGenerator()
    for _ in range(3):
        generator.take(json.dumps(REPORT).encode())
    assert (generator.sent, generator.failed) == (1200, 60)


def test_traffic_of_all_client_regions_is_summed_and_the_worst_health_counts() -> None:
    def service(region: str, health: str, rate: float) -> dict[str, Any]:
        endpoint = {"endpoint": "127.10.1.1:8443", "health": health, "requestsPerSecond": rate, "failuresPerSecond": 1}
        return {"clientRegion": region, "groups": [], "endpoints": [endpoint]}

    page = {"services": [service("a", "HEALTHY", 10.0), service("b", "UNHEALTHY", 5.0), service("c", "HEALTHY", 0.5)]}
    assert read_traffic(page).endpoints == {"127.10.1.1:8443": EndpointTraffic("UNHEALTHY", 15.5, 3)}


def test_troubles_are_told_once_and_remembered_unless_expected() -> None:
    told: list[str] = []
    troubles = Troubles(told.append)
    troubles.note("a", "hangs", expected=True)
    # The fault is over; that it is still felt is no news.
    troubles.note("a", "hangs")
    troubles.note("a", None)
    troubles.note("b", "is gone")
    troubles.note("b", "is back, and slow")
    troubles.note("b", None)
    troubles.note("b", None)
    assert told == ["a: hangs", "a: healthy again", "b: is gone", "b: is back, and slow", "b: healthy again"]
    assert troubles.listed() == ["b: is gone"]
