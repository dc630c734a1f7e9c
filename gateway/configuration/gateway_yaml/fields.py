"""The shape of a `gateway.yaml`, from which its JSON schema is published (docs/reference/gateway.schema.json)."""

from __future__ import annotations

from ..api.bindings import check_http_method, check_template
from ..backend_url import LOOKUP_FAMILIES
from ..balance import BALANCE_POLICIES, LOCALITIES, check_hash_on
from ..flag_values import LEAST, MOST, check_health_path, check_zone
from ..quantities import check_listen_address
from ..selectors import check_full_name, check_selector, check_short_name
from ..shape import Field, Flag, Listing, Number, Quantity, Record, Shape, Text
from ..tls_names import TLS12_SUITES, TLS13_SUITES
from .admission_fields import ADAPTIVE_CONCURRENCY, RATE_LIMIT, RATE_LIMITS
from .health_check_fields import health_check_record
from .retry import CIRCUIT_BREAKERS, RETRY
from .target import Target

API_VERSION = "tidegate.dev/v1"
KIND = "Gateway"

_DURATION = Quantity("duration")
_PATH = Text(what="a path")
_NAME = Text(what="a name")


def _needed(shape: Shape, reason: str = "") -> Field:
    return Field(shape, reason, required=True)


def _size(name: str) -> Quantity:
    return Quantity("size", LEAST.get(name, 0), MOST.get(name))


_KEY_PAIR = Record(
    {
        "directory": Field(_PATH, "Holds tls.*, server.* or nginx.*."),
        "chain": Field(_PATH, "Certificate and its issuers (PEM)."),
        "key": Field(_PATH, "The certificate's key (PEM)."),
    },
    one_of=("directory", "chain"),
    one_needed=True,
)

_LISTENER = Record(
    {
        "name": _needed(_NAME),
        "address": _needed(
            Text(parse=check_listen_address, what="an address"), "IP:PORT, [IPv6]:PORT or unix:///path."
        ),
        "tls": Field(
            Record(
                {
                    "certificates": _needed(
                        Listing(_KEY_PAIR, least=1), "Chosen by SNI; without SNI or where none matches, the first."
                    ),
                    "clientCa": Field(_PATH, "CA certificates (PEM) that clients' certificates must come from."),
                    "clientCertificate": Field(
                        Text(choices=("none", "optional", "required")), "Default: required where clientCa is given."
                    ),
                    "minimumVersion": Field(Text(choices=("1.2", "1.3")), "Default: 1.2."),
                    "maximumVersion": Field(Text(choices=("1.2", "1.3")), "Default: 1.3."),
                    "cipherSuites": Field(Listing(Text(choices=(*TLS13_SUITES, *TLS12_SUITES)), least=1)),
                }
            ),
            "TLS; absent: cleartext.",
        ),
    }
)

_BACKEND_TLS = Record(
    {
        "ca": Field(_PATH, "CA certificates (PEM) to trust; default: this machine's public roots."),
        "client": Field(_KEY_PAIR, "Shown to the backend."),
        "serverName": Field(
            _NAME,
            "In the backend's certificate. Default: the first target's host, the name that DNS is asked for, or"
            " SERVICE.NAMESPACE.svc.",
        ),
    }
)

