"""Where etcd is and who we are there: from a target's query, else from the variables that etcdctl reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.discover.registry.http import Tls, base_url, split_target

DEFAULT_ENDPOINT = "127.0.0.1:2379"
OPTIONS = frozenset({"endpoints"})


@dataclass(frozen=True, slots=True)
class Access:
    """`endpoints` are URLs, at least one. `password` is never shown."""

    endpoints: tuple[str, ...]
    tls: Tls = field(default_factory=Tls)
    user: str = ""
    password: str = field(default="", repr=False)


def read_target(target: str, environment: Mapping[str, str]) -> tuple[Access, str]:
    """Access and prefix of `etcd:///prefix?endpoints=host:port,...` or `etcd://host:port/prefix`. ValueError."""
    authority, prefix, options = split_target(target, OPTIONS)
    if not prefix.strip("/"):
        raise ValueError(f"{target!r} names no prefix: write etcd:///prefix.")
    given = ",".join(options.get("endpoints", []))
    if authority and given:
        raise ValueError(f"{target!r} says twice where etcd is: leave out one.")
    try:
        return read_access(authority or given, environment), prefix
    except ValueError as error:
        raise ValueError(f"{target!r}: {error}.") from None


def read_access(endpoints: str, environment: Mapping[str, str]) -> Access:
    """`endpoints` is a list with commas; "": as ETCDCTL_ENDPOINTS says. ValueError."""
    tls = Tls(
        environment.get("ETCDCTL_CACERT", ""), environment.get("ETCDCTL_CERT", ""), environment.get("ETCDCTL_KEY", "")
    )
    listed = (endpoints or environment.get("ETCDCTL_ENDPOINTS") or DEFAULT_ENDPOINT).split(",")
    urls = tuple(dict.fromkeys(base_url(one.strip(), secure=bool(tls)) for one in listed if one.strip()))
    if not urls:
        raise ValueError("no endpoint of etcd is given")
    user, colon, password = environment.get("ETCDCTL_USER", "").partition(":")
    return Access(urls, tls, user, password if colon else environment.get("ETCDCTL_PASSWORD", ""))
