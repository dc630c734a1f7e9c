"""From URL maps to routes: what matches first."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.configuration.model import HeaderMatch, Redirect
from infra.twin.front_end.routes import Forward, routes


def url_map(**members: Any) -> dict[str, Any]:
    return {"name": "map", "defaultService": "fallback", **members}


def test_the_most_specific_host_and_path_come_first() -> None:
    matchers = [
        {
            "name": "api",
            "defaultService": "api",
            "pathRules": [
                {"paths": ["/*", "/v1/*"], "service": "wide"},
                {"paths": ["/v1/exact"], "service": "exact"},
                {"paths": ["/v1/longer/*"], "service": "long"},
            ],
        },
        {"name": "any", "defaultService": "any"},
    ]
    hosts = [
        {"hosts": ["*"], "pathMatcher": "any"},
        {"hosts": ["*.example.com", "API.example.com"], "pathMatcher": "api"},
    ]
    found = routes(url_map(pathMatchers=matchers, hostRules=hosts))
    expected = [("/v1/exact", None), (None, "/v1/longer/"), (None, "/v1/"), (None, "/"), (None, None)]
    assert [(route.hosts, route.path, route.path_prefix) for route in found] == [
        *((("api.example.com",), *paths) for paths in expected),
        *((("*.example.com",), *paths) for paths in expected),
        ((), None, None),
        ((), None, None),
    ]
    assert [route.services[0][0] for route in found[:5]] == ["exact", "long", "wide", "wide", "api"]
    assert [route.services[0][0] for route in found[-2:]] == ["any", "fallback"]


def test_weights_and_route_rules() -> None:
    weighted = [{"backendService": "a", "weight": 90}, {"backendService": "b", "weight": 10}, {"backendService": "c"}]
    rules = [
        {"priority": 2, "service": "later", "matchRules": [{"prefixMatch": "/"}]},
        {
            "priority": 1,
            "routeAction": {"weightedBackendServices": weighted},
            "matchRules": [
                {"fullPathMatch": "/a", "headerMatches": [{"headerName": "X-Canary", "exactMatch": "1"}]},
                {"prefixMatch": "/b"},
            ],
        },
    ]
    matcher = {"name": "m", "defaultService": "d", "routeRules": rules}
    found = routes(url_map(pathMatchers=[matcher], hostRules=[{"hosts": ["h"], "pathMatcher": "m"}]))
    services = (("a", 90), ("b", 10))
    assert found[:3] == (
        Forward("m/1", ("h",), "/a", None, (HeaderMatch("x-canary", "1"),), services),
        Forward("m/1", ("h",), None, "/b", (), services),
        Forward("m/2", ("h",), None, "/", (), (("later", 1),)),
    )


@pytest.mark.parametrize(
    ("told", "redirect"),
    [
        ({"httpsRedirect": True}, Redirect(301, https=True)),
        (
            {"hostRedirect": "h", "prefixRedirect": "/p", "redirectResponseCode": "FOUND", "stripQuery": True},
            Redirect(302, host="h", prefix="/p", strip_query=True),
        ),
    ],
)
def test_redirects(told: dict[str, Any], redirect: Redirect) -> None:
    (route,) = routes({"name": "map", "defaultUrlRedirect": told})
    assert route.redirect == redirect
    assert route.services == ()


def test_what_is_not_honoured_is_named() -> None:
    action = {"urlRewrite": {"hostRewrite": "x"}, "weightedBackendServices": [{"backendService": "a", "weight": 1}]}
    (route,) = routes({"name": "map", "defaultRouteAction": action})
    assert route.ignored == ("routeAction.urlRewrite",)


@pytest.mark.parametrize(
    "match",
    [
        {"prefixMatch": "/", "queryParameterMatches": [{"name": "canary", "presentMatch": True}]},
        {"regexMatch": "/v[0-9]/.*"},
        {"prefixMatch": "/", "headerMatches": [{"headerName": "x-canary", "suffixMatch": "yes"}]},
    ],
)
def test_a_rule_with_a_condition_that_is_not_known_takes_nothing(match: dict[str, Any]) -> None:
    rule = {"priority": 1, "matchRules": [match], "service": "canary"}
    matcher = {"name": "m", "routeRules": [rule], "defaultService": "usual"}
    hosts = [{"hosts": ["*"], "pathMatcher": "m"}]
    canary, usual, _ = routes({"name": "map", "hostRules": hosts, "pathMatchers": [matcher], "defaultService": "usual"})
    assert (canary.takes, canary.services) == (False, (("canary", 1),))
    assert canary.ignored
    assert (usual.takes, usual.services) == (True, (("usual", 1),))