_BACKEND = Record(
    {
        "name": _needed(_NAME),
        "targets": _needed(
            Listing(Target(), least=1),
            "HOST:PORT (every address of the name is used), [IPv6]:PORT, unix:///path, a scheme's name (dns:///app:50051),"
            " or an address with its weight and priority.",
        ),
        "tls": Field(_BACKEND_TLS, "HTTP/2 over TLS; absent: cleartext HTTP/2. Write {} for the defaults."),
        "authority": Field(_NAME, "Replaces the client's :authority."),
        "retry": Field(RETRY, "For requests whose route and method say nothing of it."),
        "circuitBreakers": Field(CIRCUIT_BREAKERS, "What may be in use at once, over all workers."),
        "balance": Field(
            Record(
                {
                    "policy": Field(
                        Text(choices=BALANCE_POLICIES),
                        "How endpoints share requests. Default: round-robin.",
                    ),
                    "hashOn": Field(
                        Text(parse=check_hash_on, what="header:NAME, cookie:NAME or source"),
                        "What ring-hash and maglev hash: header:NAME, cookie:NAME or source (the client's address).",
                    ),
                    "overprovisioningPercent": Field(
                        Number(100, 1000),
                        "A priority is whole while its healthy part times this reaches 100. Default: 140.",
                    ),
                    "panicThresholdPercent": Field(
                        Number(0, 100),
                        "With fewer healthy endpoints than this, health is ignored; 0: never. Default: 50.",
                    ),
                    "localities": Field(
                        Text(choices=LOCALITIES),
                        "prefer-local: endpoints of the gateway's own zone first, others for what these cannot carry."
                        " Default: ignore.",
                    ),
                    "hashBalanceFactorPercent": Field(
                        Number(100, 10_000),
                        "ring-hash and maglev pass over an endpoint with more of the average load than this."
                        " Default: no bound.",
                    ),
                    "slowStart": Field(
                        Record(
                            {
                                "window": Field(
                                    Quantity("duration", 1, 3600), "Until it has its whole weight. Default: 30s."
                                ),
                                "aggression": Field(
                                    Number(0.1, 10, fractions=True), "1 grows evenly, 2 as a square root. Default: 1."
                                ),
                                "minWeightPercent": Field(Number(1, 100), "Of its weight, at first. Default: 10."),
                            }
                        ),
                        "New and recovered endpoints get little at first; absent: off. Write {} for the defaults.",
                    ),
                }
            )
        ),
        "outlierDetection": Field(
            Record(
                {
                    "consecutiveErrors": Field(Number(0, 1000), "Failed calls in a row; 0: off. Default: 5."),
                    "baseEjection": Field(Quantity("duration", 1), "How long the first time. Default: 30s."),
                    "maxEjection": Field(Quantity("duration", 1), "How long at most. Default: 5m."),
                    "maxEjectedPercent": Field(Number(1, 100), "Of the endpoints, at once. Default: 10."),
                    "interval": Field(Quantity("duration", 0.1), "Between two looks at the rates. Default: 10s."),
                    "successRate": Field(
                        Record(
                            {
                                "standardDeviations": Field(
                                    Number(0, 100, fractions=True), "Below the mean of all endpoints. Default: 1.9."
                                ),
                                "minimumHosts": Field(Number(1), "Endpoints with enough calls. Default: 5."),
                                "requestVolume": Field(Number(1), "Calls that are enough. Default: 100."),
                            }
                        ),
                        "Endpoints that do worse than the others; absent: off. Write {} for the defaults.",
                    ),
                    "failurePercentage": Field(
                        Record(
                            {
                                "threshold": Field(Number(1, 100), "Failed calls of a hundred. Default: 85."),
                                "minimumHosts": Field(Number(1), "Endpoints with enough calls. Default: 5."),
                                "requestVolume": Field(Number(1), "Calls that are enough. Default: 50."),
                            }
                        ),
                        "Endpoints most of whose calls fail; absent: off. Write {} for the defaults.",
                    ),
                }
            ),
            "Endpoints that fail calls again and again get none for a while; absent: off. Write {} for the defaults.",
        ),
        "healthCheck": Field(
            health_check_record(_BACKEND_TLS),
            "Asks each endpoint whether it serves; absent: off. Write {} for the defaults.",
        ),
        "adaptiveConcurrency": ADAPTIVE_CONCURRENCY,
        "connectTimeout": Field(Quantity("duration", 0.001), "Default: 5s."),
        "dnsLookupFamily": Field(
            Text(choices=LOOKUP_FAMILIES),
            "Which addresses of host names are used; auto prefers IPv6, all takes both families. Default: v4preferred.",
        ),
        "keepalive": Field(
            Record(
                {
                    "time": Field(_DURATION, "PING after this silence. Default: 0, never."),
                    "timeout": Field(_DURATION, "Default: 20s."),
                }
            )
        ),
    }
)

_REQUIREMENTS = {
    "requirements": Field(
        Listing(Record({"provider": _needed(_NAME), "audiences": Field(Listing(_NAME, least=1))})),
        "Any one suffices; an empty list: no token is needed.",
    ),
    "allowWithoutCredential": Field(Flag(), "Serves requests without a token; one that is present must be good."),
}

