"""The command line of `tidegate gateway` as one table: the flags of ESP and ESPv2, and our own.

A flag's environment variable is TIDEGATE_ and its name in capitals. The parser, `--help`, docs/reference/flags.md and
the tests all read this table and nothing else.
"""

from __future__ import annotations

from .backend_url import LOOKUP_FAMILIES
from .flag import Flag
from .later_flags import LATER_FLAGS
from .model import AccessLog, Admin, Authentication, Backend, GatewayConfig, Limits
from .quantities import format_duration, format_size

DEFAULT_PORT = 8080
DEFAULT_CERTIFICATES = "/etc/nginx/ssl"
DEFAULT_SERVICE_CONFIG = "/etc/tidegate/service.yaml"


_LIMITS = Limits()
_JWT = Authentication()
_BACKEND = Backend("", ())
_PROCESS = GatewayConfig((), ())

_LISTEN = "Listeners"
_TLS = "TLS towards clients"
_BACKENDS = "Backend"
_SERVICE = "Service configuration"
_AUTH = "JWT"
_LIFE = "Health and life cycle"
_SIZES = "Limits and time-outs"
_OBSERVE = "Admin and log"

_LISTENERS = (
    Flag(
        "listener_port",
        _LISTEN,
        "port",
        "HTTP/2, HTTP/1.1 and gRPC on one port; over TLS where --ssl_server_cert_path is given without --ssl_port.",
        f"{DEFAULT_PORT} where no port or --listener is given",
    ),
    Flag("http_port", _LISTEN, "port", "A cleartext port (HTTP/1.1 and HTTP/2).", short="-p", v1_only=True),
    Flag("http2_port", _LISTEN, "port", "A cleartext port (HTTP/2 and HTTP/1.1).", short="-P", v1_only=True),
    Flag("ssl_port", _LISTEN, "port", "A port over TLS (HTTP/2 and HTTP/1.1).", short="-S", v1_only=True),
    Flag("listener_address", _LISTEN, "text", "The IP address that the ports above are opened on.", "0.0.0.0"),
    Flag("listener", _LISTEN, "address", "One in cleartext: IP:PORT, [IPv6]:PORT or unix:///path.", repeatable=True),
)

_SERVER_TLS = (
    Flag(
        "ssl_server_cert_path",
        _TLS,
        "path",
        "Directory with tls.*, server.* or nginx.* certificate and key. Given again, chosen by SNI; else the first.",
        f"{DEFAULT_CERTIFICATES} with --ssl_port",
        repeatable=True,
    ),
    Flag("ssl_server_root_cert_path", _TLS, "path", "CA certificates (PEM) that clients' certificates must come from."),
    Flag(
        "ssl_client_certificate",
        _TLS,
        "text",
        "Whether clients must show a certificate.",
        "required with --ssl_server_root_cert_path",
        choices=("none", "optional", "required"),
    ),
    Flag("ssl_minimum_protocol", _TLS, "text", "Oldest TLS version: TLSv1.2 or TLSv1.3.", "TLSv1.2"),
    Flag("ssl_maximum_protocol", _TLS, "text", "Newest TLS version: TLSv1.2 or TLSv1.3.", "TLSv1.3"),
    Flag(
        "ssl_protocols", _TLS, "text", "The TLS versions, one or several in a flag.", "", repeatable=True, v1_only=True
    ),
    Flag(
        "ssl_server_cipher_suites",
        _TLS,
        "text",
        "Cipher suites by their IANA or OpenSSL names, with commas. Those of TLS 1.3 stay unless some are listed.",
        "the library's choice",
    ),
)

