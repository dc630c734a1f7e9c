"""`k8s:///service[.namespace][:port]`: the endpoints of a Kubernetes Service, from a watch of its EndpointSlices.

Behind a Service's own address a long-lived HTTP/2 connection stays with one pod; here each pod is an endpoint.
"""

from __future__ import annotations

from gateway.discover.kubernetes.target import Target
from gateway.discover.source import Settings, Source


def check(target: str) -> None:
    """ValueError: it is no such target; says what to write. Asks nobody."""
    Target.parse(target)


def open_source(target: str, settings: Settings) -> Source:
    """ValueError as `check`. Credentials are looked for when the source is watched."""
    from gateway.discover.kubernetes.source import KubernetesSource

    return KubernetesSource.of(Target.parse(target), settings)
