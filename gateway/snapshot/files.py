"""The files that a configuration names: which they are, and how they are read.

Kubernetes changes a mounted volume by renaming the link `..data` to a new directory. Files of one volume are read
through what `..data` is at that moment, so that a certificate never comes with its successor's key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from gateway.configuration.model import CertificateSource, GatewayConfig
from gateway.configuration.problems import Place, Problems

ReadFile = Callable[[Path], bytes]

LARGEST_FILE = 32 << 20
"""Bytes; the largest descriptor sets and trust stores stay far below it."""

PAIR_NAMES = ("tls", "server", "nginx")
CLIENT_PAIR_NAMES = ("client", "tls")
"""Stems of certificate files in a directory: Kubernetes' secrets, ESPv2, ESP; towards a backend as ESPv2 calls it."""


def read_bytes(path: Path) -> bytes:
    """The content of a file of at most LARGEST_FILE bytes. OSError says why it cannot be had."""
    with path.open("rb") as stream:
        data = stream.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise OSError(f"is larger than {LARGEST_FILE >> 20} MiB")
    return data


def pinned(path: Path) -> Path:
    """The same file with `..data` of its volume resolved."""
    volume = path.parent / "..data"
    if volume.is_symlink():
        target = volume.resolve() / path.name
        if target.exists():
            return target
    return path


def find_pair(source: CertificateSource, names: tuple[str, ...], problems: Problems) -> tuple[Path, Path] | None:
    """(certificate chain, key) of a source; None after reporting that there is none, or more than one."""
    if source.directory is None:
        if source.chain is None or source.key is None:
            return None
        chain = pinned(source.chain)
        same_volume = source.chain.parent == source.key.parent and (chain.parent / source.key.name).exists()
        return chain, chain.parent / source.key.name if same_volume else pinned(source.key)
    place = Place(str(source.directory))
    volume = source.directory / "..data"
    directory = volume.resolve() if volume.is_symlink() else source.directory
    expected = ", ".join(f"{name}.crt and {name}.key" for name in names)
    found = [name for name in names if (directory / f"{name}.crt").exists() or (directory / f"{name}.key").exists()]
    if not found:
        problems.error(place, "holds no certificate", f"put one of these pairs there: {expected}")
        return None
    if len(found) > 1:
        problems.error(place, f"holds several certificates: {', '.join(found)}", "keep one pair in a directory")
        return None
    chain, key = directory / f"{found[0]}.crt", directory / f"{found[0]}.key"
    for path in (chain, key):
        if not path.exists():
            problems.error(place, f"{path.name} is missing beside the other half of its pair")
            return None
    return chain, key


def sources(config: GatewayConfig) -> tuple[Path, ...]:
    """Every file and directory whose change is worth a reload, once each."""
    return tuple(dict.fromkeys(_sources(config)))


def _sources(config: GatewayConfig) -> Iterator[Path]:
    yield from config.sources
    yield from config.descriptors
    for listener in config.listeners:
        if listener.tls:
            yield from _paths(*listener.tls.certificates)
            yield from (path for path in (listener.tls.client_ca,) if path)
    for backend in config.backends:
        for tls in (backend.tls, backend.health_check.tls if backend.health_check else None):
            if tls:
                yield from _paths(*(pair for pair in (tls.client,) if pair))
                yield from (path for path in (tls.ca,) if path)
    for provider in config.authentication.providers:
        if provider.jwks and "://" not in provider.jwks:
            yield Path(provider.jwks)


def _paths(*certificates: CertificateSource) -> Iterator[Path]:
    for source in certificates:
        yield from (path for path in (source.directory, source.chain, source.key) if path)
