"""What `tidegate up` says about a world that is ready: rows of a table, and lines to paste."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.sample import ECHO, METHODS, REVERSE
from infra.world import endpoint_groups, load_balancer
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
    table = [
        (f"clients in {each.client_region}", f"port {each.port} of {each.address}, TLS", each.listen, "")
        for each in state.listeners
    ]
    table += [("twin", "Compute API and load balancer", state.twin.url, str(state.twin.pid))]
    table += [
        (pod.name, f"pod in {pod.zone}: gateway, app", pod.address, f"{pod.gateway_pid}, {pod.app_pid}")
        for pod in state.pods
    ]
    return [*table, ("issuer", "signs tokens, serves its keys", state.issuer.url, str(state.issuer.pid))]


def examples(state: WorldState, program: str, directory: Path) -> list[Example]:
    """`program` is how a shell finds `tidegate`; relative paths are of the folder that `up` was started in."""
    options = "" if directory == DEFAULT_DIRECTORY else f" --directory {shlex.quote(str(directory))}"
    bearer = f'-H "Authorization: Bearer $({program} token{options})"'
    body = """-H 'Content-Type: application/json' -d '{"content":"hello"}'"""
    authority = shlex.quote(str(directory / Path(state.authority).name))
    descriptors = shlex.quote(str(directory / Path(state.descriptors).name))
    first, region = state.listeners[0], state.pods[0].region
    curl = f"curl -i --cacert {authority} --connect-to {state.host}:443:{first.listen}"
    url = f"https://{state.host}"
    lines = [
        Example("No token: 401.", f"{curl} {body} {url}{HTTP_BINDINGS[ECHO]}"),
        Example(
            f"With a token: 200, as clients in {first.client_region} call; the header `hostname` names the pod.",
            f"{curl} {bearer} {body} {url}{HTTP_BINDINGS[ECHO]}",
        ),
        Example("The other service.", f"{curl} {bearer} {body} {url}{HTTP_BINDINGS[REVERSE]}"),
        Example(
            "The same in gRPC.",
            f"grpcurl -cacert {authority} -authority {state.host} -protoset {descriptors} {bearer} "
            f"""-d '{{"content":"hello"}}' {first.listen} {ECHO}/{METHODS[ECHO]}""",
        ),
        Example("A token as these lines bring it.", f"{program} token{options}"),
        Example("Health needs no token: 200 while the apps serve.", f"{curl} {url}{HEALTH_PATH}"),
        Example("Which pods the load balancer holds for healthy.", f"curl -s {state.twin.url}/twin/v1/traffic"),
    ]
    if len({pod.zone for pod in state.pods}) > 1:
        lines += [
            Example(f"Drain {region} by hand ...", _scale(state, 0)),
            Example("... or with gcloud ...", _gcloud(state)),
            Example("... and let it serve again.", _scale(state, 1)),
        ]
    return [
        *lines,
        Example(f"Kill every process in {region} ...", f"{program} fault kill {region}{options}"),
        Example("... and heal it.", f"{program} fault heal {region}{options}"),
    ]


def _gcloud(state: WorldState) -> str:
    pod = state.pods[0]
    return (
        f"CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE={state.twin.url}/compute/v1/ CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true "
        f"gcloud --project {state.twin.project} compute backend-services update-backend {load_balancer.NAME} --global "
        f"--network-endpoint-group {endpoint_groups.NAME} --network-endpoint-group-zone {pod.zone} --capacity-scaler 0"
    )


def _scale(state: WorldState, capacity: int) -> str:
    """As `gcloud compute backend-services update-backend --capacity-scaler` does it: read, change, write back."""
    url = f"{state.twin.api}/{load_balancer.SERVICE_PATH}"
    zone = state.pods[0].zone
    change = (
        "import json, sys; s = json.load(sys.stdin); "
        f"""[b.update(capacityScaler={capacity}) for b in s["backends"] if "/{zone}/" in b["group"]]; """
        """print(json.dumps({k: s[k] for k in ("fingerprint", "backends")}))"""
    )
    return f"curl -s {url} | python3 -c {shlex.quote(change)} | curl -s -X PATCH -d @- {url}"
