"""Fields of health checks. Each client region probes for itself; getHealth says what most of them have found."""

from __future__ import annotations

from infra.twin.fields.table import NAMED, SERVER, Table, plain

HEALTH_CHECK = Table(
    "HealthCheck",
    "healthChecks",
    honoured={
        **NAMED,
        "checkIntervalSec": "kept whether there is traffic or not",
        "healthyThreshold": "",
        "timeoutSec": "",
        "type": "has its own settings below",
        "unhealthyThreshold": "",
        **plain("grpcHealthCheck grpcTlsHealthCheck http2HealthCheck httpHealthCheck httpsHealthCheck"),
        **plain("sslHealthCheck tcpHealthCheck"),
    },
    stored={
        "description": "",
        "logConfig": "nothing is logged of probes",
        "sourceRegions": "probes come from every client region that the twin has",
    },
    output={**SERVER, **plain("region")},
    only={"type": ("GRPC", "GRPC_WITH_TLS", "HTTP", "HTTP2", "HTTPS", "SSL", "TCP")},
)

_PORT = {
    "port": "the endpoint's own with `USE_SERVING_PORT`",
    "portSpecification": "`USE_NAMED_PORT` means the endpoint's own port too: groups of endpoints name none",
}
_NAMED_PORT = {"portName": "see `portSpecification`"}
_PROXY = {"proxyHeader": "no PROXY line is sent"}
_ANSWER = {"response": "any answer with status 200 is good"}
_REQUEST = {"request": "a connection is all that is asked for", "response": "a connection is enough"}


def _http(schema: str, title: str) -> Table:
    return Table(
        schema,
        title,
        honoured={**_PORT, "host": "", "requestPath": "200 alone is good"},
        stored={**_NAMED_PORT, **_PROXY, **_ANSWER},
    )


def _stream(schema: str, title: str) -> Table:
    return Table(schema, title, honoured=_PORT, stored={**_NAMED_PORT, **_PROXY, **_REQUEST})


SETTINGS = (
    Table("GRPCHealthCheck", "in clear", honoured={**_PORT, "grpcServiceName": ""}, stored=_NAMED_PORT),
    Table("GRPCTLSHealthCheck", "over TLS, not verified", honoured={**_PORT, "grpcServiceName": ""}),
    _http("HTTP2HealthCheck", "HTTP/2 over TLS, not verified"),
    _http("HTTPHealthCheck", "HTTP/1.1 in clear"),
    _http("HTTPSHealthCheck", "HTTP/1.1 over TLS, not verified"),
    _stream("SSLHealthCheck", "a TLS handshake, not verified"),
    _stream("TCPHealthCheck", "a connection"),
)
