"""gcloud as the client: a whole load balancer made, changed, read and deleted by its commands."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.twin.conftest import PROJECT, Client

pytestmark = [pytest.mark.real("gcloud"), pytest.mark.timeout(600)]

Gcloud = Callable[[str], Awaitable[str]]

GROUP = "--network-endpoint-group=near --network-endpoint-group-zone=us-central1-a"
MAKE = f"""
addresses create vip --global
health-checks create grpc check --use-serving-port --check-interval=1s --timeout=1s --global
network-endpoint-groups create near --zone=us-central1-a --network-endpoint-type=gce-vm-ip-port --default-port=8443
network-endpoint-groups create far --zone=europe-west1-b --network-endpoint-type=gce-vm-ip-port --default-port=8443
network-endpoint-groups update near --zone=us-central1-a --add-endpoint=instance=vm-1,ip=127.0.0.1,port=8443
backend-services create service --global --protocol=HTTP2 --load-balancing-scheme=EXTERNAL_MANAGED \
 --health-checks=check --global-health-checks
backend-services add-backend service --global {GROUP} --balancing-mode=RATE --max-rate-per-endpoint=100
backend-services add-backend service --global --network-endpoint-group=far \
 --network-endpoint-group-zone=europe-west1-b --balancing-mode=RATE --max-rate-per-endpoint=100
url-maps create map --default-service=service --global
ssl-certificates create certificate --certificate=chain.pem --private-key=key.pem --global
target-https-proxies create proxy --url-map=map --ssl-certificates=certificate --global
forwarding-rules create rule --global --load-balancing-scheme=EXTERNAL_MANAGED --address=vip --ports=443 \
 --target-https-proxy=proxy
"""
CHANGE = f"""
backend-services update-backend service --global {GROUP} --capacity-scaler=0
backend-services update service --global --timeout=60s
url-maps add-path-matcher map --path-matcher-name=api --default-service=service --new-hosts=api.example --global
network-endpoint-groups update near --zone=us-central1-a --remove-endpoint=instance=vm-1,ip=127.0.0.1,port=8443
"""
DELETE = """
forwarding-rules delete rule --global
target-https-proxies delete proxy --global
ssl-certificates delete certificate --global
url-maps delete map --global
backend-services delete service --global
network-endpoint-groups delete near --zone=us-central1-a
network-endpoint-groups delete far --zone=europe-west1-b
health-checks delete check --global
addresses delete vip --global
"""


@pytest.fixture
def gcloud(client: Client, tmp_path: Path) -> Gcloud:
    """`await gcloud("addresses list")` is what it wrote; it has no settings but those for the twin."""
    leaf = trustme.CA().issue_cert("api.example")
    (tmp_path / "chain.pem").write_bytes(leaf.cert_chain_pems[0].bytes())
    (tmp_path / "key.pem").write_bytes(leaf.private_key_pem.bytes())
    settings = {
        "CLOUDSDK_CONFIG": str(tmp_path / "settings"),
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": f"{client.base}/compute/v1/",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_PROJECT": PROJECT,
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
    }

    async def run(line: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *("gcloud", "compute", *line.split()),
            cwd=tmp_path,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        written, said = await process.communicate()
        assert process.returncode == 0, f"{line}: {said.decode()}"
        return written.decode()

    return run


async def test_the_whole_chain_with_gcloud(client: Client, gcloud: Gcloud) -> None:
    await _run(gcloud, MAKE)
    assert (await gcloud("forwarding-rules list --format=value(name,IPAddress,portRange)")).split() == [
        "rule",
        "203.0.113.1",
        "443-443",
    ]
    listed = await gcloud("network-endpoint-groups list-network-endpoints near --zone=us-central1-a --format=json")
    endpoint = {"instance": "vm-1", "ipAddress": "127.0.0.1", "port": 8443}
    assert json.loads(listed) == [{"networkEndpoint": endpoint}]
    await _run(gcloud, CHANGE)
    service: Any = json.loads(await gcloud("backend-services describe service --global --format=json"))
    assert [backend["capacityScaler"] for backend in service["backends"]] == [0, 1]
    assert service["timeoutSec"] == 60
    assert (await client.get("zones/us-central1-a/networkEndpointGroups/near"))["size"] == 0
    await _run(gcloud, DELETE)
    assert await gcloud("backend-services list --format=json") == "[]\n"


async def _run(gcloud: Gcloud, lines: str) -> None:
    for line in lines.strip().splitlines():
        await gcloud(line)
