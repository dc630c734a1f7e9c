"""The backend that `--backend` and the flags around it describe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .backend_url import backend_of, lookup_family, parse_backend_url
from .command_line import Settings
from .flags import DEFAULT_CERTIFICATES
from .model import Backend, BackendTls, CertificateSource
from .problems import Problems, did_you_mean
from .quantities import server_name_of

DEFAULT_BACKEND = "default"
RETRY_CONDITIONS = ("connect-failure", "refused-stream", "reset")


def backend_tls(settings: Settings, problems: Problems) -> BackendTls:
    """What backends over TLS have in common."""
    roots = settings.text("ssl_backend_client_root_certs_file")
    return BackendTls(
        ca=Path(roots) if roots else None,
        client=_client_certificate(settings, problems),
        server_name=settings.text("backend_server_name"),
    )


def _client_certificate(settings: Settings, problems: Problems) -> CertificateSource | None:
    chain = settings.text("grpc_backend_ssl_cert_chain_file")
    key = settings.text("grpc_backend_ssl_private_key_file")
    if (chain is None) != (key is None):
        name = "grpc_backend_ssl_cert_chain_file" if chain else "grpc_backend_ssl_private_key_file"
        problems.error(settings.place(name), "a certificate and its key are given together")
    directory = settings.text("ssl_backend_client_cert_path")
    if directory:
        return CertificateSource(directory=Path(directory))
    if chain and key:
        return CertificateSource(chain=Path(chain), key=Path(key))
    if settings.switch("tls_mutual_auth"):
        base = Path(DEFAULT_CERTIFICATES)
        return CertificateSource(chain=base / "backend.crt", key=base / "backend.key")
    return None


def backend_from_flags(settings: Settings, problems: Problems) -> Backend | None:
    """The backend `default`; None without `--backend`, or after reporting what is wrong with it."""
    address = settings.text("backend")
    tls = backend_tls(settings, problems)
    if address is None:
        return None
    try:
        url = parse_backend_url(address)
    except ValueError as error:
        problems.error(settings.place("backend"), str(error))
        return None
    if settings.switch("enable_grpc_backend_ssl"):
        url = replace(url, tls=True)
    if url.tls and tls.server_name is None and not server_name_of(url.target):
        problems.error(
            settings.place("backend"), "TLS needs --backend_server_name where the address does not say the name"
        )
    if not url.tls:
        _check_cleartext(settings, problems)
    return with_backend_flags(backend_of(DEFAULT_BACKEND, url, tls), settings, problems)


def _check_cleartext(settings: Settings, problems: Problems) -> None:
    for name in (
        "backend_server_name",
        "ssl_backend_client_root_certs_file",
        "ssl_backend_client_cert_path",
        "grpc_backend_ssl_cert_chain_file",
        "tls_mutual_auth",
    ):
        if name in settings:
            problems.warning(
                settings.place(name), "does not apply to --backend, which is not over TLS", "write grpcs://"
            )


def with_backend_flags(backend: Backend, settings: Settings, problems: Problems) -> Backend:
    """The backend with the flags that hold for every backend."""
    number, whole = settings.number, settings.whole
    retries = whole("backend_retry_num")
    connect = number("backend_connect_timeout")
    if connect == 0:
        problems.error(settings.place("backend_connect_timeout"), "a connection needs some time")
    keepalive_time, keepalive_timeout = number("backend_keepalive_time"), number("backend_keepalive_timeout")
    return replace(
        backend,
        targets=_asked_at_servers(backend.targets, settings, problems),
        authority=settings.text("backend_authority") or backend.authority,
        retry=replace(
            backend.retry,
            attempts=backend.retry.attempts if retries is None else retries,
            on=_conditions(settings, problems) if "backend_retry_ons" in settings else backend.retry.on,
        ),
        connect_timeout=backend.connect_timeout if connect is None else connect,
        keepalive_time=backend.keepalive_time if keepalive_time is None else keepalive_time,
        keepalive_timeout=backend.keepalive_timeout if keepalive_timeout is None else keepalive_timeout,
        lookup_family=lookup_family(settings.text("backend_dns_lookup_family")) or backend.lookup_family,
    )


def _asked_at_servers(targets: tuple[str, ...], settings: Settings, problems: Problems) -> tuple[str, ...]:
    """The targets, with the name servers of the operator where names are asked for."""
    given = settings.text("dns_resolver_addresses")
    if given is None:
        return targets
    from gateway.discover.dns.target import at_servers

    try:
        return tuple(at_servers(target, given.replace(";", ",")) for target in targets)
    except ValueError as error:
        problems.error(settings.place("dns_resolver_addresses"), str(error))
        return targets


def _conditions(settings: Settings, problems: Problems) -> tuple[str, ...]:
    words = [word.strip() for word in (settings.text("backend_retry_ons") or "").split(",") if word.strip()]
    for word in words:
        if word not in RETRY_CONDITIONS:
            listed = ", ".join(RETRY_CONDITIONS)
            hint = did_you_mean(word, RETRY_CONDITIONS)
            problems.error(settings.place("backend_retry_ons"), f'"{word}" is none of {listed}', hint)
    return tuple(dict.fromkeys(word for word in words if word in RETRY_CONDITIONS))
