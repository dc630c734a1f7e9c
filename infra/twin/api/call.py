"""One request to the API, as its methods get it, and what goes back."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from infra.twin.api.render import Url, url_at
from infra.twin.discovery.body import Checked, Fault
from infra.twin.discovery.document import Method
from infra.twin.read_json import read_json
from infra.twin.refused import Refused, bad_request, invalid_body
from infra.twin.resources.key import Key

Json = dict[str, Any]

_ZERO = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True)
class Request:
    """`path` is what follows `/compute/v1/`, `base` the URL up to there as the client knows it, without a slash."""

    verb: str
    path: str
    query: Mapping[str, str]
    body: bytes
    base: str
    now: float


@dataclass(frozen=True, slots=True)
class Answer:
    """`ignored` and `nulls` count what was dropped of the body."""

    status: int
    body: Json
    ignored: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose method is known."""

    method: Method
    parameters: Mapping[str, str]
    request: Request

    @property
    def project(self) -> str:
        return self.parameters["project"]

    @property
    def scope(self) -> str:
        """Where the path leads: `global`, `zones/Z` or `regions/R`."""
        for level in ("zone", "region"):
            if level in self.parameters and f"{level}s" in self.method.segments[:-1]:
                return f"{level}s/{self.parameters[level]}"
        return "global"

    @property
    def name(self) -> str:
        """The last parameter of the path: the resource's name."""
        last = next(segment for segment in reversed(self.method.segments) if segment.startswith("{"))
        return self.parameters[last[1:-1]]

    @property
    def url(self) -> Url:
        return url_at(self.request.base)

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.request.now, UTC)

    def key(self, collection: str) -> Key:
        """The resource that the path names."""
        return Key(self.project, self.scope, collection, self.name)

    def body(self) -> object:
        """The body. Refused: it is no JSON."""
        if not self.request.body:
            return {}
        try:
            return read_json(self.request.body)
        except ValueError as error:
            raise invalid_body(f"Parse Error: {error}") from error

    def request_id(self) -> str:
        """That of the query, or nothing. Refused: it is no UUID."""
        text = self.request.query.get("requestId", "")
        if not text:
            return ""
        try:
            value = uuid.UUID(text)
        except ValueError:
            value = _ZERO
        if value == _ZERO:
            message = f"Invalid value for field 'requestId': '{text[:200]}'. Must be a UUID other than zero."
            raise bad_request([Fault("requestId", message)])
        return str(value)


def answer_with(body: Json, checked: Checked | None = None) -> Answer:
    """200."""
    if checked is None:
        return Answer(200, body)
    return Answer(200, body, tuple(checked.ignored), tuple(checked.nulls))


def answer_refused(refused: Refused) -> Answer:
    """An error in Google's shape."""
    errors = [{"domain": "global", "reason": fault.reason, "message": fault.message} for fault in refused.faults]
    return Answer(refused.code, {"error": {"code": refused.code, "message": errors[0]["message"], "errors": errors}})
