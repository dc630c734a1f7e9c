"""What `tidegate up` says about a world that is ready: rows of a table, and lines to paste."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.sample import ECHO, METHODS, REVERSE
from infra.world.layout import HEALTH_PATH, HTTP_BINDINGS
from infra.world.state import DEFAULT_DIRECTORY

if TYPE_CHECKING:
    from infra.world.state import WorldState


@dataclass(frozen=True, slots=True)
class Example:
    """A shell command and what it shows."""

    shows: str
    command: str


def rows(state: WorldState) -> list[tuple[str, str, str, str]]:
    """(name, what it is, address, process)."""
    gateway, issuer = state.gateway, state.issuer
    table = [
        ("gateway", "HTTP/1.1 and HTTP/2 in cleartext", gateway.url, str(gateway.pid)),
        ("", "admin page, metrics", gateway.admin, ""),
    ]
    for service, pods in state.services.items():
        table += [(pod.name, f"pod of {service}", pod.address, str(pod.pid)) for pod in pods]
    return [*table, ("issuer", "signs tokens, serves its keys", issuer.url, str(issuer.pid))]


def examples(state: WorldState, program: str, directory: Path) -> list[Example]:
    """`program` is how a shell finds `tidegate`; relative paths are of the folder that `up` was started in."""
    options = "" if directory == DEFAULT_DIRECTORY else f" --directory {shlex.quote(str(directory))}"
    bearer = f'-H "Authorization: Bearer $({program} token{options})"'
    url = state.gateway.url
    body = """-H 'Content-Type: application/json' -d '{"content":"hello"}'"""
    descriptors = shlex.quote(str(directory / Path(state.descriptors).name))
    echo_pods = " ".join(str(pod.pid) for pod in state.services[ECHO])
    return [
        Example("No token: 401.", f"curl -i {body} {url}{HTTP_BINDINGS[ECHO]}"),
        Example("With a token: 200.", f"curl -i {bearer} {body} {url}{HTTP_BINDINGS[ECHO]}"),
        Example(
            "The other service; the header `hostname` names the pod.",
            f"curl -i {bearer} {body} {url}{HTTP_BINDINGS[REVERSE]}",
        ),
        Example(
            "The same in gRPC.",
            f"grpcurl -plaintext -protoset {descriptors} {bearer} "
            f"""-d '{{"content":"hello"}}' {state.gateway.address} {ECHO}/{METHODS[ECHO]}""",
        ),
        Example("Health needs no token: 200 while the app serves.", f"curl -i {url}{HEALTH_PATH}"),
        Example("The app stops serving, health answers 503 ...", f"kill -USR1 {echo_pods}"),
        Example("... and serves again.", f"kill -USR2 {echo_pods}"),
    ]
