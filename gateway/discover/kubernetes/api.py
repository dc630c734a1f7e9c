"""What is asked of the Kubernetes API, and what it answers. See "Kubernetes API Concepts" for lists and watches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from gateway.discover.kubernetes.objects import Json

ROLE = "deploy/discovery/role.yaml"
"""What a refused ServiceAccount is told to have."""


class ApiError(Exception):
    """Says where and what. `retry_after`: seconds for which the server asks for peace."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Forbidden(ApiError):
    """The credentials are known and may not do this."""


class Absent(ApiError):
    """The server has no such kind of objects."""


class Unusable(ApiError):
    """The server answers with an error, or with what cannot be read. The same question may bring the same again."""


class Expired(ApiError):
    """The server no longer knows what happened since that version: list again."""


@dataclass(frozen=True, slots=True)
class Collection:
    """Objects of one kind in one namespace ("": that of the credentials) that `selector` picks."""

    group: str
    resource: str
    namespace: str
    selector: tuple[str, str]

    def path(self, namespace: str) -> str:
        root = f"/apis/{self.group}/v1" if self.group else "/api/v1"
        return f"{root}/namespaces/{namespace}/{self.resource}"


@dataclass(frozen=True, slots=True)
class Listed:
    items: tuple[Json, ...]
    version: str


@dataclass(frozen=True, slots=True)
class Event:
    """`kind` is ADDED, MODIFIED, DELETED or BOOKMARK, of which the last has nothing but a version."""

    kind: str
    document: Json


class Api(Protocol):
    """Both raise ApiError. A watch begins behind `version`, and ends without an error when the server ends it."""

    async def list(self, collection: Collection) -> Listed: ...

    def watch(self, collection: Collection, version: str) -> AbstractAsyncContextManager[AsyncIterator[Event]]: ...

    async def aclose(self) -> None: ...
