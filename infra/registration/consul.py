"""A server as a service instance of a Consul agent, with a check that passes as long as we say so."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from gateway.discover.consul.client import Consul, ConsulError, RefusedError
from infra.registration.announcement import RegistrationError, Server

REMOVED_AFTER = "1m"
"""How long Consul keeps an instance whose check is critical; less it does not accept."""


class ConsulRegistration:
    """The instance `SERVICE-NAME`."""

    def __init__(self, client: Consul, service: str, server: Server, tags: Sequence[str] = ()) -> None:
        self._client = client
        self._service = service
        self._server = server
        self._tags = tuple(tags)
        self._id = f"{service}-{server.name}"

    def __str__(self) -> str:
        return f"{self._server.host}:{self._server.port} as {self._id} in Consul"

    @property
    def interval(self) -> float:
        return self._server.ttl / 3

    async def announce(self) -> None:
        server = self._server
        message = {
            "ID": self._id,
            "Name": self._service,
            "Address": server.host,
            "Port": server.port,
            "Tags": self._tags,
            "Meta": dict(server.metadata or {}),
            "Weights": {"Passing": server.weight, "Warning": 1},
            "Check": {
                "TTL": f"{server.ttl:g}s",
                "Status": "passing",
                "DeregisterCriticalServiceAfter": REMOVED_AFTER,
            },
        }
        try:
            await self._client.put("agent/service/register", message)
        except ConsulError as error:
            raise RegistrationError(str(error)) from None

    async def refresh(self) -> bool:
        try:
            await self._client.put(f"agent/check/pass/{quote(f'service:{self._id}', safe='')}")
        except RefusedError:
            # Versions differ in how they say that they do not know the check; announcing it again is right in any case.
            return False
        except ConsulError as error:
            raise RegistrationError(str(error)) from None
        return True

    async def withdraw(self) -> None:
        try:
            await self._client.put(f"agent/service/deregister/{quote(self._id, safe='')}")
        except ConsulError as error:
            raise RegistrationError(str(error)) from None
        finally:
            await self._client.aclose()
