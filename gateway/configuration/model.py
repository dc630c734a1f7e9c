"""What an operator asked for, whichever way it was written: the one model that both ways in compile to.

Paths are still paths and names still names here; `gateway.snapshot` reads and resolves them. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .problems import Place

UserInfoFormat = Literal["espv1", "espv2"]

LookupFamily = Literal["auto", "v4only", "v6only", "v4preferred", "all"]
"""Which addresses of a host name count. `auto` prefers IPv6; a preferred family is used alone if the name has it."""


@dataclass(frozen=True, slots=True)
class CertificateSource:
    """A key pair on disk: a directory that holds `tls.*`, `server.*` or `nginx.*`, or two files."""

    directory: Path | None = None
    chain: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class ListenerTls:
    certificates: tuple[CertificateSource, ...]
    client_ca: Path | None = None
    client_certificate: Literal["none", "optional", "required"] = "none"
    minimum_version: Literal["1.2", "1.3"] = "1.2"
    maximum_version: Literal["1.2", "1.3"] = "1.3"
    cipher_suites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listener:
    """`address` is `host:port`, `[v6]:port` or `unix:///path`."""

    name: str
    address: str
    tls: ListenerTls | None = None


@dataclass(frozen=True, slots=True)
class BackendTls:
    """`verify` False: whatever certificate is shown is taken, and without a name none is sent."""

    ca: Path | None = None
    client: CertificateSource | None = None
    server_name: str | None = None
    verify: bool = True


BalancePolicy = Literal["round-robin", "least-request", "random", "ring-hash", "maglev"]


@dataclass(frozen=True, slots=True)
class HashOn:
    """What consistent hashing hashes of a request. `name` is that of the header, in lower case, or of the cookie."""

    kind: Literal["header", "cookie", "source"]
    name: str = ""


@dataclass(frozen=True, slots=True)
class SlowStart:
    """An endpoint that has just come begins with `min_weight_percent` of its weight and has all of it after `window`
    seconds; `aggression` 1 grows evenly, more is faster at first. Envoy's defaults, but for the window (it has none).
    """

    window: float = 30.0
    aggression: float = 1.0
    min_weight_percent: int = 10


@dataclass(frozen=True, slots=True)
class Balance:
    """How endpoints share requests. `hash_on` is there for `ring-hash` and `maglev`, and for them alone.

    A priority is whole while its healthy part times `overprovisioning_percent` reaches 100; below
    `panic_threshold_percent` healthy, health is ignored. Both defaults are Envoy's. With `prefer_local` the same rule
    holds for the gateway's own zone within a priority. `hash_balance_factor_percent` of the average load is the most
    that an endpoint gets by its hash; 0 is off.
    """

    policy: BalancePolicy = "round-robin"
    hash_on: HashOn | None = None
    overprovisioning_percent: int = 140
    panic_threshold_percent: int = 50
    prefer_local: bool = False
    hash_balance_factor_percent: int = 0
    slow_start: SlowStart | None = None


@dataclass(frozen=True, slots=True)
class SuccessRate:
    """An endpoint fails whose success rate is below the mean of all less `standard_deviations` of them.

    Endpoints count that had `request_volume` calls in the interval, if they are `minimum_hosts`. Envoy's defaults.
    """

    standard_deviations: float = 1.9
    minimum_hosts: int = 5
    request_volume: int = 100


@dataclass(frozen=True, slots=True)
class FailurePercentage:
    """An endpoint fails of whose calls `threshold` of a hundred or more failed. The rest is as in `SuccessRate`."""

    threshold: int = 85
    minimum_hosts: int = 5
    request_volume: int = 50


@dataclass(frozen=True, slots=True)
class OutlierDetection:
    """An endpoint that fails `consecutive_errors` calls in a row (502 to 504, UNAVAILABLE, no connection; 0: off), or
    by its rates of each `interval`, gets none for `base_ejection` seconds, twice that the second time, `max_ejection`
    at most.

    At most `max_ejected_percent` of a backend's endpoints are left out at once, or one of several. Envoy's defaults.
    """

    consecutive_errors: int = 5
    base_ejection: float = 30.0
    max_ejection: float = 300.0
    max_ejected_percent: int = 10
    interval: float = 10.0
    success_rate: SuccessRate | None = None
    failure_percentage: FailurePercentage | None = None


HealthProtocol = Literal["grpc", "http", "http2", "tcp"]


@dataclass(frozen=True, slots=True)
class HealthHeader:
    name: str
    value: str = field(repr=False, metadata={"secret": True})


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How a backend's endpoints are asked whether they serve. Seconds; `expected_statuses` are ranges, both ends in.

    `tls` None is cleartext; `host` None is the TLS name, else the address. Thresholds are Kubernetes' and Envoy's usual
    ones. An interval of a second costs a server microseconds, and with Watch there is hardly any asking; while the
    backend has had no call for `no_traffic_interval` (Envoy's), endpoints that pass are asked only that often.
    """

    protocol: HealthProtocol = "grpc"
    service: str = ""
    watch: bool = True
    path: str = "/"
    host: str | None = None
    expected_statuses: tuple[tuple[int, int], ...] = ((200, 399),)
    headers: tuple[HealthHeader, ...] = ()
    interval: float = 1.0
    no_traffic_interval: float = 60.0
    jitter_percent: int = 10
    timeout: float = 1.0
    unhealthy_threshold: int = 3
    healthy_threshold: int = 2
    flap_damping: bool = True
    port: int | None = None
    tls: BackendTls | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """When a request is sent again, `attempts` times at most.

    `on` are conditions of the snapshot, `grpc_statuses` numbers from 1 to 16, `http_statuses` from 300 to 599; times
    are seconds. The back-off is a random part of `back_off`, doubled each time up to `max_back_off` (Envoy's defaults).
    `hedge_delay` None: no hedging.
    """

    attempts: int = 1
    on: tuple[str, ...] = ("connect-failure", "refused-stream")
    http_statuses: tuple[int, ...] = ()
    grpc_statuses: tuple[int, ...] = ()
    back_off: float = 0.025
    max_back_off: float = 0.25
    per_try_timeout: float = 0.0
    hedge_delay: float | None = None


