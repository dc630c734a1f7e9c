"""A small client of the Compute API: plain HTTP and JSON, as curl would speak it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp

from infra.world.errors import WorldError
from infra.world.load_balancer import SERVICE_PATH, capacities, scaled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.world.load_balancer import Call

Json = dict[str, Any]

MOST_ATTEMPTS = 10
"""At a change that others keep overtaking."""
TIMEOUT_SECONDS = 130.0
"""Longer than Google's `wait` waits."""


class ComputeError(WorldError):
    """The API refused a call; the message names it and says why."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Compute:
    """The resources of one project; `url` ends with its name. Paths are below it."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self.url = url

    async def get(self, path: str) -> Json:
        """ComputeError."""
        return await self._request("GET", f"{self.url}/{path}", None)

    async def change(self, verb: str, path: str, body: Mapping[str, Any] | None = None) -> None:
        """Makes a change and waits until its operation has ended. ComputeError: it was refused, or has failed."""
        operation = await self._request(verb, f"{self.url}/{path}", body)
        while operation["status"] != "DONE":
            operation = await self._request("POST", operation["selfLink"] + "/wait", None)
        if "error" in operation:
            said = "; ".join(error.get("message", error.get("code", "")) for error in operation["error"]["errors"])
            raise ComputeError(f"{verb} {path} has failed: {said}", operation.get("httpErrorStatusCode", 0))

    async def run(self, calls: Sequence[Call]) -> None:
        """One after the other. ComputeError."""
        for call in calls:
            await self.change(call.verb, call.path, call.body)

    async def set_capacity(self, zones: Sequence[str], capacity: float) -> None:
        """Sets `capacityScaler` of the backends in some zones; what others change meanwhile stays. ComputeError."""
        for _ in range(MOST_ATTEMPTS):
            service = await self.get(SERVICE_PATH)
            body = {"fingerprint": service["fingerprint"], "backends": scaled(service["backends"], zones, capacity)}
            try:
                return await self.change("PATCH", SERVICE_PATH, body)
            except ComputeError as error:
                if error.status != 412:
                    raise
        raise ComputeError(f"PATCH {SERVICE_PATH}: others changed it each time, {MOST_ATTEMPTS} times", 412)

    async def capacities(self) -> dict[str, float]:
        """`capacityScaler` by zone, as the API says it; traffic follows after the propagation delay. ComputeError."""
        return capacities((await self.get(SERVICE_PATH)).get("backends", ()))

    async def _request(self, verb: str, url: str, body: Mapping[str, Any] | None) -> Json:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        try:
            async with self._session.request(verb, url, json=body, timeout=timeout) as response:
                answer: Json = await response.json()
        except (aiohttp.ClientError, ValueError) as error:
            raise ComputeError(f"{verb} {url} fails: {error}") from None
        except TimeoutError:
            raise ComputeError(f"{verb} {url} has no answer within {TIMEOUT_SECONDS:g} s") from None
        if response.status != 200:
            said = answer.get("error", {}).get("message", answer)
            raise ComputeError(f"{verb} {url} answers {response.status}: {said}", response.status)
        return answer
