"""The commands of a world's processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.configuration.quantities import format_duration
from infra.world.children import Child, python_module
from infra.world.layout import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from infra.world.layout import Layout, PodPlan


def issuer(layout: Layout) -> Child:
    host, _, port = layout.block.issuer.rpartition(":")
    options = ("--directory", str(layout.directory), "--host", host, "--port", port)
    return Child("issuer", python_module("infra.issuer", *options), announces=True, vital=True)


TwinMaker = Callable[["Layout", int, int, float], Child]
"""A layout, the ports of the API and of the load balancer (0 for any), and the propagation delay in seconds."""


def twin(layout: Layout, api_port: int, port: int, propagation_delay: float) -> Child:
    options = ["--port", str(api_port), "--listen-port", str(port), "--project", PROJECT]
    for region in layout.regions:
        options += ["--client-region", region]
    if propagation_delay:
        options += ["--propagation-delay", format_duration(propagation_delay)]
    return Child("twin", python_module("infra.cli.main", "twin", *options), announces=True, vital=True)


def app(pod: PodPlan) -> Child:
    options = ("--name", pod.name, "--address", pod.app, "--control", str(pod.control))
    return Child(f"{pod.label}-app", python_module("infra.sample", *options), announces=True)


def gateway(pod: PodPlan, configuration: Path) -> Child:
    options = ("gateway", "--config", str(configuration))
    return Child(f"{pod.label}-gateway", python_module("infra.cli.main", *options))
