"""`etcd:///prefix`: servers that register themselves in etcd, by gRPC's naming layout."""

from __future__ import annotations

import os

from gateway.discover.etcd.access import read_target
from gateway.discover.etcd.client import Etcd
from gateway.discover.etcd.source import Prefix
from gateway.discover.source import Settings


def check(target: str) -> None:
    """ValueError: it is no such target, or the environment's ETCDCTL_ENDPOINTS are none."""
    read_target(target, os.environ)


def open_source(target: str, settings: Settings) -> Prefix:
    """ValueError as `check`."""
    access, prefix = read_target(target, os.environ)
    return Prefix(target, prefix, settings, lambda: Etcd(access))


def server_name(target: str) -> str:
    """None: the registry holds addresses. ValueError as `check`."""
    check(target)
    return ""
