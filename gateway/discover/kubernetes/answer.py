"""Reads what the Kubernetes API sends: lists, watch streams and refusals."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from gateway.discover.kubernetes.api import ROLE, Absent, ApiError, Collection, Event, Expired, Forbidden, Unusable
from gateway.discover.kubernetes.objects import Json

if TYPE_CHECKING:
    import aiohttp

MAX_LIST_BYTES = 256 << 20
MAX_EVENT_BYTES = 16 << 20
"""etcd takes no object above 1.5 MiB by default."""
MESSAGE_TIME_OUT = 5.0


async def read_body(answer: aiohttp.ClientResponse, seconds: float) -> bytes:
    import aiohttp

    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > MAX_LIST_BYTES:
                    raise ApiError(f"{origin(answer)} answered with more than {MAX_LIST_BYTES} bytes.")
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise ApiError(f"{origin(answer)} broke off its answer: {type(error).__name__}.") from None
    return bytes(body)


async def events(answer: aiohttp.ClientResponse, seconds: float) -> AsyncIterator[Event]:
    """To the end of the stream; one that breaks off ends too, for nothing of it is lost: the next begins behind it."""
    import aiohttp

    lines = _lines(answer)
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                line = await anext(lines)
        except (StopAsyncIteration, TimeoutError, aiohttp.ClientError, OSError):
            return
        event = read_json(line, origin(answer))
        kind, document = event.get("type"), event.get("object")
        if not isinstance(kind, str) or not isinstance(document, dict):
            raise Unusable(f"{origin(answer)} sent a watch event of another form.")
        if kind == "ERROR":
            raise _failure(document, origin(answer))
        yield Event(kind, document)


def _failure(status: Json, origin: str) -> ApiError:
    if status.get("code") == 410 or status.get("reason") in ("Expired", "Gone"):
        return Expired(f"{origin} no longer knows that version (410).")
    return Unusable(f"{origin} ended a watch with {status.get('code')}: {status.get('message')}")


async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Without the reader's own limit of a line, which a large slice exceeds."""
    pending: list[bytes] = []
    size = 0
    async for chunk in answer.content.iter_any():
        *complete, rest = chunk.split(b"\n")
        for line in complete:
            whole = b"".join((*pending, line))
            pending, size = [], 0
            if whole.strip():
                yield whole
        if rest:
            pending.append(rest)
            size += len(rest)
        if size > MAX_EVENT_BYTES:
            raise Unusable(f"{origin(answer)} sent an event of more than {MAX_EVENT_BYTES} bytes.")


def read_json(body: bytes, origin: str) -> Json:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Unusable(f"{origin} did not answer with JSON.") from None
    if not isinstance(document, dict):
        raise Unusable(f"{origin} did not answer with a JSON object.")
    return document


def origin(answer: aiohttp.ClientResponse) -> str:
    return str(answer.url.origin())


async def refusal(answer: aiohttp.ClientResponse, collection: Collection, verb: str, namespace: str) -> ApiError:
    said = await _message(answer)
    server, group = origin(answer), collection.group or '""'
    if answer.status == 401:
        return ApiError(f"{server} does not accept the credentials (401): {said}")
    if answer.status == 403:
        return Forbidden(
            f"{server} forbids to {verb} {collection.resource} in the namespace {namespace}: {said} The ServiceAccount "
            f"needs a Role there with apiGroups [{group}], resources [{collection.resource}], verbs [list, watch], "
            f"as in {ROLE}."
        )
    if answer.status == 404:
        return Absent(f"{server} has no {collection.resource} of {group}/v1 (404).")
    if answer.status == 410:
        return Expired(f"{server} no longer knows that version (410).")
    kind = ApiError if answer.status == 429 else Unusable
    return kind(f"{server} answered {answer.status}: {said}", _retry_after(answer))


async def _message(answer: aiohttp.ClientResponse) -> str:
    """What the server says in words, in a line."""
    import aiohttp

    try:
        async with asyncio.timeout(MESSAGE_TIME_OUT):
            document = json.loads(await answer.content.read(64 << 10))
    except (ValueError, RecursionError, aiohttp.ClientError, OSError, TimeoutError):
        return "it does not say why."
    message = document.get("message") if isinstance(document, dict) else None
    return " ".join(message.split())[:500].rstrip(".") + "." if isinstance(message, str) else "it does not say why."


def _retry_after(answer: aiohttp.ClientResponse) -> float:
    text = answer.headers.get("Retry-After", "")
    return min(float(text), 60.0) if text.isascii() and text.isdigit() else 0.0
