"""docs/twin.md says the truth: every field is set over the API, and what follows is looked at."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from infra.twin.discovery.document import compute_v1
from infra.twin.fields.document import document
from infra.twin.fields.endpoint_group import ENDPOINT
from infra.twin.fields.table import Handling
from infra.twin.fields.tables import BY_SCHEMA, KINDS, Place, places
from infra.twin.resources.kinds import KINDS as RESOURCES
from tests.twin.compiled import BASE, ENDPOINTS, GROUPS, PROJECT, Json, Refused, Twin, traffic
from tests.twin.field_values import ANSWERED, HONOURED, STORED, Values, any_value, look_up, put, where

ROOT = Path(__file__).parents[2]
SCHEMAS = compute_v1()
EVERYWHERE = ("name", "fingerprint")
"""Honoured in the same way by all kinds that have them."""


PLACES = [place for kind in KINDS if kind is not ENDPOINT for place in places(SCHEMAS, kind)]


def those(*handlings: Handling) -> list[Any]:
    chosen = (place for place in PLACES if place.handling in handlings)
    return [pytest.param(place, id=f"{place.kind.schema}.{place}") for place in chosen]


def made(place: Place, members: Json) -> tuple[Twin, Json]:
    """A twin with its chain, in which members stand around a place; and the resource as it answers it."""
    path, body = where(place)
    changed = put(body, place, members)
    twin = Twin()
    twin.make({(path, body["name"]): changed})
    return twin, twin.get(f"{path}/{body['name']}")


def before(place: Place) -> tuple[Json, Json]:
    """The traffic before anything is put at a place, and the resource as it is answered."""
    path, body = where(place)
    return _before(path, json.dumps(put(body, place, {})))


@lru_cache
def _before(path: str, text: str) -> tuple[Json, Json]:
    body, twin = json.loads(text), Twin()
    twin.make({(path, body["name"]): body})
    return traffic(twin), twin.get(f"{path}/{body['name']}")


def stored_form(value: Any) -> Any:
    """Links as they are written by a client that knows neither host nor project."""
    text = json.dumps(value)
    for begin in (f"{BASE}/projects/{PROJECT}/", f"projects/{PROJECT}/"):
        text = text.replace(begin, "")
    return json.loads(text)


def test_the_document_is_that_of_the_tables() -> None:
    """`python -m infra.twin.fields.document` renews it."""
    assert (ROOT / "docs/twin.md").read_text() == document()


def test_all_kinds_have_a_table() -> None:
    assert {kind.schema for kind in KINDS} == {kind.schema for kind in RESOURCES} | {"NetworkEndpoint"}


@pytest.mark.parametrize("schema", sorted(BY_SCHEMA))
def test_the_fields_are_those_of_googles_document(schema: str) -> None:
    properties = SCHEMAS.schemas[schema]["properties"]
    rows = list(BY_SCHEMA[schema].rows())
    assert sorted(name for name, _, _ in rows) == sorted(properties)
    read_only = {name for name, member in properties.items() if member.get("readOnly")}
    assert read_only <= {name for name, handling, _ in rows if handling == "output"}
    for name, values in BY_SCHEMA[schema].only.items():
        assert set(values) < set(properties[name]["enum"])


@pytest.mark.parametrize("place", those("honoured"))
def test_what_is_honoured_makes_a_difference(place: Place) -> None:
    if place.has_parts or (place.name in EVERYWHERE and len(place.path) == 1):
        return
    schema = place.table.schema
    if (schema, place.name) in ANSWERED:
        one, other = (call(made(place, {})[0]) for call in ANSWERED[schema, place.name])
        assert one != other
        return
    values = HONOURED[schema][place.name]
    assert traffic(made(place, values.before)[0]) != traffic(made(place, values.after)[0])


def test_a_part_is_honoured_where_something_in_it_is() -> None:
    for kind in KINDS:
        known = list(places(SCHEMAS, kind))
        for place in known:
            if place.has_parts:
                below = [other for other in known if other.path[: len(place.path)] == place.path and other is not place]
                assert (place.handling == "honoured") == any(other.handling == "honoured" for other in below)


@pytest.mark.parametrize("place", those("stored"))
def test_what_is_stored_is_given_back_and_changes_nothing(place: Place) -> None:
    taken = place.table.only.get(place.name)
    if place.has_parts or (taken and len(taken) == 1):
        return
    schema = place.table.schema
    served, resource = before(place)
    known = look_up(resource, place)
    value = STORED.get((schema, place.name)) or any_value(SCHEMAS, place.schema, place.name, known)
    other, after = made(place, {place.name: value})
    assert stored_form(look_up(after, place)) == value != stored_form(known)
    assert traffic(other) == served


@pytest.mark.parametrize("place", those("output", "dropped"))
def test_what_is_the_servers_own_is_ignored(place: Place) -> None:
    served, resource = before(place)
    other, after = made(place, {place.name: any_value(SCHEMAS, place.schema, place.name)})
    if place.handling == "output":
        assert after == resource
    assert look_up(after, place) == look_up(resource, place)
    assert traffic(other) == served


@pytest.mark.parametrize("place", those("refused"))
def test_what_is_refused_is_refused(place: Place) -> None:
    with pytest.raises(Refused, match=place.name):
        made(place, {place.name: any_value(SCHEMAS, place.schema, place.name)})


def with_limits() -> list[Any]:
    return [chosen for chosen in those("honoured", "stored") if chosen.values[0].name in chosen.values[0].table.only]


@pytest.mark.parametrize("place", with_limits())
def test_other_values_of_an_enum_are_refused(place: Place) -> None:
    for value in place.schema["enum"]:
        if value not in place.table.only[place.name]:
            with pytest.raises(Refused, match=place.name):
                made(place, {place.name: value})


@pytest.mark.parametrize("kind", RESOURCES, ids=lambda kind: kind.schema)
def test_names_and_fingerprints(kind: Any) -> None:
    table = BY_SCHEMA[kind.schema]
    (place,) = (place for place in places(SCHEMAS, table) if str(place) == "name")
    path, body = where(place)
    twin = Twin()
    twin.make({})
    assert twin.call("POST", path, body).status == 409
    assert table.handling("name") == "honoured"
    assert kind.fingerprint == ("fingerprint" in table.honoured)
    if kind.fingerprint:
        known = twin.get(f"{path}/{body['name']}")["fingerprint"]
        assert twin.call("PATCH", f"{path}/{body['name']}", {"fingerprint": "AAAA"}).status == 412
        assert twin.call("PATCH", f"{path}/{body['name']}", {"fingerprint": known}).status == 200


ENDPOINT_VALUES = {
    "ipAddress": Values({"ipAddress": "127.0.1.1"}, {"ipAddress": "127.0.1.9"}),
    "port": Values({"port": 1}, {"port": 2}),
}


def attached(members: Json) -> tuple[Twin, Json]:
    """A twin in which the nearest group's first endpoint has these members; and the endpoint as it is listed."""
    twin = Twin()
    first, *others = ENDPOINTS["near"]
    twin.make({}, ENDPOINTS | {"near": [first | members, *others]})
    answer = twin.call("POST", f"{GROUPS['near']}/near/listNetworkEndpoints", {})
    return twin, answer.body["items"][0]["networkEndpoint"]


@pytest.mark.parametrize("name", sorted(SCHEMAS.schemas["NetworkEndpoint"]["properties"]))
def test_fields_of_endpoints(name: str) -> None:
    value = any_value(SCHEMAS, SCHEMAS.schemas["NetworkEndpoint"]["properties"][name], name)
    match ENDPOINT.handling(name):
        case "honoured":
            values = ENDPOINT_VALUES[name]
            assert traffic(attached(values.before)[0]) != traffic(attached(values.after)[0])
        case "stored":
            twin, endpoint = attached({name: value})
            assert endpoint[name] == value
            assert traffic(twin) == traffic(attached({})[0])
        case "refused":
            with pytest.raises(Refused, match=name):
                attached({name: value})
        case handling:
            twin, endpoint = attached({name: value})
            assert handling == "dropped"
            assert endpoint == attached({})[1]
            assert traffic(twin) == traffic(attached({})[0])
