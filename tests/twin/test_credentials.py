"""Credentials over HTTP, with google-auth as the client."""

from __future__ import annotations

import asyncio
import os
import sys

from infra.twin.process import TwinOptions
from tests.twin.conftest import Start

GET_TOKEN = """
from google.auth.compute_engine import Credentials
from google.auth.transport.requests import Request
credentials = Credentials()
credentials.refresh(Request())
print(credentials.token)
"""


async def test_google_auth_gets_a_token_that_the_api_takes(start: Start) -> None:
    client = await start(TwinOptions(wants_token=True))
    assert (await client.refused("GET", "global/addresses"))[:2] == (401, "authError")
    environment = os.environ | {"GCE_METADATA_HOST": client.base.removeprefix("http://")}
    command = (sys.executable, "-c", GET_TOKEN)
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    headers = {"Authorization": f"Bearer {output.decode().strip()}"}
    url = f"{client.base}/compute/v1/projects/demo/global/addresses"
    async with client.session.get(url, headers=headers) as response:
        assert response.status == 200


async def test_a_token_that_is_over_is_refused(start: Start) -> None:
    client = await start(TwinOptions(wants_token=True, token_lifetime=0.0))
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    async with client.session.post(f"{client.base}/token", data=form) as response:
        body = await response.json()
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    url = f"{client.base}/compute/v1/projects/demo/global/addresses"
    async with client.session.get(url, headers=headers) as response:
        assert response.status == 401
