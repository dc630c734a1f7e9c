"""Resources: what is filled in, what is refused, and how they hold together."""

from __future__ import annotations

from typing import Any

import pytest

from tests.twin.conftest import PROJECT, ZONE, Client

SERVICE = "global/backendServices/service"
GROUP = f"zones/{ZONE}/networkEndpointGroups/group"


async def test_a_whole_chain_can_be_made_and_taken_down_again(client: Client) -> None:
    await client.make_chain()
    rule = await client.get("global/forwardingRules/rule")
    assert (rule["IPAddress"], rule["portRange"]) == ("203.0.113.1", "80-80")
    assert (await client.get("global/addresses/vip"))["status"] == "IN_USE"
    assert (await client.get(GROUP))["size"] == 1
    for path in ("forwardingRules/rule", "targetHttpProxies/proxy", "urlMaps/map", "backendServices/service"):
        await client.done("DELETE", f"global/{path}")
    assert (await client.get("global/addresses/vip"))["status"] == "RESERVED"
    assert "items" not in await client.get("global/backendServices")


async def test_what_is_used_is_not_deleted(client: Client) -> None:
    await client.make_chain()
    for path, user in (
        ("global/addresses/vip", "forwardingRules/rule"),
        ("global/healthChecks/check", "backendServices/service"),
        (GROUP, "backendServices/service"),
        (SERVICE, "urlMaps/map"),
        ("global/urlMaps/map", "targetHttpProxies/proxy"),
        ("global/targetHttpProxies/proxy", "forwardingRules/rule"),
    ):
        status, reason, message = await client.refused("DELETE", path)
        assert (status, reason) == (400, "resourceInUseByAnotherResource")
        assert message.endswith(f"is already being used by 'projects/{PROJECT}/global/{user}'")


@pytest.mark.parametrize(
    "spelling",
    [
        "global/healthChecks/check",
        f"projects/{PROJECT}/global/healthChecks/check",
        f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/global/healthChecks/check",
        f"http://127.0.0.1:1/compute/v1/projects/{PROJECT}/global/healthChecks/check",
    ],
)
async def test_every_spelling_names_the_same_resource(client: Client, spelling: str) -> None:
    await client.make_chain()
    before = await client.get(SERVICE)
    body = {"fingerprint": before["fingerprint"], "healthChecks": [spelling]}
    await client.done("PATCH", SERVICE, body)
    after = await client.get(SERVICE)
    assert after["healthChecks"] == [f"{client.base}/compute/v1/projects/{PROJECT}/global/healthChecks/check"]
    assert after["fingerprint"] == before["fingerprint"]


async def test_links_are_of_the_host_that_was_asked(client: Client) -> None:
    await client.make_chain()
    url = f"{client.base}/compute/v1/projects/{PROJECT}/{SERVICE}"
    async with client.session.get(url, headers={"Host": "compute.example:81"}) as response:
        service = await response.json()
    assert service["selfLink"] == f"http://compute.example:81/compute/v1/projects/{PROJECT}/{SERVICE}"
    assert service["backends"][0]["group"].startswith("http://compute.example:81/")


async def test_a_stale_or_missing_fingerprint_is_412(client: Client) -> None:
    await client.make_chain()
    stale = (await client.get(SERVICE))["fingerprint"]
    await client.done("PATCH", SERVICE, {"fingerprint": stale, "timeoutSec": 40})
    for verb in ("PATCH", "PUT"):
        for body in ({"fingerprint": stale, "timeoutSec": 50}, {"timeoutSec": 50}):
            status, reason, _ = await client.refused(verb, SERVICE, body)
            assert (status, reason) == (412, "conditionNotMet")
    assert (await client.get(SERVICE))["timeoutSec"] == 40


async def test_fingerprints_count_in_both_alphabets(client: Client) -> None:
    await client.make_chain()
    for timeout in range(40, 60):
        current = (await client.get(SERVICE))["fingerprint"]
        other = current.replace("+", "-").replace("/", "_").rstrip("=")
        await client.done("PATCH", SERVICE, {"fingerprint": other, "timeoutSec": timeout})