_BACKEND_FLAGS = (
    Flag(
        "backend",
        _BACKENDS,
        "text",
        "Where calls go: grpc://HOST:PORT, grpcs://HOST:PORT (over TLS) or unix:///path.",
        short="-a",
    ),
    Flag(
        "backend_retry_ons",
        _BACKENDS,
        "text",
        "What is tried again, with commas: connect-failure, refused-stream, reset (may repeat a call that was served).",
        ",".join(_BACKEND.retry.on),
    ),
    Flag("backend_retry_num", _BACKENDS, "count", "Attempts after the first.", str(_BACKEND.retry.attempts)),
    Flag(
        "backend_connect_timeout",
        _BACKENDS,
        "duration",
        "How long a connection may take.",
        format_duration(_BACKEND.connect_timeout),
    ),
    Flag(
        "backend_keepalive_time",
        _BACKENDS,
        "duration",
        "PING to the backend after this silence, 0 never. gRPC servers refuse less than 5m.",
        "0s",
    ),
    Flag(
        "backend_keepalive_timeout",
        _BACKENDS,
        "duration",
        "How long the backend may take to answer a PING.",
        format_duration(_BACKEND.keepalive_timeout),
    ),
    Flag(
        "backend_dns_lookup_family",
        _BACKENDS,
        "text",
        "Which addresses of host names are used; auto prefers IPv6, all takes both families.",
        _BACKEND.lookup_family,
        choices=LOOKUP_FAMILIES,
    ),
    Flag(
        "dns_resolver_addresses",
        _BACKENDS,
        "text",
        "Name servers for backends' host names, IP or IP:PORT with semicolons; TTLs are then honoured.",
        "the system's resolver",
        aliases=("dns",),
    ),
    Flag(
        "backend_authority",
        _BACKENDS,
        "text",
        "Replaces the client's :authority.",
        aliases=("experimental_proxy_backend_host_header",),
    ),
    Flag("backend_server_name", _BACKENDS, "text", "The name that the backend's certificate must have.", "its host"),
    Flag(
        "ssl_backend_client_root_certs_file",
        _BACKENDS,
        "path",
        "CA certificates (PEM) to trust over TLS.",
        "this machine's public roots",
        aliases=("ssl_client_root_certs_file", "grpc_backend_ssl_root_certs_file"),
    ),
    Flag(
        "ssl_backend_client_cert_path",
        _BACKENDS,
        "path",
        "Directory with client.crt and client.key to show to the backend.",
        aliases=("ssl_client_cert_path",),
    ),
    Flag("enable_grpc_backend_ssl", _BACKENDS, "switch", "TLS to a grpc:// backend.", v1_only=True),
    Flag("grpc_backend_ssl_cert_chain_file", _BACKENDS, "path", "Certificate to show to the backend.", v1_only=True),
    Flag("grpc_backend_ssl_private_key_file", _BACKENDS, "path", "The key of that certificate.", v1_only=True),
    Flag(
        "tls_mutual_auth",
        _BACKENDS,
        "switch",
        f"Shows {DEFAULT_CERTIFICATES}/backend.crt to the backend.",
        short="-t",
        v1_only=True,
    ),
)

_SERVICE_FLAGS = (
    Flag("config", _SERVICE, "path", "A gateway.yaml (tidegate.dev/v1); flags outrank it."),
    Flag(
        "service_json_path",
        _SERVICE,
        "path",
        "The google.api.Service, YAML or JSON, in one file or several. A method that is not in its apis is 404.",
        f"{DEFAULT_SERVICE_CONFIG} with --service or --rollout_strategy=managed",
        repeatable=True,
        extra_variables=("TIDEGATE_SERVICE_CONFIG",),
    ),
    Flag(
        "proto_descriptor",
        _SERVICE,
        "path",
        "The API's FileDescriptorSet (protoc --include_imports --descriptor_set_out); needed for HTTP and JSON.",
        repeatable=True,
    ),
    Flag("service", _SERVICE, "text", "The service's name, compared with the configuration's.", short="-s"),
    Flag("version", _SERVICE, "text", "The configuration's id, compared with the file's.", short="-v"),
    Flag(
        "rollout_strategy",
        _SERVICE,
        "text",
        "Roll-outs are not fetched yet: both serve the file, and reload when it changes.",
        "fixed",
        short="-R",
        choices=("fixed", "managed"),
    ),
    Flag(
        "service_account_key",
        _SERVICE,
        "path",
        "Not needed: the configuration is a file.",
        short="-k",
        status="without effect",
    ),
    Flag("non_gcp", _SERVICE, "switch", "Not needed: no metadata server is asked.", status="without effect"),
    Flag(
        "enable_backend_routing",
        _SERVICE,
        "switch",
        "Not needed: backend.rules are always honoured.",
        status="without effect",
    ),
)

_JWT_FLAGS = (
    Flag(
        "jwks_cache_duration_in_s",
        _AUTH,
        "duration",
        "How long fetched keys are used before they are fetched again.",
        format_duration(_JWT.jwks_cache_duration),
    ),
    Flag(
        "jwks_fetch_num_retries",
        _AUTH,
        "count",
        "Attempts after a fetch that failed.",
        str(_JWT.jwks_fetch_retries),
    ),
    Flag(
        "jwks_max_stale",
        _AUTH,
        "duration",
        "How long keys are used that could not be fetched again.",
        format_duration(_JWT.jwks_max_stale),
    ),
    Flag("jwt_cache_size", _AUTH, "count", "Verified tokens that a worker remembers.", str(_JWT.token_cache_size)),
    Flag(
        "userinfo_format",
        _AUTH,
        "text",
        "X-Endpoint-API-UserInfo as ESPv2 (the token's payload) or as ESP (issuer, id, email, audiences, claims).",
        _JWT.userinfo_format,
        choices=("espv1", "espv2"),
    ),
    Flag(
        "disable_jwt_audience_service_name_check",
        _AUTH,
        "switch",
        "Admits tokens for any audience where a provider names none.",
    ),
)

