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


def server_name(target: str) -> str:
    """The Service's name in the cluster's DNS, without the cluster's domain; a namespace is needed for it."""
    asked = Target.parse(target)
    return f"{asked.service}.{asked.namespace}.svc" if asked.namespace else ""