async def test_patch_merges_and_put_replaces(client: Client) -> None:
    await client.make_chain()
    service = await client.get(SERVICE)
    patch = {
        "fingerprint": service["fingerprint"],
        "connectionDraining": {"drainingTimeoutSec": 60},
        "description": "x",
    }
    await client.done("PATCH", SERVICE, patch)
    patched = await client.get(SERVICE)
    assert (patched["protocol"], patched["connectionDraining"]) == ("HTTP2", {"drainingTimeoutSec": 60})
    await client.done("PATCH", SERVICE, {"fingerprint": patched["fingerprint"], "description": None})
    patched = await client.get(SERVICE)
    assert patched["description"] == ""
    put = {name: patched[name] for name in ("name", "fingerprint", "healthChecks", "backends", "loadBalancingScheme")}
    await client.done("PUT", SERVICE, put)
    replaced = await client.get(SERVICE)
    assert (replaced["protocol"], replaced["connectionDraining"]) == ("HTTP", {"drainingTimeoutSec": 0})
    assert (replaced["id"], replaced["creationTimestamp"]) == (service["id"], service["creationTimestamp"])


async def test_the_whole_of_a_get_can_be_put_back(client: Client) -> None:
    """As gcloud does, with id, kind and selfLink."""
    await client.make_chain()
    service = await client.get(SERVICE)
    service["backends"][0]["capacityScaler"] = 0.5
    await client.done("PUT", SERVICE, service)
    after = await client.get(SERVICE)
    assert after["backends"][0]["capacityScaler"] == 0.5
    assert {name for name in service if service[name] != after[name]} == {"fingerprint"}


@pytest.mark.parametrize(
    ("change", "reason", "message"),
    [
        ({"backends": [{"group": GROUP, "maxRatePerEndpoint": 1}]}, "invalid", "need balancing mode RATE"),
        ({"backends": [{"group": GROUP, "balancingMode": "RATE"}]}, "invalid", "Exactly one of maxRate"),
        ({"backends": [{"balancingMode": "RATE", "maxRate": 1}]}, "required", "backends[0].group"),
        ({"timeoutSec": 0}, "invalid", "greater than or equal to 1"),
        ({"protocol": "GOPHER"}, "invalid", "Must be one of"),
        ({"timeoutSec": "soon"}, "invalid", "Must be an integer"),
        ({"timeoutSec": True}, "invalid", "Must be an integer"),
        ({"backends": {}}, "invalid", "Must be a list"),
        ({"maxStreamDuration": {"seconds": "5"}}, "invalid", "not supported"),
        ({"loadBalancingScheme": "EXTERNAL"}, "invalid", "cannot be changed"),
        ({"healthChecks": ["global/urlMaps/map"]}, "invalid", "Unexpected resource collection"),
        ({"healthChecks": ["check"]}, "invalid", "malformed"),
        ({"healthChecks": ["global/healthChecks/none"]}, "notFound", "was not found"),
    ],
)
async def test_a_bad_backend_service_is_refused(
    client: Client, change: dict[str, Any], reason: str, message: str
) -> None:
    await client.make_chain()
    before = await client.get(SERVICE)
    status, given, text = await client.refused("PATCH", SERVICE, {"fingerprint": before["fingerprint"], **change})
    assert (status, given) == (404 if reason == "notFound" else 400, reason)
    assert message in text
    assert await client.get(SERVICE) == before