_ROUTE = Record(
    {
        "name": _needed(_NAME, "In metrics and log."),
        "match": Field(
            Record(
                {
                    "authorities": Field(
                        Listing(_NAME, least=1), "Host names without the port: exact, *.example.com or *."
                    ),
                    "path": Field(_NAME),
                    "pathPrefix": Field(_NAME),
                    "service": Field(_NAME, "A gRPC service: package.Service."),
                    "method": Field(_NAME, "A method of that service, by its short name."),
                    "headers": Field(
                        Listing(
                            Record(
                                {
                                    "name": _needed(_NAME),
                                    "exact": Field(Text(empty=True)),
                                    "prefix": Field(_NAME),
                                    "invert": Field(Flag()),
                                },
                                one_of=("exact", "prefix"),
                            ),
                            least=1,
                        ),
                        "With neither exact nor prefix the header has to be present.",
                    ),
                },
                one_of=("path", "pathPrefix", "service"),
            ),
            "All that is given must match; nothing given matches everything.",
        ),
        "backends": _needed(
            Listing(Record({"name": _needed(_NAME), "weight": Field(Number(0, 1_000_000), "Default: 1.")}), least=1)
        ),
        "timeout": Field(_DURATION, "For calls without a deadline of their own. Default: 0, none."),
        "idleTimeout": Field(_DURATION, "Ends a call with no data in either direction. Default: 0, never."),
        "retry": Field(RETRY, "Outranks that of the backends, whole."),
        "rateLimits": RATE_LIMITS,
        "authentication": Field(
            Record(_REQUIREMENTS), 'For what no method is known for; default: the last rule for "*".'
        ),
    }
)

_HTTP_TEMPLATE = Field(Text(parse=check_template, what="a path template"))
_VERBS = ("get", "put", "post", "delete", "patch", "custom")
_BINDING = {
    **dict.fromkeys(_VERBS[:-1], _HTTP_TEMPLATE),
    "custom": Field(
        Record(
            {
                "kind": _needed(Text(parse=check_http_method, what="an HTTP method")),
                "path": _needed(Text(parse=check_template, what="a path template")),
            }
        )
    ),
    "body": Field(Text(empty=True)),
    "responseBody": Field(Text(empty=True)),
}
_SELECTOR = _needed(Text(parse=check_selector, what="a selector"), "*, package.Service.* or package.Service.Method.")

_SERVICE = Record(
    {
        "name": _needed(Text(parse=check_full_name, what="a full name")),
        "methods": Field(Listing(Text(parse=check_short_name, what="a name"), least=1)),
    }
)

_API = Record(
    {
        "serviceConfig": Field(_PATH, "A google.api.Service; it then says services, http rules and authentication."),
        "descriptors": Field(Listing(_PATH, least=1), "FileDescriptorSets."),
        "services": Field(
            Listing(_SERVICE, least=1),
            "Default: every service of the descriptors.",
        ),
        "unknownMethods": Field(
            Text(choices=("pass", "reject")), "Default: reject (404) where services are listed, else pass."
        ),
        "http": Field(
            Listing(
                Record(
                    {
                        "selector": _SELECTOR,
                        **_BINDING,
                        "additionalBindings": Field(Listing(Record(_BINDING, one_of=_VERBS, one_needed=True))),
                    },
                    one_of=_VERBS,
                    one_needed=True,
                )
            ),
            "As http.rules of google.api.Service; they replace the annotations of descriptors.",
        ),
        "methods": Field(
            Listing(
                Record(
                    {
                        "selector": _SELECTOR,
                        "backend": Field(_NAME),
                        "timeout": Field(_DURATION),
                        "retry": Field(RETRY, "Outranks that of route and backend, whole."),
                        "rateLimits": RATE_LIMITS,
                    }
                )
            ),
            "What outranks routes for a method. The last rule that matches wins.",
        ),
    }
)

