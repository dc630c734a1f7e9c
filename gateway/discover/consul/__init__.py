"""`consul:///service`: the instances of a service in Consul's catalogue."""

from __future__ import annotations

import os

from gateway.discover.consul.access import read_target
from gateway.discover.consul.client import Consul
from gateway.discover.consul.source import Service
from gateway.discover.source import Settings


def check(target: str) -> None:
    """ValueError: it is no such target, or the environment's CONSUL_HTTP_ADDR is no address."""
    read_target(target, os.environ)


def open_source(target: str, settings: Settings) -> Service:
    """ValueError as `check`."""
    access, query = read_target(target, os.environ)
    return Service(target, query, settings, lambda: Consul(access))


def server_name(target: str) -> str:
    """None: the registry holds addresses. ValueError as `check`."""
    check(target)
    return ""