@dataclass(frozen=True, slots=True)
class CircuitBreakers:
    """What of one backend may be in use at once, over all workers; 0 is no limit, except of `max_pending`.

    The budget is how many requests may be under way a second time: `budget_percent` of all, or `budget_least`. Envoy's
    figures.
    """

    max_connections: int = 0
    max_pending: int = 10_000
    max_requests: int = 0
    max_retries: int = 0
    budget_percent: int = 20
    budget_least: int = 3


DEFAULT_KEYS = 10_000
"""Keys of a rate limit that are sure to get a bucket of their own."""


@dataclass(frozen=True, slots=True)
class RateKey:
    """What a rate limit tells requests apart by. `name` is the claim's, or the header's in lower case."""

    kind: Literal["claim", "header", "source"]
    name: str = ""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`requests` every `period` seconds, of which `burst` may come at once, for each key or for all together."""

    name: str
    requests: int
    period: float
    burst: int
    key: RateKey | None = None
    max_keys: int = DEFAULT_KEYS


@dataclass(frozen=True, slots=True)
class AdaptiveConcurrency:
    """Bounds of the calls that a backend has under way; see core/datapath/src/admission/gradient.rs for the defaults.

    `tolerance_percent` is what a call may take, of what it takes without load.
    """

    minimum: int = 3
    maximum: int = 1000
    initial: int = 20
    tolerance_percent: int = 150


@dataclass(frozen=True, slots=True)
class Backend:
    """`targets` are `host:port` (names are resolved again and again), `unix:///path`, or a scheme's names.

    `drain_timeout` is what calls have that run at an endpoint which is gone; None: as long as they take.
    """

    name: str
    targets: tuple[str, ...]
    tls: BackendTls | None = None
    authority: str | None = None
    retry: Retry = Retry()
    circuit_breakers: CircuitBreakers = CircuitBreakers()
    connect_timeout: float = 5.0
    keepalive_time: float = 0.0
    keepalive_timeout: float = 20.0
    drain_timeout: float | None = None
    lookup_family: LookupFamily = "v4preferred"
    balance: Balance = Balance()
    outlier_detection: OutlierDetection | None = None
    health_check: HealthCheck | None = None
    adaptive_concurrency: AdaptiveConcurrency | None = None


@dataclass(frozen=True, slots=True)
class Requirement:
    provider: str
    audiences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call. `deny` refuses every caller with (HTTP status, message)."""

    requirements: tuple[Requirement, ...] = ()
    allow_without_credential: bool = False
    deny: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    name: str
    exact: str | None = None
    prefix: str | None = None
    invert: bool = False


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where a client is sent instead, with the HTTP status `code`; what is None stays as it was asked for.

    `path` is the whole path, `prefix` stands for the one by which the route was found.
    """

    code: int
    https: bool = False
    host: str | None = None
    path: str | None = None
    prefix: str | None = None
    strip_query: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """All conditions that are given must match; `backends` are (name, weight), and there are none with a `redirect`.

    `timeout` is for calls that say none, `max_timeout` for all. `retry` outranks its backends'.
    """

    name: str
    backends: tuple[tuple[str, int], ...]
    authorities: tuple[str, ...] = ()
    path: str | None = None
    path_prefix: str | None = None
    service: str | None = None
    method: str | None = None
    headers: tuple[HeaderMatch, ...] = ()
    redirect: Redirect | None = None
    timeout: float = 0.0
    max_timeout: float = 0.0
    idle_timeout: float = 0.0
    access: Access = Access()
    retry: Retry | None = None
    rate_limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binding:
    """One HTTP method and path of a gRPC method.

    `places` says where its other fields were written, for messages only.
    """

    verb: str
    template: str
    body: str = ""
    response_body: str = ""
    places: Mapping[str, Place] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Method:
    """A gRPC method known by name (`pkg.Service.Method`), or with `pkg.Service.*` every other method of a service.

    `timeout` None: `Limits.transcoded_timeout` when transcoded, none for gRPC. `retry` outranks that of route and
    backend.
    """

    name: str
    backend: str | None = None
    timeout: float | None = None
    access: Access = Access()
    bindings: tuple[Binding, ...] = ()
    retry: Retry | None = None
    rate_limits: tuple[str, ...] = ()
    origin: Place | None = field(default=None, compare=False)
    """Where its HTTP rule was written; for messages only."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where a token stands: a header (after `prefix`), a query parameter or a cookie."""

    kind: Literal["header", "query", "cookie"]
    name: str
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Provider:
    """`jwks` is a URL or a file path; None asks `issuer`'s OpenID discovery document."""

    id: str
    issuer: str
    jwks: str | None = None
    audiences: tuple[str, ...] = ()
    locations: tuple[Location, ...] = ()