@pytest.mark.parametrize(("scaler", "others", "good"), [(0, 1, True), (0, 0, False), (0.05, 1, False), (0.1, 1, True)])
async def test_the_rules_of_capacity_scalers(client: Client, scaler: float, others: int, good: bool) -> None:
    await client.make_chain()
    await client.done("POST", f"zones/{ZONE}/networkEndpointGroups", {"name": "second"})
    service = await client.get(SERVICE)
    backends = [{**service["backends"][0], "capacityScaler": scaler}]
    if others:
        second = f"zones/{ZONE}/networkEndpointGroups/second"
        backends.append({"group": second, "balancingMode": "RATE", "maxRatePerEndpoint": 1})
    body = {"fingerprint": service["fingerprint"], "backends": backends}
    status, _ = await client.call("PATCH", SERVICE, body)
    assert (status == 200) == good
    if good:
        scalers = [backend["capacityScaler"] for backend in (await client.get(SERVICE))["backends"]]
        assert scalers == [scaler, 1.0]


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ({"type": "GRPC"}, "A port is needed"),
        ({"type": "HTTP", "httpHealthCheck": {}, "tcpHealthCheck": {}}, "has httpHealthCheck only"),
        ({"type": "HTTP", "timeoutSec": 6}, "longer than the check interval"),
        ({"type": "HTTP", "checkIntervalSec": 0}, "greater than or equal to 1"),
        ({"type": "HTTP", "httpHealthCheck": {"portSpecification": "USE_SERVING_PORT", "port": 80}}, "No port"),
        ({"type": "INVALID"}, "Must be one of"),
        ({}, "Required field 'resource.type'"),
    ],
)
async def test_a_bad_health_check_is_refused(client: Client, check: dict[str, Any], message: str) -> None:
    status, _, text = await client.refused("POST", "global/healthChecks", {"name": "check", **check})
    assert status == 400
    assert message in text


async def test_nulls_in_the_lists_of_a_patch_are_as_if_they_were_not_there(client: Client) -> None:
    await client.make_chain()
    service = await client.get(SERVICE)
    backend = {**service["backends"][0], "capacityScaler": None, "maxRate": None, "customMetrics": None}
    await client.done("PATCH", SERVICE, {"fingerprint": service["fingerprint"], "backends": [backend]})
    assert (await client.get(SERVICE))["backends"] == service["backends"]


async def test_a_rule_is_patched_without_a_fingerprint_too(client: Client) -> None:
    """As Terraform and ingress-gce do; Google's document asks for it of other kinds only."""
    await client.make_chain()
    rule = "global/forwardingRules/rule"
    await client.done("PATCH", rule, {"allowGlobalAccess": True})
    assert (await client.get(rule))["allowGlobalAccess"] is True
    assert (await client.refused("PATCH", rule, {"fingerprint": "AAAAAAAAAAA="}))[0] == 412


async def test_every_project_has_a_default_network(client: Client) -> None:
    await client.make_chain()
    link = (await client.get(GROUP))["network"]
    async with client.session.get(link) as answer:
        assert (answer.status, (await answer.json())["selfLink"]) == (200, link)
    await client.done("POST", "global/networks", {"name": "other"})
    assert [item["name"] for item in (await client.get("global/networks"))["items"]] == ["default", "other"]
    assert (await client.refused("POST", "global/networks", {"name": "default"}))[0] == 409


async def test_names_and_duplicates(client: Client) -> None:
    await client.done("POST", "global/addresses", {"name": "vip"})
    assert (await client.refused("POST", "global/addresses", {"name": "vip"}))[:2] == (409, "alreadyExists")
    assert (await client.refused("POST", "global/addresses", {"name": "Vip"}))[:2] == (400, "invalid")
    assert (await client.refused("POST", "global/addresses", {}))[:2] == (400, "required")
    assert (await client.refused("GET", "global/addresses/none"))[:2] == (404, "notFound")
    assert (await client.refused("POST", "zones/moon-1a/networkEndpointGroups", {"name": "x"}))[:2] == (404, "notFound")


async def test_what_google_ignores_is_ignored_and_counted(client: Client) -> None:
    body = {"name": "vip", "project": "demo", "description": None, "users": ["x"], "colour": "red"}
    await client.done("POST", "global/addresses", body)
    _, log = await client.own("GET", "requests")
    line = log["requests"][-1]
    assert line["ignored"] == ["resource.project", "resource.users", "resource.colour"]
    assert line["nulls"] == ["resource.description"]


