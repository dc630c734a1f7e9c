"""Addresses of backends as `--backend` and `backend.rules[].address` give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from .model import Backend, BackendTls, LookupFamily
from .quantities import check_target, in_registry, join_host_port, schemes, server_name_of, split_host_port

LOOKUP_FAMILIES: tuple[LookupFamily, ...] = get_args(LookupFamily)

_SCHEMES = {"grpc": (False, 80), "grpcs": (True, 443)}
_HTTP_SCHEMES = {"http": "grpc", "https": "grpcs"}


@dataclass(frozen=True, slots=True)
class BackendUrl:
    """`target` is `host:port`, `unix:///path` or a scheme's name; `host` is empty where the address has none."""

    target: str
    host: str = ""
    tls: bool = False


def lookup_family(text: str | None) -> LookupFamily | None:
    """The family of that name, if there is one."""
    return next((family for family in LOOKUP_FAMILIES if family == text), None)


def parse_backend_url(text: str, http2: bool = False) -> BackendUrl:
    """`grpc://host:port`, `grpcs://host:port`, `unix:///path` or a name that discovery looks up (`dns:///app:50051`),
    without TLS; with `http2` also http:// and https:// mean HTTP/2.

    ValueError says what is wrong and what to write instead.
    """
    text = text.strip()
    if text.startswith("unix:") or in_registry(text):
        return BackendUrl(check_target(text))
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise ValueError(
            f'"{text}" has no scheme, which means HTTP/1.1; HTTP/1.1 backends are not supported yet:'
            f" write grpc://{text} for one that speaks HTTP/2 (gRPC), grpcs://{text} for HTTP/2 over TLS"
        )
    scheme = scheme.lower()
    if scheme in _HTTP_SCHEMES:
        meant = _HTTP_SCHEMES[scheme]
        if not http2:
            raise ValueError(
                f'"{text}": HTTP/1.1 backends are not supported yet;'
                f" write {meant}://{rest} for one that speaks HTTP/2 (gRPC)"
            )
        scheme = meant
    if scheme not in _SCHEMES:
        raise ValueError(f'"{text}": scheme "{scheme}" is none of grpc, grpcs, unix, {", ".join(schemes())}')
    tls, default_port = _SCHEMES[scheme]
    authority, _, path = rest.partition("/")
    if path or "?" in authority or "#" in authority:
        raise ValueError(f'"{text}": an address of a gRPC backend has no path')
    if "@" in authority:
        raise ValueError("an address of a backend holds no user name or password")
    if "," in authority:
        raise ValueError(f'"{text}": give one address here; several stand in a gateway.yaml as targets')
    host, port = split_host_port(authority, default_port)
    return BackendUrl(check_target(join_host_port(host, port)), host, tls)


def backend_of(name: str, url: BackendUrl, tls: BackendTls, authority: str | None = None) -> Backend:
    """A backend at one address; `tls` applies where the address asks for TLS."""
    server_tls = BackendTls(tls.ca, tls.client, tls.server_name or server_name_of(url.target)) if url.tls else None
    return Backend(name, (url.target,), tls=server_tls, authority=authority)
