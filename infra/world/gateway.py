"""A pod's gateway: its configuration as an operator would write it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from infra.certificates import self_signed
from infra.sample import METHODS
from infra.world.layout import AUDIENCE, HEALTH_PATH, HTTP_BINDINGS

if TYPE_CHECKING:
    from pathlib import Path

    from infra.world.layout import Layout, PodPlan

CONFIGURATION_FILE = "gateway.yaml"
APP = "app"
PROVIDER = "developer"
HEALTH = "grpc.health.v1.Health"


def write_configuration(layout: Layout, pod: PodPlan) -> Path:
    """Writes `gateway.yaml` and the certificate that it names; the former's path. OSError."""
    self_signed(pod.label, pod.host).write(pod.directory)
    path = pod.directory / CONFIGURATION_FILE
    with path.open("w") as file:
        file.write("# Written by `tidegate up` at each start; a copy of it is a good first configuration.\n")
        writer = YAML(pure=True)
        writer.indent(mapping=2, sequence=4, offset=2)
        writer.width = 120
        writer.dump(configuration(layout, pod), file)
    return path


def configuration(layout: Layout, pod: PodPlan) -> dict[str, Any]:
    """Every method needs a token of the development issuer, except health; everything goes to the app in the pod."""
    services = (*HTTP_BINDINGS, HEALTH)
    return {
        "apiVersion": "tidegate.dev/v1",
        "kind": "Gateway",
        "metadata": {"name": pod.label},
        "spec": {
            "listeners": [
                {
                    "name": "https",
                    "address": pod.endpoint,
                    "tls": {"certificates": [{"chain": "tls.crt", "key": "tls.key"}]},
                }
            ],
            "admin": {"port": pod.admin_port},
            "backends": [{"name": APP, "targets": [pod.app]}],
            "api": {
                "descriptors": [os.path.relpath(layout.descriptors, pod.directory)],
                "services": [{"name": service} for service in services],
                "http": [
                    {"selector": f"{HEALTH}.Check", "get": HEALTH_PATH},
                    *(
                        {"selector": f"{service}.{METHODS[service]}", "post": path, "body": "*"}
                        for service, path in HTTP_BINDINGS.items()
                    ),
                ],
            },
            "authentication": {
                "providers": [
                    {"id": PROVIDER, "issuer": layout.issuer_url, "jwks": layout.jwks_uri, "audiences": [AUDIENCE]}
                ],
                "rules": [
                    {"selector": "*", "requirements": [{"provider": PROVIDER}]},
                    {"selector": f"{HEALTH}.Check", "allowWithoutCredential": True},
                ],
            },
            # The load balancer sends a pod nothing new before it is told to end, so that nobody has to notice.
            "drain": {"delay": "0s", "grace": "2s"},
            "accessLog": {"successRate": 1},
            "workers": 1,
        },
    }
