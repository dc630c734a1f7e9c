"""Where Consul is, who we are there and what is asked: from a target, else from the variables of Consul's own CLI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from gateway.discover.registry.http import Tls, base_url, split_target

DEFAULT_ADDRESS = "127.0.0.1:8500"
OPTIONS = frozenset({"tag", "passing", "dc"})
YES = frozenset({"", "1", "true"})
NO = frozenset({"0", "false"})


@dataclass(frozen=True, slots=True)
class Access:
    """`url` of an agent. `token` is never shown; a `token_file` is read for each request, for it may be rotated."""

    url: str
    tls: Tls = field(default_factory=Tls)
    token: str = field(default="", repr=False)
    token_file: str = ""

    def headers(self) -> dict[str, str]:
        """OSError: the token file cannot be read."""
        token = Path(self.token_file).read_text(encoding="utf-8").strip() if self.token_file else self.token
        return {"X-Consul-Token": token} if token else {}


@dataclass(frozen=True, slots=True)
class Query:
    """Instances of `service` that carry all `tags`; `datacentre` "" is the agent's own."""

    service: str
    tags: tuple[str, ...] = ()
    passing: bool = False
    datacentre: str = ""

    @property
    def path(self) -> str:
        return f"health/service/{quote(self.service, safe='')}"

    def parameters(self) -> list[tuple[str, str]]:
        """What is the same in every question."""
        given = [("tag", tag) for tag in self.tags]
        given += [("passing", "1")] if self.passing else []
        return given + ([("dc", self.datacentre)] if self.datacentre else [])


def read_target(target: str, environment: Mapping[str, str]) -> tuple[Access, Query]:
    """Of `consul:///service?tag=a&passing&dc=b` or `consul://host:port/service`. ValueError."""
    authority, service, options = split_target(target, OPTIONS)
    if not service or "/" in service:
        raise ValueError(f"{target!r} names no service: write consul:///service.")
    passing = options.get("passing", ["0"])[-1].lower()
    if passing not in YES | NO:
        raise ValueError(f"{target!r}: passing is {passing!r}, neither true nor false.")
    datacentres = options.get("dc", [""])
    if len(datacentres) > 1:
        raise ValueError(f"{target!r} names two datacentres: write two targets.")
    tags = tuple(tag for tag in options.get("tag", ()) if tag)
    try:
        access = read_access(authority, environment)
    except ValueError as error:
        raise ValueError(f"{target!r}: {error}.") from None
    return access, Query(service, tags, passing in YES, datacentres[0])


def read_access(address: str, environment: Mapping[str, str]) -> Access:
    """`address` "": as CONSUL_HTTP_ADDR says. ValueError."""
    tls = Tls(
        environment.get("CONSUL_CACERT", ""),
        environment.get("CONSUL_CLIENT_CERT", ""),
        environment.get("CONSUL_CLIENT_KEY", ""),
        verify=environment.get("CONSUL_HTTP_SSL_VERIFY", "").lower() not in NO,
    )
    secure = environment.get("CONSUL_HTTP_SSL", "0").lower() not in NO
    return Access(
        base_url(address or environment.get("CONSUL_HTTP_ADDR") or DEFAULT_ADDRESS, secure),
        tls,
        environment.get("CONSUL_HTTP_TOKEN", ""),
        environment.get("CONSUL_HTTP_TOKEN_FILE", ""),
    )
