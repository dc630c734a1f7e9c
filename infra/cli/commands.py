"""The sub-commands as data; the modules behind them are imported only when they run."""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """`module` has a `main(argv) -> int`, which is given what follows the command's name."""

    name: str
    group: str
    summary: str
    example: str
    module: str


COMMANDS: tuple[Command, ...] = (
    Command(
        name="up",
        group="Try it out",
        summary="Start three regions of a sample app behind a load balancer, all on this machine.",
        example="tidegate up --for 20s",
        module="infra.cli.up",
    ),
    Command(
        name="token",
        group="Try it out",
        summary="Print a token from the issuer of `tidegate up`.",
        example="tidegate token --sub alice --ttl 10m",
        module="infra.cli.token",
    ),
    Command(
        name="twin",
        group="Try it out",
        summary="Stand in for Google's Compute API, for gcloud, Terraform and clients to work on.",
        example="tidegate twin --port 8085 --state twin.db",
        module="infra.cli.twin",
    ),
    Command(
        name="fault",
        group="Try it out",
        summary="Break a region or a pod of `tidegate up`, and heal it.",
        example="tidegate fault kill us-central1",
        module="infra.cli.fault",
    ),
    Command(
        name="gateway",
        group="Serve",
        summary="Authenticate, transcode and forward requests to a gRPC service.",
        example="tidegate gateway --http2_port=8080 --backend=grpc://127.0.0.1:50051",
        module="gateway.command",
    ),
    Command(
        name="validate",
        group="Serve",
        summary="Report every error of configuration files, without serving.",
        example="tidegate validate gateway.yaml",
        module="gateway.configuration.validate",
    ),
    Command(
        name="register",
        group="Serve",
        summary="Announce a server in etcd or Consul while it runs, for gateways to find it there.",
        example="tidegate register etcd services/echo --address 10.0.0.7:50051",
        module="infra.cli.register",
    ),
    Command(
        name="probe",
        group="Look",
        summary="Ask servers for their health: gRPC, HTTP or TCP.",
        example="tidegate probe localhost:50051",
        module="healthcheck.probe.command",
    ),
)


def find(name: str) -> Command | None:
    return next((command for command in COMMANDS if command.name == name), None)


def help_text() -> str:
    groups = dict.fromkeys(command.group for command in COMMANDS)
    lines = ["Tidegate puts gRPC services behind one authenticated address.", "", "Usage: tidegate COMMAND [OPTIONS]"]
    for group in groups:
        lines += ["", f"{group}:"]
        for command in COMMANDS:
            if command.group == group:
                lines += [f"  {command.name:<10} {command.summary}", f"  {'':<10} $ {command.example}"]
    lines += [
        "",
        "Options:",
        "  -h, --help  Show this text; `tidegate COMMAND --help` tells about one command.",
        "  --version   Show the version.",
    ]
    return "\n".join(lines)