@dataclass(frozen=True, slots=True)
class Authentication:
    providers: tuple[Provider, ...] = ()
    userinfo_format: UserInfoFormat = "espv2"
    token_cache_size: int = 1000
    jwks_cache_duration: float = 300.0
    jwks_fetch_retries: int = 3
    jwks_max_stale: float = 86400.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes and seconds; the defaults and meanings are those of the snapshot's `limits`."""

    max_concurrent_streams: int = 250
    stream_window_bytes: int = 256 << 10
    max_buffer_bytes: int = 512 << 20
    max_header_bytes: int = 64 << 10
    max_headers: int = 200
    max_line_bytes: int = 16 << 10
    max_body_bytes: int = 0
    max_transcoded_bytes: int = 4 << 20
    header_timeout: float = 10.0
    body_timeout: float = 60.0
    idle_timeout: float = 3600.0
    keepalive_time: float = 0.0
    keepalive_timeout: float = 20.0
    max_connection_age: float = 0.0
    max_connection_age_grace: float = 30.0
    max_connections: int = 0
    transcoded_timeout: float = 15.0


@dataclass(frozen=True, slots=True)
class AccessLog:
    """`path` "" is off and "-" standard output; `success_rate` lines a second and worker for successes, 0 for all."""

    path: str = "-"
    success_rate: int = 100


@dataclass(frozen=True, slots=True)
class Admin:
    """`port` 0 turns the pages off. `address` opens the pages with details to more than loopback."""

    port: int = 8090
    address: str | None = None


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """Everything that one gateway process needs to know."""

    listeners: tuple[Listener, ...]
    backends: tuple[Backend, ...]
    routes: tuple[Route, ...] = ()
    methods: tuple[Method, ...] = ()
    unknown_methods: Literal["pass", "reject"] = "pass"
    descriptors: tuple[Path, ...] = ()
    embedded_descriptors: tuple[bytes, ...] = ()
    """Descriptor sets that stood inside the service configuration."""
    authentication: Authentication = field(default_factory=Authentication)
    rate_limits: tuple[RateLimit, ...] = ()
    limits: Limits = field(default_factory=Limits)
    access_log: AccessLog = field(default_factory=AccessLog)
    admin: Admin = field(default_factory=Admin)
    workers: int | None = None
    drain_delay: float = 5.0
    drain_grace: float = 30.0
    xff_trusted_hops: int = 0
    healthz_path: str | None = None
    service_name: str | None = None
    zone: str = ""
    """Where this gateway runs; "" is not known."""
    debug: bool = False
    sources: tuple[Path, ...] = ()
    """Files whose change is worth a reload, in the order in which they were read."""
