"""The shape of a backend's `healthCheck`."""

from __future__ import annotations

from ..health_check import HEALTH_PROTOCOLS, check_host, check_path, check_statuses
from ..shape import Field, Flag, Listing, Number, Quantity, Record, Text


def health_check_record(tls: Record) -> Record:
    """`tls` is the shape of a backend's own."""
    return Record(
        {
            "protocol": Field(
                Text(choices=HEALTH_PROTOCOLS),
                "grpc asks grpc.health.v1, http and http2 send GET, tcp only connects. Default: grpc.",
            ),
            "service": Field(Text(empty=True), "grpc: the service that is asked for. Default: the server as a whole."),
            "watch": Field(Flag(), "grpc: by Watch where it is served, else by Check; false: Check. Default: true."),
            "path": Field(Text(parse=check_path, what="a path"), "http: what is asked for. Default: /."),
            "host": Field(
                Text(parse=check_host, what="a host"),
                ":authority or Host. Default: the backend's authority, else its TLS name, else the address.",
            ),
            "expectedStatuses": Field(
                Listing(Text(parse=check_statuses, what="a status such as 200, or a range such as 200-399"), least=1),
                "http: what counts as healthy. Default: 200-399.",
            ),
            "headers": Field(
                Listing(
                    Record(
                        {
                            "name": Field(Text(what="a name"), required=True),
                            "value": Field(Text(empty=True), required=True),
                        }
                    )
                ),
                "Sent along, as headers or gRPC metadata.",
            ),
            "interval": Field(Quantity("duration", 0.01, 3600), "From one check to the next. Default: 1s."),
            "noTrafficInterval": Field(
                Quantity("duration", 0.01, 86400),
                "The same for endpoints that pass, while the backend has had no call for this long. Default: 60s.",
            ),
            "jitterPercent": Field(Number(0, 100), "How far intervals vary to either side. Default: 10."),
            "timeout": Field(
                Quantity("duration", 0.001, 3600), "For the connection, and again for the answer. Default: 1s."
            ),
            "unhealthyThreshold": Field(
                Number(1, 100), "Checks in a row without an answer that make an endpoint unhealthy. Default: 3."
            ),
            "healthyThreshold": Field(
                Number(1, 100), "Checks in a row that make it healthy again; the first of all is enough. Default: 2."
            ),
            "flapDamping": Field(
                Flag(), "An endpoint that often goes up and down counts as unknown for a while. Default: true."
            ),
            "port": Field(Number(1, 65535), "Default: the endpoint's own."),
            "tls": Field(tls, "Default: the backend's own."),
            "cleartext": Field(Flag(), "Checks without TLS although the backend has it."),
        },
        one_of=("tls", "cleartext"),
    )
