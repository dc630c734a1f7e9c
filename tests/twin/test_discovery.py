"""Google's description of the API, and bodies that are checked against it."""

from __future__ import annotations

from typing import Any

import pytest

from infra.twin.discovery.body import check
from infra.twin.discovery.document import compute_v1
from infra.twin.discovery.extract import TARGET, extract, google_document, text


@pytest.mark.real
def test_the_extract_is_that_of_googles_document() -> None:
    """Where a newer library has a newer document, `python -m infra.twin.discovery.extract` writes it."""
    assert text(extract(google_document())) == TARGET.read_text()


@pytest.mark.parametrize(
    ("verb", "path", "name"),
    [
        ("GET", "projects/p/global/backendServices/s", "backendServices.get"),
        ("GET", "projects/p/global/backendServices/listUsable", "backendServices.listUsable"),
        ("POST", "projects/p/targetHttpsProxies/s/setUrlMap", "targetHttpsProxies.setUrlMap"),
        ("POST", "projects/p/zones/z/networkEndpointGroups/g/attachNetworkEndpoints", None),
        ("GET", "projects/p", "projects.get"),
        ("GET", "projects/p/aggregated/addresses", "addresses.aggregatedList"),
    ],
)
def test_paths_lead_to_methods(verb: str, path: str, name: str | None) -> None:
    matched = compute_v1().match(verb, path)
    assert matched is not None
    assert matched.method.name == (name or "networkEndpointGroups.attachNetworkEndpoints")
    assert matched.parameters["project"] == "p"


@pytest.mark.parametrize("path", ["", "projects", "projects/p/global", "projects/p/global/backendServices/a/b"])
def test_other_paths_lead_nowhere(path: str) -> None:
    assert compute_v1().verbs(path) == ()


@pytest.mark.parametrize(
    ("body", "kept", "faulty"),
    [
        ({"timeoutSec": "30"}, {"timeoutSec": 30}, 0),
        ({"timeoutSec": 30.0}, {"timeoutSec": 30}, 0),
        ({"timeoutSec": 2**31}, None, 1),
        ({"enableCDN": "true"}, {"enableCDN": True}, 0),
        ({"enableCDN": 1}, None, 1),
        ({"backends": [{"capacityScaler": "0.5"}, {"capacityScaler": "much"}]}, None, 1),
        ({"logConfig": {"sampleRate": float("nan")}}, None, 1),
        ({"maxStreamDuration": {"seconds": 5}}, {"maxStreamDuration": {"seconds": "5"}}, 0),
        ({"metadatas": {"a": 1}, "params": []}, None, 2),
        ({"name": "A"}, None, 1),
    ],
)
def test_bodies_are_read_as_google_reads_them(body: dict[str, Any], kept: dict[str, Any] | None, faulty: int) -> None:
    checked = check(compute_v1(), "BackendService", body)
    assert len(checked.faults) == faulty
    if kept is not None:
        assert checked.value == kept


def test_what_is_dropped_is_named_and_nulls_remove_in_a_merge() -> None:
    body = {"id": "1", "kind": "x", "usedBy": [], "colour": 1, "description": None, "backends": [{"new": 1}]}
    checked = check(compute_v1(), "BackendService", body)
    assert checked.ignored == [f"resource.{name}" for name in ("id", "kind", "usedBy", "colour", "backends[0].new")]
    assert (checked.nulls, checked.value) == (["resource.description"], {"backends": [{}]})
    assert check(compute_v1(), "BackendService", body, keep_nulls=True).value["description"] is None
