"""A server's key in etcd, bound to a lease that is kept alive."""

from __future__ import annotations

import math
from base64 import b64encode

from gateway.discover.etcd.client import Etcd, EtcdError
from gateway.discover.etcd.layout import prefix_range, write
from infra.registration.announcement import RegistrationError, Server

LOST_LEASE = "lease not found"
"""Part of what etcd says when it is given a lease that has expired."""


class EtcdRegistration:
    """The key `PREFIX/NAME`. Whoever stands there under another lease is left alone, save at the first announcement:
    a server that was started again takes the place of the one before."""

    def __init__(self, client: Etcd, prefix: str, server: Server) -> None:
        self._client = client
        self._server = server
        self._key = prefix_range(prefix)[0] + server.name.encode()
        self._lease = 0
        self._ttl = server.ttl

    def __str__(self) -> str:
        return f"{self._server.host}:{self._server.port} as {self._key.decode()} in etcd"

    @property
    def interval(self) -> float:
        return self._ttl / 3

    async def announce(self) -> None:
        try:
            if not self._lease:
                granted = await self._client.call("lease/grant", {"TTL": str(math.ceil(self._server.ttl))})
                self._lease, self._ttl = int(granted["ID"]), float(granted["TTL"])
            await self._client.call("kv/put", self._put())
        except EtcdError as error:
            if LOST_LEASE in str(error):
                self._lease = 0
            raise RegistrationError(str(error)) from None
        except (KeyError, ValueError):
            raise RegistrationError("etcd grants a lease in a form that cannot be read.") from None

    async def refresh(self) -> bool:
        try:
            answer = await self._client.call("lease/keepalive", {"ID": str(self._lease)})
            if "TTL" not in answer.get("result", {}):
                self._lease = 0
                return False
            return await self._stands()
        except EtcdError as error:
            if LOST_LEASE in str(error):
                self._lease = 0
                return False
            raise RegistrationError(str(error)) from None

    async def withdraw(self) -> None:
        try:
            if self._lease:
                await self._client.call("lease/revoke", {"ID": str(self._lease)})
        except EtcdError as error:
            raise RegistrationError(str(error)) from None
        finally:
            await self._client.aclose()

    async def _stands(self) -> bool:
        """Whether the key is there; it is written where somebody deleted it."""
        key = _text(self._key)
        answer = await self._client.call(
            "kv/txn",
            {
                "compare": [{"key": key, "target": "CREATE", "result": "EQUAL", "create_revision": "0"}],
                "success": [{"request_put": self._put()}],
                "failure": [{"request_range": {"key": key}}],
            },
        )
        if answer.get("succeeded"):
            return False
        try:
            (found,) = answer["responses"][0]["response_range"]["kvs"]
            owner = int(found.get("lease", 0))
        except (KeyError, IndexError, TypeError, ValueError):
            raise RegistrationError("etcd answers a look at the key in a form that cannot be read.") from None
        if owner != self._lease:
            raise RegistrationError(
                f"Somebody else has announced a server as {self._key.decode()}: give it another --id."
            )
        return True

    def _put(self) -> dict[str, str]:
        server = self._server
        metadata: dict[str, object] = dict(server.metadata or {})
        if server.weight != 1:
            metadata["weight"] = server.weight
        value = write(server.host, server.port, metadata)
        return {"key": _text(self._key), "value": _text(value), "lease": str(self._lease)}


def _text(data: bytes) -> str:
    return b64encode(data).decode()
