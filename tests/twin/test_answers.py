"""Lists, masks, and clean answers to what makes no sense."""

from __future__ import annotations

import base64

import pytest

from infra.twin.process import TwinOptions
from tests.twin.conftest import PROJECT, ZONE, Client, Start


async def make_addresses(client: Client, count: int) -> None:
    for number in range(count):
        await client.done("POST", "global/addresses", {"name": f"vip-{number}", "description": f"number {number}"})


async def names(client: Client, **query: str) -> list[str]:
    return [item["name"] for item in (await client.get("global/addresses", **query)).get("items", [])]


async def test_pages_hold_everything_once(client: Client) -> None:
    await make_addresses(client, 7)
    seen: list[str] = []
    query = {"maxResults": "3"}
    while True:
        page = await client.get("global/addresses", **query)
        seen += [item["name"] for item in page["items"]]
        if "nextPageToken" not in page:
            break
        query["pageToken"] = page["nextPageToken"]
    assert seen == [f"vip-{number}" for number in range(7)]


@pytest.mark.parametrize("order", ["name", "creationTimestamp desc"])
async def test_pages_go_on_where_what_they_ended_with_is_gone(client: Client, order: str) -> None:
    """A client that deletes what it lists, page by page."""
    await make_addresses(client, 5)
    query = {"maxResults": "2", "orderBy": order}
    seen: list[str] = []
    while True:
        page = await client.get("global/addresses", **query)
        for item in page["items"]:
            seen.append(item["name"])
            await client.done("DELETE", f"global/addresses/{item['name']}")
        if "nextPageToken" not in page:
            break
        query["pageToken"] = page["nextPageToken"]
    assert sorted(seen) == [f"vip-{number}" for number in range(5)]


async def test_no_endpoint_is_left_out_while_others_leave(client: Client) -> None:
    group = f"zones/{ZONE}/networkEndpointGroups/group"
    await client.done("POST", f"zones/{ZONE}/networkEndpointGroups", {"name": "group", "defaultPort": 80})
    members = [{"ipAddress": f"10.0.0.{number}", "instance": "vm"} for number in range(1, 5)]
    await client.done("POST", f"{group}/attachNetworkEndpoints", {"networkEndpoints": members})

    async def page(**query: str) -> tuple[list[str], str]:
        _, answer = await client.call("POST", f"{group}/listNetworkEndpoints", {}, maxResults="2", **query)
        listed = [item["networkEndpoint"]["ipAddress"] for item in answer["items"]]
        return listed, answer.get("nextPageToken", "")

    first, token = await page()
    await client.done("POST", f"{group}/detachNetworkEndpoints", {"networkEndpoints": members[:1]})
    assert (first, await page(pageToken=token)) == (["10.0.0.1", "10.0.0.2"], (["10.0.0.3", "10.0.0.4"], ""))


@pytest.mark.parametrize(
    ("expression", "numbers"),
    [
        ("name eq vip-[01]", [0, 1]),
        ("name ne vip-.*", []),
        ("name = vip-2", [2]),
        ('name = "vip-*"', [0, 1, 2]),
        ("name != vip-2", [0, 1]),
        ("(name = vip-0) OR (name = vip-2)", [0, 2]),
        ("name:vip AND NOT name = vip-0", [1, 2]),
        ('description = "number 1" status = RESERVED', [1]),
        ("labels.env:*", []),
        (r'name eq ".*\bvip\-1\b.*"', [1]),
        (r'(name eq ".*(vip\-[12]).*")(description ne ".*\bnumber\ 2\b.*")', [1]),
        (r'description = "number \1"', [1]),
        (r'description ne "number \"0\""', [0, 1, 2]),
        ('description = "number%2B0"', []),
        ("", [0, 1, 2]),
    ],
)
async def test_both_languages_of_filters(client: Client, expression: str, numbers: list[int]) -> None:
    await make_addresses(client, 3)
    assert await names(client, filter=expression) == [f"vip-{number}" for number in numbers]


async def test_a_query_is_decoded_once(client: Client) -> None:
    text = "100%25 a+b & c=d"
    await client.done("POST", "global/addresses", {"name": "vip", "description": text})
    assert await names(client, filter=f'description = "{text}"') == ["vip"]


