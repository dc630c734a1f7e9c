"""Consul's HTTP API at an agent: what discovery and registration need."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.discover.consul.access import Access, Query
from gateway.discover.registry.http import TIME_OUT, Client, describe, read_bounded, transport_errors

INDEX = "X-Consul-Index"
FILTERED = "X-Consul-Results-Filtered-By-ACLs"


class ConsulError(Exception):
    """Says where Consul was asked, and why there is no answer. Holds no token."""


class RefusedError(ConsulError):
    """Consul answered, with an error."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`index` as Consul wrote it. `filtered`: the token may not see all that there is."""

    instances: object
    index: str | None
    filtered: bool = False


class Consul(Client):
    """A client of one agent. All raise ConsulError."""

    def __init__(self, access: Access) -> None:
        super().__init__([access.url], access.tls)
        self._access = access

    async def instances(self, query: Query, index: int, wait: float) -> Answer:
        """What is known of a service; with an `index` as soon as it is newer, at the latest after `wait` seconds.

        Consul answers up to a sixteenth of `wait` later than asked, so that its clients do not come in step.
        """
        parameters = query.parameters()
        if index:
            parameters += [("index", str(index)), ("wait", f"{wait * 1000:.0f}ms")]
        seconds = TIME_OUT + (wait * 17 / 16 if index else 0.0)
        body, headers = await self._call("GET", query.path, parameters, None, seconds)
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            raise ConsulError(f"Consul at {self._access.url} answers what cannot be read.") from None
        return Answer(found, headers.get(INDEX), headers.get(FILTERED, "").lower() == "true")

    async def put(self, path: str, message: Mapping[str, Any] | None = None) -> None:
        """RefusedError: it was answered with an error."""
        await self._call("PUT", path, (), message, TIME_OUT)

    async def _call(
        self,
        method: str,
        path: str,
        parameters: Sequence[tuple[str, str]],
        message: Mapping[str, Any] | None,
        seconds: float,
    ) -> tuple[bytes, Mapping[str, str]]:
        import aiohttp
        from yarl import URL

        where = f"Consul at {self._access.url}"
        url = URL(f"{self._access.url}/v1/{path}", encoded=True).with_query(parameters)
        limits = aiohttp.ClientTimeout(total=seconds, connect=TIME_OUT)
        try:
            headers = self._access.headers()
            async with self.session().request(
                method, url, json=message, headers=headers, timeout=limits, allow_redirects=False
            ) as answer:
                body = await read_bounded(answer.content)
        except transport_errors() as error:
            raise ConsulError(f"{where} cannot be reached: {describe(error)}.") from None
        if answer.status != 200:
            said = body.decode(errors="replace").strip().splitlines()
            raise RefusedError(f"{where} answers {answer.status}: {said[0][:200] if said else 'nothing'}.")
        return body, answer.headers
