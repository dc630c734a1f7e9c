"""From a target that an operator wrote to the source that knows its endpoints."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol

from gateway.discover.address import split
from gateway.discover.names import HostName
from gateway.discover.source import Settings, Source
from gateway.discover.static import Static


class Scheme(Protocol):
    """A module of `gateway.discover`. `target` is whole, scheme included."""

    def check(self, target: str) -> None:
        """ValueError: it cannot be such a target; says what to write."""

    def open_source(self, target: str, settings: Settings) -> Source:
        """ValueError as `check`."""

    def server_name(self, target: str) -> str:
        """The one name that the certificate of every endpoint should have; "" where the target does not say it.

        ValueError as `check`.
        """


SCHEMES: dict[str, str] = {
    "consul": "gateway.discover.consul",
    "dns": "gateway.discover.dns",
    "etcd": "gateway.discover.etcd",
    "k8s": "gateway.discover.kubernetes",
    "static": "gateway.discover.static_list",
}
"""The module of each scheme, imported when it is first needed: some bring libraries of megabytes."""

PLAIN = "host:port, [v6 address]:port or unix:///path"


def check(target: str) -> None:
    """ValueError: `target` is of no known form."""
    scheme = _scheme(target)
    if scheme is not None:
        scheme.check(target)
    else:
        open_source(target, Settings())


def open_source(target: str, settings: Settings) -> Source:
    """ValueError: `target` is of no known form."""
    scheme = _scheme(target)
    if scheme is not None:
        return scheme.open_source(target, settings)
    if (static := Static.of(target)) is not None:
        return static
    return HostName.of(target, settings)


def server_name(target: str) -> str:
    """The name that the certificates of a target's servers should have; "" where it says none.

    ValueError: `target` is of no known form.
    """
    scheme = _scheme(target)
    if scheme is not None:
        return scheme.server_name(target)
    return "" if target.startswith("unix:") else split(target)[0].rstrip(".")


def _scheme(target: str) -> Scheme | None:
    """None: an address or a host name with a port, whatever the host is called (`dns:50051`)."""
    name, colon, rest = target.partition(":")
    if not colon or name == "unix":
        return None
    if name in SCHEMES and (rest.startswith("//") or name == "static"):
        return import_module(SCHEMES[name])
    if rest.startswith("//"):
        known = ", ".join(sorted(SCHEMES))
        raise ValueError(f"{target!r}: no scheme {name!r}; write {PLAIN}, or one of the schemes {known}.")
    return None
