"""The world's gateway: its configuration as an operator would write it, and the command that an operator would run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from infra.sample import ECHO, METHODS, REVERSE
from infra.world.children import Child, python_module
from infra.world.layout import AUDIENCE, HEALTH_PATH, HOST, HTTP_BINDINGS

if TYPE_CHECKING:
    from infra.world.layout import GatewayPlan

CONFIGURATION_FILE = "gateway.yaml"
PROVIDER = "developer"
HEALTH = "grpc.health.v1.Health"
BACKENDS = {ECHO: "echo", REVERSE: "reverse"}
ROUTES = {**BACKENDS, HEALTH: BACKENDS[ECHO]}
"""The backend of each service; the app's health is that of its first service."""


def make_gateway(plan: GatewayPlan) -> Child:
    """Writes `gateway.yaml`. OSError."""
    path = plan.directory / CONFIGURATION_FILE
    with path.open("w") as file:
        file.write("# Written by `tidegate up` at each start; a copy of it is a good first configuration.\n")
        writer = YAML(pure=True)
        writer.indent(mapping=2, sequence=4, offset=2)
        writer.width = 120
        writer.dump(configuration(plan), file)
    return Child("gateway", python_module("infra.cli.main", "gateway", "--config", str(path)))


def configuration(plan: GatewayPlan) -> dict[str, Any]:
    """Every method needs a token of the development issuer, except health; each service has its two pods."""
    return {
        "apiVersion": "tidegate.dev/v1",
        "kind": "Gateway",
        "metadata": {"name": "sample"},
        "spec": {
            "listeners": [{"name": "main", "address": f"{HOST}:{plan.port}"}],
            "admin": {"port": plan.admin_port},
            "backends": [{"name": BACKENDS[service], "targets": list(pods)} for service, pods in plan.pods.items()],
            "routes": [
                {"name": f"to-{service}", "match": {"service": service}, "backends": [{"name": backend}]}
                for service, backend in ROUTES.items()
            ],
            "api": {
                "descriptors": [plan.descriptors.name],
                "services": [{"name": service} for service in ROUTES],
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
                    {"id": PROVIDER, "issuer": plan.issuer_url, "jwks": plan.jwks_uri, "audiences": [AUDIENCE]}
                ],
                "rules": [
                    {"selector": "*", "requirements": [{"provider": PROVIDER}]},
                    {"selector": f"{HEALTH}.Check", "allowWithoutCredential": True},
                ],
            },
            # Nobody takes this gateway out of a load balancer first.
            "drain": {"delay": "0s", "grace": "2s"},
        },
    }
