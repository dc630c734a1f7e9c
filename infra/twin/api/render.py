"""From stored resources to answers: URLs that the client can reach, no secrets, what is derived from others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from infra.twin.mutate import Moment
from infra.twin.operation import Operation
from infra.twin.resources.key import Key
from infra.twin.resources.kind import Kind
from infra.twin.resources.kinds import BY_COLLECTION
from infra.twin.resources.paths import replace, without
from infra.twin.world import World

Json = dict[str, Any]

Url = Callable[[Key | str], str]
"""The URL of a resource, given as a key or in stored form."""


Users = Callable[[Key], Iterable[Key]]
"""What refers to a resource."""


def url_at(base: str) -> Url:
    """`base` is `http://host/compute/v1`."""
    return lambda key: f"{base}/{key}"


def resource(world: World, key: Key, url: Url, users: Users | None = None) -> Json:
    """A resource as GET answers it; `users`: of the world, for whoever renders many. KeyError: there is none."""
    kind = BY_COLLECTION[key.collection]
    known = world.get(key)
    if known is None:
        raise KeyError(str(key))
    answer = dict(known)
    for reference in kind.references:
        answer = replace(answer, reference.pattern, url)
    for secret in kind.secret:
        answer = without(answer, secret)
    for scope in ("zone", "region"):
        if scope in answer:
            answer[scope] = url(answer[scope])
    derived = _DERIVED.get(kind.collection)
    if derived is not None:
        answer |= derived(world, key, url, users or world.users)
    return {**answer, "kind": kind.discriminator, "selfLink": url(key)}


def _address(_: World, key: Key, url: Url, users: Users) -> Json:
    links = [url(user) for user in sorted(users(key))]
    return {"status": "IN_USE", "users": links} if links else {"status": "RESERVED"}


def _backend_service(_: World, key: Key, url: Url, users: Users) -> Json:
    return {"usedBy": [{"reference": url(user)} for user in sorted(users(key))]}


def _endpoint_group(world: World, key: Key, url: Url, _: Users) -> Json:
    network = world.resources[key]["network"]
    return {"size": len(world.endpoints.get(key, ())), "network": url(network)}


_DERIVED: dict[str, Callable[[World, Key, Url, Users], Json]] = {
    "addresses": _address,
    "backendServices": _backend_service,
    "networkEndpointGroups": _endpoint_group,
}


def operation(subject: Operation, now: float, url: Url) -> Json:
    """An operation as its end points answer it."""
    done = subject.is_done(now)
    answer: Json = {
        "kind": "compute#operation",
        "id": str(subject.number),
        "name": subject.name,
        "operationType": subject.kind,
        "targetLink": url(subject.target),
        "targetId": subject.target_id,
        "status": "DONE" if done else "RUNNING",
        "progress": 100 if done else 0,
        "user": "twin@example.com",
        "insertTime": _timestamp(subject.started),
        "startTime": _timestamp(subject.started),
        "selfLink": url(operation_key(subject)),
    }
    level, _, location = subject.scope.partition("/")
    if location:
        answer[level.removesuffix("s")] = url(Key(subject.target.project, "", level, location))
    if done:
        answer["endTime"] = _timestamp(subject.due)
    if done and subject.failure is not None:
        failure = subject.failure
        answer["error"] = {"errors": [{"code": failure.code, "message": failure.message}]}
        answer["httpErrorStatusCode"] = failure.status
        answer["httpErrorMessage"] = failure.message
    return answer


def operation_key(subject: Operation) -> Key:
    """The operation's own name."""
    return Key(subject.target.project, subject.scope, "operations", subject.name)


def discriminator(kind: Kind, suffix: str) -> str:
    """`compute#backendServiceList` and the like."""
    return f"{kind.discriminator}{suffix}"


def _timestamp(seconds: float) -> str:
    return Moment(datetime.fromtimestamp(seconds, UTC), lambda: 0).timestamp()
