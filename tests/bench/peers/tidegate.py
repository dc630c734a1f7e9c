"""Tidegate, with one configuration for every row: the service below, and every flag that is not about addresses,
certificates or the number of workers at its default (deadlines, limits, metrics and access log as shipped)."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from tests.bench.descriptors import HEALTH_PATH
from tests.bench.peers.base import Peer, Scenario
from tests.bench.process import free_port
from tests.bench.tokens import AUDIENCE, ISSUER

CHECKED: dict[str, Any] = {"healthCheck": {"watch": False, "interval": "1s", "noTrafficInterval": "1s"}}
"""Active health checks of a backend in `gateway.yaml`, where rows ask for them: as Envoy's."""


def gateway_file(listen: int, backend: dict[str, Any], *, host: str = "127.0.0.1", **spec: Any) -> dict[str, Any]:
    """A `gateway.yaml` with one listener on `host`, one worker and one backend, and the rest as shipped."""
    return {
        "apiVersion": "tidegate.dev/v1",
        "kind": "Gateway",
        "spec": {
            "listeners": [{"name": "main", "address": f"{host}:{listen}"}],
            "backends": [backend],
            "admin": {"port": free_port()},
            "workers": 1,
            **spec,
        },
    }


class Tidegate(Peer):
    name = "tidegate"
    title = "Tidegate"
    program = "tidegate"
    package = "this project: make build"
    kinds = frozenset({"plain", "tls", "jwt", "health", "spread"})

    def __init__(self, command: str | None = None) -> None:
        """`command` replaces the installed `tidegate`, as in "python -m infra.cli.main"."""
        self._command = shlex.split(command) if command else None

    def executable(self) -> str | None:
        return self._command[0] if self._command else super().executable()

    def command(self, scenario: Scenario) -> list[str]:
        service = scenario.directory / "service.json"
        service.write_text(json.dumps(self.service(scenario), indent=2))
        if scenario.kind == "spread":
            return self.with_file(scenario.directory, self.file(scenario, service))
        command = [
            *self.program_command(),
            "gateway",
            "--workers=1",
            "--listener_address=127.0.0.1",
            f"--status_port={free_port()}",
            f"--service_json_path={service}",
            f"--proto_descriptor={scenario.descriptors}",
        ]
        if scenario.kind != "tls":
            return [*command, f"--http2_port={scenario.listen}", f"--backend=grpc://127.0.0.1:{scenario.backend}"]
        return [
            *command,
            f"--ssl_port={scenario.listen}",
            f"--ssl_server_cert_path={scenario.certificates.directory}",
            f"--backend=grpcs://127.0.0.1:{scenario.backend}",
            f"--ssl_backend_client_root_certs_file={scenario.certificates.ca}",
        ]

    def program_command(self) -> list[str]:
        return self._command or [self.program_path()]

    def with_file(self, directory: Path, document: dict[str, Any]) -> list[str]:
        """The command for a `gateway.yaml` with this content (JSON, which is YAML)."""
        path = directory / "gateway.yaml"
        path.write_text(json.dumps(document, indent=2))
        return [*self.program_command(), "gateway", f"--config={path}"]

    @staticmethod
    def file(scenario: Scenario, service: Path) -> dict[str, Any]:
        backend = {"name": "app", "targets": list(scenario.endpoints), **CHECKED}
        api = {"serviceConfig": str(service), "descriptors": [str(scenario.descriptors)]}
        return gateway_file(scenario.listen, backend, api=api)

    @staticmethod
    def service(scenario: Scenario) -> dict[str, Any]:
        """A call of `api.Echo` needs no token, but one that it brings is verified."""
        return {
            "name": "bench.example",
            "apis": [
                {"name": "api.Echo", "methods": [{"name": "Echo"}, {"name": "Feed"}]},
                {"name": "grpc.health.v1.Health", "methods": [{"name": "Check"}, {"name": "Watch"}]},
            ],
            "http": {"rules": [{"selector": "grpc.health.v1.Health.Check", "get": HEALTH_PATH}]},
            "authentication": {
                "providers": [
                    {"id": "bench", "issuer": ISSUER, "audiences": AUDIENCE, "jwksUri": scenario.issuer.jwks.as_uri()}
                ],
                "rules": [
                    {
                        "selector": "api.Echo.*",
                        "requirements": [{"providerId": "bench"}],
                        "allowWithoutCredential": True,
                    }
                ],
            },
            "usage": {"rules": [{"selector": "*", "allowUnregisteredCalls": True}]},
        }
