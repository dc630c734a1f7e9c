"""Objects as the API of Kubernetes spells them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SERVICE_LABEL = "kubernetes.io/service-name"


def port(name: str | None = "grpc", number: int | None = 50051, **fields: Any) -> dict[str, Any]:
    return {"name": name, "port": number, "protocol": "TCP", **fields}


def endpoint(address: str, pod: str = "", **fields: Any) -> dict[str, Any]:
    """`conditions`, `zone`, `hints` ... go into `fields`."""
    reference = {"targetRef": {"kind": "Pod", "namespace": "shop", "name": pod, "uid": f"uid-{pod}"}} if pod else {}
    return {"addresses": [address], "conditions": {"ready": True}, **reference, **fields}


def endpoint_slice(
    name: str,
    *endpoints: str | Mapping[str, Any],
    ports: Sequence[Mapping[str, Any]] | None = None,
    service: str = "app",
    address_type: str = "IPv4",
) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {SERVICE_LABEL: service}},
        "addressType": address_type,
        "endpoints": [endpoint(given) if isinstance(given, str) else dict(given) for given in endpoints],
        "ports": [dict(one) for one in (ports if ports is not None else [port()])],
    }


def core_endpoints(name: str, ready: Sequence[str], not_ready: Sequence[str] = ()) -> dict[str, Any]:
    subset = {
        "addresses": [{"ip": address} for address in ready],
        "notReadyAddresses": [{"ip": address} for address in not_ready],
        "ports": [port()],
    }
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": name}, "subsets": [subset]}


def service(name: str = "app", *ports: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": [dict(one) for one in ports], **spec},
    }


def write_kubeconfig(path: Path, user: dict[str, Any], cluster: dict[str, Any], **context: Any) -> Path:
    """A kubeconfig with one context, in JSON, which is YAML."""
    document = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", **context}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(json.dumps(document))
    return path
