"""The world's gateway: its configuration as an operator would write it, and the command that an operator would run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from infra.sample import SERVICES
from infra.world.children import Child, python_module
from infra.world.layout import AUDIENCE, HOST, HTTP_BINDINGS, SERVICE_NAME

if TYPE_CHECKING:
    from infra.world.layout import GatewayPlan

PROVIDER = "developer"


def make_gateway(plan: GatewayPlan) -> Child:
    path = plan.directory / "gateway.yaml"
    with path.open("w") as file:
        file.write("# Written by `tidegate up` at each start; a copy of it is a good first configuration.\n")
        YAML(typ="safe", pure=True).dump(configuration(plan), file)
    return Child("gateway", python_module("infra.cli.main", "gateway", "--config", str(path)))


def configuration(plan: GatewayPlan) -> dict[str, Any]:
    return {"apiVersion": "tidegate.dev/v1", "kind": "Gateway"}
