"""Values to try fields with: bodies in which a field can stand, and two values that make a difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from infra.twin.discovery.document import Document, Schema
from infra.twin.fields.tables import Place
from infra.twin.resources.health_check import SETTINGS
from tests.twin.compiled import CERTIFICATES, CHAIN, GROUPS, Json, Twin

SERVICE, OTHER = "global/backendServices/service", "global/backendServices/other"
LOWEST = 2147483647


@dataclass(frozen=True, slots=True)
class Values:
    """What is put over the members around a field, before and after; None takes a member away."""

    before: Json
    after: Json


def _one(name: str, before: Any, after: Any) -> Values:
    return Values({name: before}, {name: after})


_PORTS = {
    "port": _one("port", 1000, 1001),
    "portSpecification": Values({"port": 1000}, {"port": None, "portSpecification": "USE_SERVING_PORT"}),
}
_HOSTS = {"host": _one("host", "a", "b"), "requestPath": _one("requestPath", "/a", "/b")}
_SERVICE_NAME = {"grpcServiceName": _one("grpcServiceName", "a", "b")}
_WHERE = _one("service", SERVICE, OTHER)
_LABELS = {"filterMatchCriteria": "MATCH_ALL", "filterLabels": [{"name": "a", "value": "b"}]}
_TCP = [{"IPProtocol": "tcp", "ports": ["8443"]}]
_DENIED = {"allowed": None, "denied": _TCP}
_DEFAULT = _one("defaultService", SERVICE, OTHER)


def _numbers(*names: str) -> Mapping[str, Values]:
    return {name: _one(name, 5, 6) for name in names}


HONOURED: Mapping[str, Mapping[str, Values]] = {
    "Address": {
        "address": _one("address", "203.0.113.70", "203.0.113.71"),
        "ipVersion": _one("ipVersion", None, "IPV6"),
    },
    "ForwardingRule": {
        "IPAddress": _one("IPAddress", "203.0.113.70", "203.0.113.71"),
        "ipVersion": Values({"IPAddress": None}, {"IPAddress": None, "ipVersion": "IPV6"}),
        "portRange": Values(
            {"IPAddress": "203.0.113.70", "target": "global/targetHttpProxies/plain", "portRange": "80"},
            {"IPAddress": "203.0.113.70", "target": "global/targetHttpProxies/plain", "portRange": "8080-8080"},
        ),
        "target": _one("target", "global/targetHttpsProxies/secure", "global/targetHttpsProxies/other"),
    },
    "HealthCheck": {
        **_numbers("checkIntervalSec", "healthyThreshold", "unhealthyThreshold"),
        "timeoutSec": _one("timeoutSec", 3, 4),
        "type": Values({"type": "TCP", "grpcTlsHealthCheck": None}, {"type": "SSL", "grpcTlsHealthCheck": None}),
    },
    "GRPCHealthCheck": _PORTS | _SERVICE_NAME,
    "GRPCTLSHealthCheck": _PORTS | _SERVICE_NAME,
    "HTTP2HealthCheck": _PORTS | _HOSTS,
    "HTTPHealthCheck": _PORTS | _HOSTS,
    "HTTPSHealthCheck": _PORTS | _HOSTS,
    "SSLHealthCheck": _PORTS,
    "TCPHealthCheck": _PORTS,
    "BackendService": {
        "connectionDraining": _one("connectionDraining", None, {"drainingTimeoutSec": 30}),
        "healthChecks": _one("healthChecks", ["global/healthChecks/check"], ["global/healthChecks/other"]),
        "localityLbPolicy": _one("localityLbPolicy", None, "LEAST_REQUEST"),
        "protocol": _one("protocol", "HTTP2", "H2C"),
        "sessionAffinity": _one("sessionAffinity", None, "CLIENT_IP"),
        "timeoutSec": _one("timeoutSec", 10, 20),
    },
    "Backend": {
        "capacityScaler": _one("capacityScaler", 1.0, 0.5),
        "group": _one("group", f"{GROUPS['near']}/near", f"{GROUPS['far']}/far"),
        "maxRate": Values({"maxRatePerEndpoint": None, "maxRate": 50}, {"maxRatePerEndpoint": None, "maxRate": 60}),
        "maxRatePerEndpoint": _one("maxRatePerEndpoint", 50, 60),
        "preference": _one("preference", "DEFAULT", "PREFERRED"),
    },
    "CircuitBreakers": _numbers("maxConnections", "maxPendingRequests", "maxRequests", "maxRetries"),
    "ConsistentHashLoadBalancerSettings": {"httpHeaderName": _one("httpHeaderName", "x-a", "x-b")},
    "ConsistentHashLoadBalancerSettingsHttpCookie": {"name": _one("name", "a", "b")},
    "BackendServiceLogConfig": {"enable": _one("enable", None, True)},
    "OutlierDetection": {
        **_numbers("maxEjectionPercent", "successRateMinimumHosts", "successRateRequestVolume"),
        "baseEjectionTime": _one("baseEjectionTime", {"seconds": "10"}, {"seconds": "20"}),
        "consecutiveErrors": _one("consecutiveErrors", 1, 2),
        "consecutiveGatewayFailure": _one("consecutiveGatewayFailure", 1, 2),
        "enforcingConsecutiveErrors": Values(
            {"consecutiveErrors": 1}, {"consecutiveErrors": 1, "enforcingConsecutiveErrors": 0}
        ),
        "enforcingConsecutiveGatewayFailure": Values(
            {"consecutiveGatewayFailure": 1}, {"consecutiveGatewayFailure": 1, "enforcingConsecutiveGatewayFailure": 0}
        ),
        "enforcingSuccessRate": _one("enforcingSuccessRate", None, 0),
        "interval": _one("interval", {"seconds": "10"}, {"seconds": "20"}),
        "successRateStdevFactor": _one("successRateStdevFactor", 1000, 2000),
    },
    "UrlMap": {"defaultService": _DEFAULT},
    "HostRule": {
        "hosts": _one("hosts", ["a.example"], ["d.example"]),
        "pathMatcher": _one("pathMatcher", "first", "second"),
    },
    "PathMatcher": {"defaultService": _DEFAULT},
    "PathRule": {"paths": _one("paths", ["/a"], ["/b"]), "service": _WHERE},
    "HttpRouteRule": {"priority": _one("priority", 1, 9), "service": _WHERE},
    "HttpRouteRuleMatch": {
        "fullPathMatch": Values(
            {"prefixMatch": None, "fullPathMatch": "/a"}, {"prefixMatch": None, "fullPathMatch": "/b"}
        ),
        "metadataFilters": _one("metadataFilters", None, [_LABELS]),
        "pathTemplateMatch": _one("pathTemplateMatch", None, "/{a}"),
        "prefixMatch": _one("prefixMatch", "/a", "/b"),
        "queryParameterMatches": _one("queryParameterMatches", None, [{"name": "a", "presentMatch": True}]),
        "regexMatch": _one("regexMatch", None, "/a.*"),
    },
    "HttpHeaderMatch": {
        "exactMatch": _one("exactMatch", "a", "b"),
        "headerName": _one("headerName", "x-a", "x-b"),
        "invertMatch": _one("invertMatch", None, True),
        "prefixMatch": Values({"exactMatch": None, "prefixMatch": "a"}, {"exactMatch": None, "prefixMatch": "b"}),
        "presentMatch": Values({"exactMatch": None, "presentMatch": True}, {"exactMatch": None, "presentMatch": False}),
        "rangeMatch": _one("rangeMatch", None, {"rangeStart": "1", "rangeEnd": "5"}),
        "regexMatch": _one("regexMatch", None, "a.*"),
        "suffixMatch": _one("suffixMatch", None, "a"),
    },
    "HttpRedirectAction": {
        "hostRedirect": _one("hostRedirect", "a.example", "b.example"),
        "httpsRedirect": _one("httpsRedirect", None, True),
        "pathRedirect": _one("pathRedirect", "/a", "/b"),
        "prefixRedirect": _one("prefixRedirect", "/a", "/b"),
        "redirectResponseCode": _one("redirectResponseCode", None, "FOUND"),
        "stripQuery": _one("stripQuery", None, True),
    },
    "HttpRouteAction": {"timeout": _one("timeout", {"seconds": "5"}, {"seconds": "6"})},
    "WeightedBackendService": {
        "backendService": _one("backendService", SERVICE, OTHER),
        "weight": _one("weight", 50, 90),
    },
    "SslCertificate": {
        "certificate": Values(*CERTIFICATES),
        "privateKey": Values(*CERTIFICATES),
        "type": Values({}, {"type": "MANAGED", "managed": {"domains": ["a"]}, "certificate": None, "privateKey": None}),
    },
    "SslCertificateSelfManagedSslCertificate": {
        "certificate": Values(*CERTIFICATES),
        "privateKey": Values(*CERTIFICATES),
    },
    "SslCertificateManagedSslCertificate": {"domains": _one("domains", ["a.example"], ["b.example"])},
    "TargetHttpProxy": {"urlMap": _one("urlMap", "global/urlMaps/map", "global/urlMaps/other")},
    "TargetHttpsProxy": {
        "sslCertificates": _one("sslCertificates", ["global/sslCertificates/cert"], ["global/sslCertificates/other"]),
        "urlMap": _one("urlMap", "global/urlMaps/map", "global/urlMaps/other"),
    },
    "NetworkEndpointGroup": {
        "defaultPort": _one("defaultPort", 8443, 9443),
        "network": _one("network", None, "global/networks/net"),
    },
    "Firewall": {
        "allowed": _one("allowed", _TCP, [{"IPProtocol": "udp"}]),
        "denied": Values({"allowed": None, "denied": [{"IPProtocol": "udp"}]}, _DENIED),
        "direction": _one("direction", None, "EGRESS"),
        "disabled": _one("disabled", None, True),
        "network": _one("network", None, "global/networks/net"),
        "priority": _one("priority", 59_999, 60_001),
        "sourceRanges": _one("sourceRanges", None, ["10.0.0.0/8"]),
        "sourceServiceAccounts": _one("sourceServiceAccounts", None, ["a@example.com"]),
        "sourceTags": _one("sourceTags", None, ["a"]),
        "targetServiceAccounts": Values(_DENIED, _DENIED | {"targetServiceAccounts": ["a@example.com"]}),
        "targetTags": Values(_DENIED, _DENIED | {"targetTags": ["a"]}),
    },
}
"""Of what the traffic follows, by schema and field."""


def _statuses(*calls: tuple[str, str, Json]) -> Callable[[Twin], list[int]]:
    return lambda twin: [twin.call(*call).status for call in calls]


def _attach(kind: str) -> Callable[[Twin], list[int]]:
    nameless = {"networkEndpoints": [{"ipAddress": "10.0.0.1", "port": 1}]}
    path = GROUPS["near"]
    return _statuses(
        ("POST", path, {"name": "probe", "networkEndpointType": kind}),
        ("POST", f"{path}/probe/attachNetworkEndpoints", nameless),
    )


def _matcher(name: str) -> Callable[[Twin], list[int]]:
    body = {
        "name": "probe",
        "defaultService": SERVICE,
        "hostRules": [{"hosts": ["a"], "pathMatcher": "a"}],
        "pathMatchers": [{"name": name, "defaultService": SERVICE}],
    }
    return _statuses(("POST", "global/urlMaps", body))


def _service_scheme(scheme: str) -> Callable[[Twin], list[int]]:
    body = {"name": "probe", "loadBalancingScheme": scheme, "outlierDetection": {}}
    return _statuses(("POST", "global/backendServices", body))


def _rule_scheme(scheme: str) -> Callable[[Twin], list[int]]:
    rule = next(body for path, body in CHAIN if path == "global/forwardingRules")
    body = {**rule, "name": "probe", "IPAddress": "203.0.113.70", "loadBalancingScheme": scheme}
    return _statuses(("POST", "global/forwardingRules", body))


ANSWERED: Mapping[tuple[str, str], tuple[Callable[[Twin], list[int]], Callable[[Twin], list[int]]]] = {
    ("BackendService", "loadBalancingScheme"): (_service_scheme("EXTERNAL"), _service_scheme("EXTERNAL_MANAGED")),
    ("ForwardingRule", "loadBalancingScheme"): (_rule_scheme("EXTERNAL"), _rule_scheme("EXTERNAL_MANAGED")),
    ("NetworkEndpointGroup", "networkEndpointType"): (_attach("GCE_VM_IP_PORT"), _attach("NON_GCP_PRIVATE_IP_PORT")),
    ("PathMatcher", "name"): (_matcher("a"), _matcher("b")),
}
"""Of what other answers of the API follow, two calls that are answered otherwise for two values."""

_EVERYONE = {"versionedExpr": "SRC_IPS_V1", "config": {"srcIpRanges": ["*"]}}

STORED: Mapping[tuple[str, str], Any] = {
    ("HttpRouteAction", "requestMirrorPolicy"): {"backendService": OTHER},
    ("SecurityPolicy", "rules"): [{"priority": LOWEST, "action": "deny(403)", "match": _EVERYONE}],
    ("Subnetwork", "ipCidrRange"): "10.1.0.0/16",
    ("Subnetwork", "network"): "global/networks/default",
    ("UrlMap", "tests"): [{"host": "a", "path": "/", "service": OTHER}],
}
"""Values of stored fields for which not every one that the schema allows will do."""

_TEXTS = {
    "IPv4Range": "10.0.0.0/8",
    "network": "global/networks/net",
    "subnetwork": "regions/us-central1/subnetworks/sub",
}


def any_value(document: Document, schema: Schema, name: str, other_than: Any = None) -> Any:
    """A value that the schema allows, with everything in it that a client may set."""
    if "$ref" in schema:
        schema = document.schemas[schema["$ref"]]
    value: Any
    match schema.get("type"):
        case "object" if "additionalProperties" in schema:
            value = {"key": any_value(document, schema["additionalProperties"], "")}
        case "object":
            members = schema["properties"].items()
            value = {name: any_value(document, of, name) for name, of in members if not of.get("readOnly")}
        case "array":
            value = [any_value(document, schema["items"], "")]
        case "string":
            value = _any_text(schema, name, other_than)
        case kind:
            value = {"boolean": not other_than, "integer": 7, "number": 0.25}[str(kind)]
    return value


def _any_text(schema: Schema, name: str, other_than: Any) -> str:
    if "enum" in schema:
        return str(next(value for value in schema["enum"] if value != other_than))
    if schema.get("format") in ("int64", "uint64"):
        return "7"
    return _TEXTS.get(name, "abc")


def where(kind: Place) -> tuple[str, Json]:
    """(collection's path, body) of the resource that is varied, before anything is put into it."""
    collection = kind.kind.title.partition(" ")[0]
    path, body = next((path, body) for path, body in CHAIN if path.endswith(f"/{collection}"))
    return path, _prepared(kind, deepcopy(body))


def _prepared(place: Place, body: Json) -> Json:
    path = [step.removesuffix("[]") for step in place.path]
    match place.kind.schema:
        case "HealthCheck" if path[0] in SETTINGS.values():
            body.pop("grpcTlsHealthCheck")
            body["type"] = next(kind for kind, member in SETTINGS.items() if member == path[0])
            body[path[0]] = {"port": 1000}
        case "BackendService" if path[0] == "consistentHash":
            body |= {"localityLbPolicy": "RING_HASH", "sessionAffinity": "HEADER_FIELD"}
            if path[1:2] == ["httpCookie"]:
                body["sessionAffinity"] = "HTTP_COOKIE"
        case "BackendService" if path[0] == "outlierDetection":
            body["outlierDetection"] = {
                "consecutiveErrors": 5,
                "consecutiveGatewayFailure": 5,
                "successRateStdevFactor": 1900,
            }
        case "BackendService" if path[-1] == "group":
            body["backends"] = body["backends"][:1]
        case "BackendService" if path[-1] == "preference":
            body["backends"].reverse()
        case "SslCertificate" if path[0] == "selfManaged":
            body = {"name": body["name"], "selfManaged": {}}
        case "SslCertificate" if path[0] == "managed":
            body = {"name": body["name"], "type": "MANAGED", "managed": {"domains": ["a.example"]}}
        case "UrlMap" if len(path) > 1:
            body |= _matchers(path)
            _prepare_action(body, path)
    return body


def _matchers(path: list[str]) -> Json:
    if path[0] not in ("hostRules", "pathMatchers"):
        return {}
    first: Json = {"name": "first", "defaultService": SERVICE}
    if path[1] == "pathRules":
        first["pathRules"] = [{"paths": ["/a"], "service": SERVICE}]
    if path[1] == "routeRules":
        match: Json = {"prefixMatch": "/"}
        if "headerMatches" in path:
            match |= {"headerMatches": [{"headerName": "x-a", "exactMatch": "a"}]}
        first["routeRules"] = [
            {"priority": 1, "matchRules": [match], "service": SERVICE},
            {"priority": 5, "matchRules": [{"prefixMatch": "/"}], "service": OTHER},
        ]
    rules = [("a.example", "first"), ("b.example", "second"), ("c.example", "first")]
    return {
        "hostRules": [{"hosts": [host], "pathMatcher": matcher} for host, matcher in rules],
        "pathMatchers": [first, {"name": "second", "defaultService": OTHER}],
    }


def _prepare_action(body: Json, path: list[str]) -> None:
    """Redirects and weights stand in place of a service."""
    at = next((at for at, step in enumerate(path) if step.endswith(("outeAction", "rlRedirect"))), None)
    if at is None:
        return
    owner = body
    for step in path[:at]:
        owner = owner[step][0]
    action: Json = {}
    if path[at].endswith("rlRedirect"):
        action = {"hostRedirect": "a.example"}
    elif "weightedBackendServices" in path:
        action = {
            "weightedBackendServices": [
                {"backendService": SERVICE, "weight": 50},
                {"backendService": OTHER, "weight": 10},
            ]
        }
    if action:
        owner.pop("service", None)
        owner.pop("defaultService", None)
    owner[path[at]] = action


def put(body: Json, place: Place, members: Json) -> Json:
    """A copy of a body with members put around a place; of lists it is the first entry."""
    changed = deepcopy(body)
    around = changed
    for step in place.path[:-1]:
        name = step.removesuffix("[]")
        below = around.setdefault(name, [{}] if step.endswith("[]") else {})
        around = below[0] if step.endswith("[]") else below
    for name, value in members.items():
        if value is None:
            around.pop(name, None)
        else:
            around[name] = value
    return changed


def look_up(body: Json, place: Place) -> Any:
    """What stands at a place; None: nothing does."""
    found: Any = body
    for step in (*place.path[:-1], place.name):
        name = step.removesuffix("[]")
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
        if step.endswith("[]") and step != place.path[-1]:
            found = found[0]
    return found
