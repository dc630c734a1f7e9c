"""From a chain of resources to the gateway's configuration and snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.configuration.model import (
    AccessLog,
    Admin,
    CertificateSource,
    GatewayConfig,
    Listener,
    ListenerTls,
    Route,
)
from gateway.core import CoreEndpoint
from gateway.snapshot import compile_snapshot
from infra.twin.front_end.backend import backend
from infra.twin.front_end.chain import Certificate, Chain
from infra.twin.front_end.routes import Forward

LISTENER = "vip"


def configuration(chain: Chain, listen: str, access_log: str) -> GatewayConfig:
    """`listen` is `host:port`; `access_log` is where services with a `logConfig` are logged, "" for nowhere."""
    limits = {service.name: float(service.resource["timeoutSec"]) for service in chain.services}
    logged = any(service.resource.get("logConfig", {}).get("enable") for service in chain.services)
    return GatewayConfig(
        listeners=(Listener(LISTENER, listen, _tls(chain.certificates)),),
        backends=tuple(backend(service.name, service.resource, service.check) for service in chain.services),
        routes=tuple(_route(forward, limits) for forward in chain.routes if forward.takes),
        access_log=AccessLog(access_log if logged else ""),
        admin=Admin(0),
        workers=1,
    )


def snapshot(
    chain: Chain, config: GatewayConfig, version: str, endpoints: Mapping[str, Sequence[CoreEndpoint]]
) -> bytes:
    """ConfigurationError: a certificate cannot be used."""
    files = {path: text.encode() for certificate in chain.certificates or () for path, text in _files(certificate)}
    return compile_snapshot(config, version, endpoints, read_file=files.__getitem__)


def _tls(certificates: tuple[Certificate, ...] | None) -> ListenerTls | None:
    if certificates is None:
        return None
    pairs = [tuple(path for path, _ in _files(certificate)) for certificate in certificates]
    return ListenerTls(tuple(CertificateSource(chain=chain, key=key) for chain, key in pairs))


def _files(certificate: Certificate) -> tuple[tuple[Path, str], tuple[Path, str]]:
    """Nothing of it is on disk; the names are for messages."""
    place = Path("/sslCertificates") / certificate.name
    return (place / "certificate", certificate.chain_pem), (place / "privateKey", certificate.key_pem)


def _route(forward: Forward, limits: Mapping[str, float]) -> Route:
    """Without a time-out of the route's own, the longest `timeoutSec` of its services holds, as Google documents it."""
    longest = max((limits[name] for name, _ in forward.services), default=0.0)
    return Route(
        name=forward.name,
        backends=forward.services,
        authorities=forward.hosts,
        path=forward.path,
        path_prefix=forward.path_prefix,
        headers=forward.headers,
        redirect=forward.redirect,
        max_timeout=longest if forward.timeout is None else forward.timeout,
    )