async def test_a_post_can_stand_for_what_it_says(client: Client) -> None:
    await make_addresses(client, 3)
    url = f"{client.base}/compute/v1/projects/{PROJECT}/global/addresses"
    form = {"filter": "name = vip-1 " * 100}
    async with client.session.post(url, data=form, headers={"X-HTTP-Method-Override": "GET"}) as answer:
        assert [item["name"] for item in (await answer.json())["items"]] == ["vip-1"]
    async with client.session.post(f"{url}/vip-1", headers={"X-HTTP-Method-Override": "DELETE"}) as answer:
        assert answer.status == 200
    async with client.session.post(f"{url}/vip-1", headers={"X-HTTP-Method-Override": "BREW"}) as answer:
        assert answer.status == 405
    assert await names(client) == ["vip-0", "vip-2"]


@pytest.mark.parametrize(
    "query",
    [
        {"filter": "name ="},
        {"filter": "(name = a"},
        {"filter": "name eq ["},
        {"filter": "(" * 100 + "a = b" + ")" * 100},
        {"filter": "a = b " * 1000},
        {"maxResults": "-1"},
        {"maxResults": "501"},
        {"maxResults": "1" * 5000},
        {"pageToken": "AAAA"},
        {"pageToken": "W10="},
        {"pageToken": base64.b64encode(b'["a", Infinity]').decode()},
        {"pageToken": "é"},
        {"orderBy": "size"},
        {"fields": "items("},
        {"fields": "items(" * 100 + "a" + ")" * 100},
    ],
)
async def test_bad_queries_are_refused(client: Client, query: dict[str, str]) -> None:
    assert (await client.refused("GET", "global/addresses", **query))[0] == 400


async def test_the_newest_first(client: Client) -> None:
    await make_addresses(client, 3)
    assert await names(client, orderBy="creationTimestamp desc") == ["vip-2", "vip-1", "vip-0"]


async def test_fields_choose_parts(client: Client) -> None:
    await make_addresses(client, 1)
    assert await client.get("global/addresses", fields="items(name,address)") == {
        "items": [{"name": "vip-0", "address": "203.0.113.1"}]
    }
    assert await client.get("global/addresses/vip-0", fields="name") == {"name": "vip-0"}


async def test_nothing_is_done_where_the_answer_cannot_be_given(client: Client) -> None:
    assert (await client.refused("POST", "global/addresses", {"name": "vip"}, fields="items("))[0] == 400
    assert (await client.refused("GET", "global/addresses/vip"))[0] == 404


async def test_aggregated_lists_name_every_scope(client: Client) -> None:
    await client.done("POST", f"zones/{ZONE}/networkEndpointGroups", {"name": "group"})
    items = (await client.get("aggregated/networkEndpointGroups", includeAllScopes="True"))["items"]
    assert [group["name"] for group in items[f"zones/{ZONE}"]["networkEndpointGroups"]] == ["group"]
    assert items["zones/us-central1-a"]["warning"]["code"] == "NO_RESULTS_ON_PAGE"


async def test_places(client: Client) -> None:
    zones = [zone["name"] for zone in (await client.get("zones", filter=""))["items"]]
    assert ZONE in zones
    assert (await client.get(f"zones/{ZONE}"))["region"].endswith("/regions/europe-west1")
    assert (await client.refused("GET", "zones/moon-1a"))[0] == 404
    assert (await client.get("regions/europe-west1"))["status"] == "UP"


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("GET", "global/nothings", 404),
        ("GET", "global/addresses/a/b/c", 404),
        ("DELETE", "global/addresses", 405),
        ("PUT", "global/addresses/vip", 405),
        ("GET", "global/addresses/..", 404),
        ("GET", "global/addresses/UPPER", 400),
        ("POST", "global/networks/default/addPeering", 501),
    ],
)
async def test_clean_answers_to_what_there_is_not(client: Client, verb: str, path: str, status: int) -> None:
    assert (await client.refused(verb, path))[0] == status


async def test_strict_refuses_what_would_be_ignored(start: Start) -> None:
    client = await start(TwinOptions(strict=True))
    for body in ({"name": "vip", "colour": "red"}, {"name": "vip", "users": []}, {"name": "vip", "description": None}):
        assert (await client.refused("POST", "global/addresses", body))[0] == 400


async def test_the_read_quota_is_kept(start: Start) -> None:
    client = await start(TwinOptions(reads=5))
    answers = [await client.call("GET", "global/addresses") for _ in range(12)]
    refused = [body for status, body in answers if status == 403]
    assert refused
    assert refused[0]["error"]["errors"][0]["reason"] == "rateLimitExceeded"
    await client.done("POST", "global/addresses", {"name": "vip"})
