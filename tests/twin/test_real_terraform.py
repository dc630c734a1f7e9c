"""Terraform's google provider as the client: a whole load balancer made, planned again, changed and destroyed."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trustme

from tests.twin.conftest import Client, Json

pytestmark = [pytest.mark.real("terraform", "terraform-provider-google"), pytest.mark.timeout(300)]

Terraform = Callable[..., Awaitable[tuple[int, str]]]

SOURCE = Path(__file__).with_name("terraform") / "main.tf"
COLLECTIONS = ("backendServices", "targetHttpsProxies", "urlMaps", "healthChecks", "networkEndpointGroups")


@pytest.fixture
def terraform(client: Client, tmp_path: Path) -> Terraform:
    """`await terraform("plan", scaler="0")` in a folder of its own: (exit status, what it said)."""
    shutil.copy(SOURCE, tmp_path)
    provider = shutil.which("terraform-provider-google") or ""
    settings = tmp_path / "terraform.rc"
    overrides = f'dev_overrides {{ "hashicorp/google" = "{Path(provider).parent}" }}'
    settings.write_text(f"provider_installation {{\n  {overrides}\n  direct {{}}\n}}\n")
    leaf = trustme.CA().issue_cert("api.example")
    variables = {
        "api": f"{client.base}/compute/v1/",
        "certificate": leaf.cert_chain_pems[0].bytes().decode(),
        "key": leaf.private_key_pem.bytes().decode(),
        "scaler": "1",
        "timeout": "30",
    }

    async def run(verb: str, *arguments: str, **changed: str) -> tuple[int, str]:
        told = {f"TF_VAR_{name}": value for name, value in (variables | changed).items()}
        process = await asyncio.create_subprocess_exec(
            *("terraform", verb, "-no-color", "-input=false", *arguments),
            cwd=tmp_path,
            env={**os.environ, **told, "TF_CLI_CONFIG_FILE": str(settings), "CHECKPOINT_DISABLE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    return run


async def test_the_whole_chain_with_terraform(client: Client, terraform: Terraform) -> None:
    status, said = await terraform("apply", "-auto-approve")
    assert status == 0, said
    status, said = await terraform("plan", "-detailed-exitcode")
    assert status == 0, said
    await _is_served(client)

    status, said = await terraform("apply", "-auto-approve", scaler="0", timeout="60")
    assert status == 0, said
    service = await client.get("global/backendServices/service")
    scalers = {backend["group"].rpartition("/")[2]: backend["capacityScaler"] for backend in service["backends"]}
    assert (scalers, service["timeoutSec"]) == ({"near": 0, "far": 1}, 60)
    status, said = await terraform("plan", "-detailed-exitcode", scaler="0", timeout="60")
    assert status == 0, said

    status, said = await terraform("destroy", "-auto-approve", scaler="0", timeout="60")
    assert status == 0, said
    for collection in COLLECTIONS:
        scopes = (await client.get(f"aggregated/{collection}"))["items"]
        assert not [scope for scope, found in scopes.items() if collection in found]


async def _is_served(client: Client) -> None:
    """Every rule has its listeners, and none has a problem."""
    while True:
        _, body = await client.own("GET", "listeners")
        listeners: list[Json] = body["listeners"]
        assert not [one for one in listeners if "problem" in one]
        if {one["port"] for one in listeners if one["ready"]} == {80, 443}:
            return
        await asyncio.sleep(0.02)