async def test_endpoints_come_and_go(client: Client) -> None:
    await client.make_chain()
    more = [{"ipAddress": f"10.0.0.{number}", "port": 50051, "instance": f"vm-{number}"} for number in (2, 3)]
    await client.done("POST", f"{GROUP}/attachNetworkEndpoints", {"networkEndpoints": more})
    await client.done("POST", f"{GROUP}/detachNetworkEndpoints", {"networkEndpoints": [{"ipAddress": "10.0.0.1"}]})
    status, listed = await client.call("POST", f"{GROUP}/listNetworkEndpoints", {"healthStatus": "SHOW"})
    assert status == 200
    addresses = [item["networkEndpoint"]["ipAddress"] for item in listed["items"]]
    assert addresses == ["10.0.0.2", "10.0.0.3"]
    assert listed["items"][0]["healths"] == [{"healthState": "UNKNOWN"}]
    for bad in (
        {"ipAddress": "10.0.0.9", "port": 0, "instance": "vm"},
        {"ipAddress": "ten"},
        {"ipAddress": "fe80::1%lo", "port": 1, "instance": "vm"},
        {"ipAddress": "10.0.0.9"},
    ):
        refused = await client.refused("POST", f"{GROUP}/attachNetworkEndpoints", {"networkEndpoints": [bad]})
        assert refused[0] == 400
    gone = {"networkEndpoints": [{"ipAddress": "10.0.0.1"}]}
    assert (await client.refused("POST", f"{GROUP}/detachNetworkEndpoints", gone))[0] == 400


async def test_setters_change_what_they_name(client: Client) -> None:
    await client.make_chain()
    await client.done("POST", "global/urlMaps", {"name": "other", "defaultService": SERVICE})
    await client.done("POST", "targetHttpProxies/proxy/setUrlMap", {"urlMap": "global/urlMaps/other"})
    assert (await client.get("global/targetHttpProxies/proxy"))["urlMap"].endswith("/urlMaps/other")
    await client.done("POST", "global/forwardingRules/rule/setLabels", {"labels": {"env": "test"}})
    rule = await client.get("global/forwardingRules/rule")
    assert rule["labels"] == {"env": "test"}
    stale = {"labels": {}, "labelFingerprint": "AAAAAAAAAAA="}
    assert (await client.refused("POST", "global/forwardingRules/rule/setLabels", stale))[0] == 412


async def test_an_address_and_port_have_one_rule(client: Client) -> None:
    await client.make_chain()
    rule = await client.get("global/forwardingRules/rule")
    status, _, message = await client.refused("POST", "global/forwardingRules", {**rule, "name": "second"})
    assert status == 400
    assert "in-use" in message


async def test_an_address_that_is_free_again_has_no_users(client: Client) -> None:
    await client.make_chain()
    used = await client.get("global/addresses/vip")
    assert (used["status"], len(used["users"])) == ("IN_USE", 1)
    await client.done("DELETE", "global/forwardingRules/rule")
    free = await client.get("global/addresses/vip")
    assert (free["status"], free.get("users")) == ("RESERVED", None)


async def test_lists_say_what_single_answers_say(client: Client) -> None:
    await client.make_chain()
    await client.done("POST", "global/addresses", {"name": "free"})
    for path in ("global/addresses", "global/backendServices", "global/forwardingRules", "global/urlMaps"):
        listed = (await client.get(path))["items"]
        assert listed == [await client.get(f"{path}/{item['name']}") for item in listed]


async def test_projects_do_not_use_each_others_addresses(client: Client) -> None:
    await client.make_chain()
    url = f"{client.base}/compute/v1/projects/other-one/global/addresses"
    async with client.session.post(url, json={"name": "vip"}) as answer:
        assert answer.status == 200
    async with client.session.get(f"{url}/vip") as answer:
        other = await answer.json()
    assert (other["address"], other["status"]) == ((await client.get("global/addresses/vip"))["address"], "RESERVED")
    async with client.session.delete(f"{url}/vip") as answer:
        assert answer.status == 200


async def test_a_url_map_is_validated_without_being_kept(client: Client) -> None:
    await client.make_chain()
    for rule, good in (({}, True), ({"hostRules": [{"hosts": ["a"], "pathMatcher": "none"}]}, False)):
        body = {"resource": {"defaultService": SERVICE, **rule}}
        status, answer = await client.call("POST", "global/urlMaps/other/validate", body)
        assert (status, answer["result"]["loadSucceeded"]) == (200, good)
        assert bool(answer["result"].get("loadErrors")) is not good
    assert (await client.refused("GET", "global/urlMaps/other"))[0] == 404