_PROVIDER = Record(
    {
        "id": _needed(_NAME),
        "issuer": _needed(_NAME),
        "jwks": Field(_NAME, "URL or file of the keys (JWKS or x509 map); default: OpenID discovery at the issuer."),
        "audiences": Field(Listing(_NAME, least=1), "A token must carry one of them."),
        "anyAudience": Field(Flag(), "Admits tokens for any audience."),
        "locations": Field(
            Listing(
                Record(
                    {
                        "header": Field(_NAME),
                        "query": Field(_NAME),
                        "cookie": Field(_NAME),
                        "prefix": Field(Text(empty=True), "What stands before the token in the header."),
                    },
                    one_of=("header", "query", "cookie"),
                    one_needed=True,
                ),
                least=1,
            ),
            "Default: Authorization: Bearer, X-Goog-Iap-Jwt-Assertion, ?access_token=.",
        ),
    },
    one_of=("audiences", "anyAudience"),
    one_needed=True,
)

_AUTHENTICATION = Record(
    {
        "providers": Field(Listing(_PROVIDER)),
        "rules": Field(Listing(Record({"selector": _SELECTOR, **_REQUIREMENTS})), "The last rule that matches wins."),
        "userinfoFormat": Field(Text(choices=("espv1", "espv2")), "Default: espv2."),
        "tokenCacheSize": Field(Number(), "Default: 1000."),
        "jwksCacheDuration": Field(_DURATION, "Default: 5m."),
        "jwksFetchRetries": Field(Number(), "Default: 3."),
        "jwksMaxStale": Field(_DURATION, "Default: 24h."),
    }
)

_LIMITS = Record(
    {
        "maxConcurrentStreams": Field(Number(LEAST["max_concurrent_streams"])),
        "streamWindow": Field(_size("stream_window_bytes")),
        "maxBufferBytes": Field(_size("max_buffer_bytes")),
        "maxHeaderBytes": Field(_size("max_header_bytes")),
        "maxHeaders": Field(Number(LEAST["max_headers"])),
        "maxLineBytes": Field(_size("max_line_bytes")),
        "maxBodyBytes": Field(_size("max_body_bytes")),
        "maxTranscodedBytes": Field(_size("max_transcoded_bytes")),
        "headerTimeout": Field(_DURATION),
        "bodyTimeout": Field(_DURATION),
        "idleTimeout": Field(_DURATION),
        "keepaliveTime": Field(_DURATION),
        "keepaliveTimeout": Field(_DURATION),
        "maxConnectionAge": Field(_DURATION),
        "maxConnectionAgeGrace": Field(_DURATION),
        "maxConnections": Field(Number()),
        "transcodedTimeout": Field(_DURATION),
    }
)

GATEWAY = Record(
    {
        "apiVersion": _needed(Text(choices=(API_VERSION,))),
        "kind": _needed(Text(choices=(KIND,))),
        "metadata": Field(Record({"name": Field(_NAME)})),
        "spec": _needed(
            Record(
                {
                    "listeners": Field(Listing(_LISTENER, least=1), "Default: 0.0.0.0:8080 in cleartext."),
                    "backends": Field(Listing(_BACKEND, least=1)),
                    "routes": Field(
                        Listing(_ROUTE), "Tried in order. Default: everything to the backend, where there is one."
                    ),
                    "api": Field(_API),
                    "authentication": Field(_AUTHENTICATION),
                    "rateLimits": Field(Listing(RATE_LIMIT), "Defined here, named by routes and methods."),
                    "limits": Field(_LIMITS),
                    "accessLog": Field(
                        Record(
                            {
                                "path": Field(Text(), 'A file, - for standard output, or off. Default: "-".'),
                                "successRate": Field(Number(), "Lines a second and worker; 0 all. Default: 100."),
                            }
                        )
                    ),
                    "admin": Field(
                        Record(
                            {
                                "port": Field(Number(0, 65535), "0 is off. Default: 8090."),
                                "address": Field(_NAME, "Opens the pages with details to more than loopback."),
                            }
                        )
                    ),
                    "drain": Field(
                        Record(
                            {
                                "delay": Field(_DURATION, "Default: 5s."),
                                "grace": Field(_DURATION, "Default: 30s."),
                            }
                        )
                    ),
                    "workers": Field(Number(1, 1024), "Default: the CPUs of the affinity and the cgroup."),
                    "zone": Field(
                        Text(parse=check_zone, what="a zone"), "Where this gateway runs, as endpoints name their zone."
                    ),
                    "xffTrustedHops": Field(Number(0, 100), "Proxies in front that append to x-forwarded-for."),
                    "healthzPath": Field(Text(parse=check_health_path, what="a path")),
                }
            )
        ),
    }
)