_LIFE_FLAGS = (
    Flag("healthz", _LIFE, "text", "A path that answers 200 without a token while the gateway serves.", short="-z"),
    Flag(
        "drain_delay",
        _LIFE,
        "duration",
        "How long everything is served after SIGTERM while health says 503.",
        format_duration(_PROCESS.drain_delay),
    ),
    Flag(
        "drain_grace",
        _LIFE,
        "duration",
        "How long open calls may go on after that.",
        format_duration(_PROCESS.drain_grace),
    ),
    Flag("max_connection_age", _LIFE, "duration", "Clients are asked to reconnect after this, 0 never.", "0s"),
    Flag(
        "max_connection_age_grace",
        _LIFE,
        "duration",
        "How long their open calls may go on then.",
        format_duration(_LIMITS.max_connection_age_grace),
    ),
    Flag("keepalive_time", _LIFE, "duration", "PING to a client after this silence, 0 never.", "0s"),
    Flag(
        "keepalive_timeout",
        _LIFE,
        "duration",
        "How long a client may take to answer a PING.",
        format_duration(_LIMITS.keepalive_timeout),
    ),
    Flag(
        "workers",
        _LIFE,
        "text",
        "Threads that move bytes.",
        "the CPUs of the affinity and the cgroup, at least 1",
        aliases=("worker_processes",),
    ),
    Flag("zone", _LIFE, "text", "Where this gateway runs; backends that prefer local endpoints prefer this zone's."),
)

_LIMIT_FLAGS = (
    Flag(
        "max_buffer_bytes",
        _SIZES,
        "size",
        "All buffered bodies of the process; a stream that exceeds it answers RESOURCE_EXHAUSTED.",
        format_size(_LIMITS.max_buffer_bytes),
    ),
    Flag(
        "stream_window",
        _SIZES,
        "size",
        "What one stalled stream may hold in each direction.",
        format_size(_LIMITS.stream_window_bytes),
        aliases=("stream_window_bytes",),
    ),
    Flag(
        "max_concurrent_streams",
        _SIZES,
        "count",
        "Calls at once on one connection of a client.",
        str(_LIMITS.max_concurrent_streams),
    ),
    Flag("max_connections", _SIZES, "count", "Connections of clients, 0 without limit.", "0"),
    Flag(
        "max_body_bytes",
        _SIZES,
        "size",
        "A request's body, 0 without limit.",
        "0",
        aliases=("client_max_body_size",),
    ),
    Flag(
        "max_transcoded_bytes",
        _SIZES,
        "size",
        "A body that is transcoded, as it is held whole.",
        format_size(_LIMITS.max_transcoded_bytes),
    ),
    Flag("max_header_bytes", _SIZES, "size", "A request's header list.", format_size(_LIMITS.max_header_bytes)),
    Flag("max_headers", _SIZES, "count", "Header fields of a request.", str(_LIMITS.max_headers)),
    Flag("max_line_bytes", _SIZES, "size", "An HTTP/1.1 request line.", format_size(_LIMITS.max_line_bytes)),
    Flag(
        "header_timeout",
        _SIZES,
        "duration",
        "From the first byte of a request's head, a TLS handshake or a connection to its end.",
        format_duration(_LIMITS.header_timeout),
    ),
    Flag(
        "body_timeout",
        _SIZES,
        "duration",
        "HTTP/1.1: how long no byte of a body may come.",
        format_duration(_LIMITS.body_timeout),
    ),
    Flag(
        "idle_timeout",
        _SIZES,
        "duration",
        "How long a client's connection may be without a request.",
        format_duration(_LIMITS.idle_timeout),
    ),
    Flag(
        "transcoded_timeout",
        _SIZES,
        "duration",
        "A transcoded call without a deadline of its own; then 504.",
        format_duration(_LIMITS.transcoded_timeout),
    ),
    Flag(
        "envoy_xff_num_trusted_hops",
        _SIZES,
        "count",
        "How many proxies in front append to x-forwarded-for.",
        "0",
        aliases=("xff_trusted_hops",),
    ),
)

_OBSERVE_FLAGS = (
    Flag(
        "status_port",
        _OBSERVE,
        "port",
        "Port of /livez, /readyz, /metrics and the status page, 0 off.",
        str(Admin().port),
        short="-N",
        aliases=("admin_port",),
    ),
    Flag(
        "admin_address",
        _OBSERVE,
        "text",
        "Opens /config, /clients and /clusters on this IP address too.",
        "loopback",
    ),
    Flag(
        "access_log",
        _OBSERVE,
        "text",
        "File for the JSON access log; - is standard output, off none.",
        AccessLog().path,
    ),
    Flag(
        "access_log_rate",
        _OBSERVE,
        "count",
        "Lines a second and worker for calls that succeeded, 0 all; failed ones are always written.",
        str(AccessLog().success_rate),
    ),
    Flag("enable_debug", _OBSERVE, "switch", "Logs more."),
)


FLAGS: tuple[Flag, ...] = (
    *_SERVICE_FLAGS,
    *_LISTENERS,
    *_BACKEND_FLAGS,
    *_SERVER_TLS,
    *_JWT_FLAGS,
    *_LIFE_FLAGS,
    *_LIMIT_FLAGS,
    *_OBSERVE_FLAGS,
    *LATER_FLAGS,
)

BY_NAME: dict[str, Flag] = {name: flag for flag in FLAGS for name in (flag.name, *flag.aliases)}
BY_SHORT: dict[str, Flag] = {flag.short: flag for flag in FLAGS if flag.short}
