"""The methods of the API that every kind has: insert, get, list, delete, patch, update, and the setters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from infra.twin.api import listing, render
from infra.twin.api.call import Answer, Call, answer_with
from infra.twin.discovery.body import Checked
from infra.twin.engine import Engine
from infra.twin.mutate import Moment, Mutations
from infra.twin.places import Places
from infra.twin.refused import Refused, not_found
from infra.twin.resources.key import Key
from infra.twin.resources.kind import Kind
from infra.twin.resources.kinds import AGGREGATED, BY_METHODS
from infra.twin.world import Change

SETTERS: Mapping[str, tuple[str, ...]] = {
    "setEdgeSecurityPolicy": ("edgeSecurityPolicy",),
    "setLabels": ("labels",),
    "setQuicOverride": ("quicOverride",),
    "setSecurityPolicy": ("securityPolicy",),
    "setSslCertificates": ("sslCertificates",),
    "setTarget": ("target",),
    "setUrlMap": ("urlMap",),
}
"""By the method's action, the fields of its request that become the resource's."""


class ResourceMethods:
    """All raise `Refused`."""

    def __init__(self, engine: Engine, mutations: Mutations, places: Places) -> None:
        self._engine = engine
        self._mutations = mutations
        self._places = places

    def find(self, call: Call) -> Callable[[Call], Answer] | None:
        """The one for a call; None: it is of another module, or nobody's."""
        action = call.method.action
        if action == "aggregatedList" and call.method.collection in AGGREGATED:
            return self.aggregated_list
        if call.method.collection not in BY_METHODS:
            return None
        known: dict[str, Callable[[Call], Answer]] = {
            "insert": self.insert,
            "get": self.get,
            "list": self.list,
            "delete": self.delete,
            "patch": self.patch,
            "update": self.update,
        }
        return self.set if action in SETTERS else known.get(action)

    def insert(self, call: Call) -> Answer:
        kind = BY_METHODS[call.method.collection]
        if not self._places.has(call.scope):
            raise _no_scope(call)
        moment = Moment(call.moment, self._engine.number)
        return submit(
            self._engine, call, lambda: self._mutations.insert(kind, call.project, call.scope, call.body(), moment)
        )

    def update(self, call: Call) -> Answer:
        kind = BY_METHODS[call.method.collection]
        key = call.key(kind.collection)
        return submit(self._engine, call, lambda: self._mutations.update(kind, key, call.body()))

    def patch(self, call: Call) -> Answer:
        kind = BY_METHODS[call.method.collection]
        key = call.key(kind.collection)
        return submit(self._engine, call, lambda: self._mutations.patch(kind, key, call.body()))

    def set(self, call: Call) -> Answer:
        kind = BY_METHODS[call.method.collection]
        key, schema = call.key(kind.collection), call.method.request
        if schema is None:
            raise AssertionError(call.method.name)
        fields = SETTERS[call.method.action]
        return submit(self._engine, call, lambda: self._mutations.set(kind, key, schema, call.body(), fields))

    def delete(self, call: Call) -> Answer:
        key = call.key(BY_METHODS[call.method.collection].collection)
        return submit(self._engine, call, lambda: (self._mutations.delete(key), None))

    def get(self, call: Call) -> Answer:
        key = call.key(BY_METHODS[call.method.collection].collection)
        if self._engine.world.get(key) is None:
            raise not_found(key)
        return answer_with(render.resource(self._engine.world, key, call.url))

    def list(self, call: Call) -> Answer:
        kind = BY_METHODS[call.method.collection]
        if not self._places.has(call.scope):
            raise _no_scope(call)
        world = self._engine.world
        users = world.users_of_all()
        keys = (key for key, _ in world.of(call.project, kind.collection) if key.scope == call.scope)
        items = [render.resource(world, key, call.url, users) for key in keys]
        found, token = listing.page(items, call.request.query)
        link = call.url(f"projects/{call.project}/{call.scope}/{kind.collection}")
        return answer_with(listing.answer(render.discriminator(kind, "List"), link, found, token))

    def aggregated_list(self, call: Call) -> Answer:
        kind = AGGREGATED[call.method.collection]
        world = self._engine.world
        users = world.users_of_all()
        keys = (key for key, _ in world.of(call.project, kind.collection))
        items = {key: render.resource(world, key, call.url, users) for key in keys}
        scope_of = {item["id"]: key.scope for key, item in items.items()}
        found, token = listing.page(items.values(), call.request.query)
        scoped = [(scope_of[item["id"]], item) for item in found]
        link = call.url(f"projects/{call.project}/aggregated/{kind.collection}")
        name = render.discriminator(kind, "AggregatedList")
        return answer_with(listing.aggregated(name, link, kind.collection, self._scopes(kind), scoped, token))

    def _scopes(self, kind: Kind) -> Iterable[str]:
        zonal = kind.level == "zones"
        return [scope for scope in self._places.scopes() if zonal or not scope.startswith("zones/")]


def submit(engine: Engine, call: Call, make: Callable[[], tuple[Change, Checked | None]]) -> Answer:
    """Begins the operation for a change, or answers with the one that the same request id began."""
    request_id = call.request_id()
    repeated = engine.repeated(call.project, request_id)
    if repeated is not None:
        return answer_with(render.operation(repeated, call.request.now, call.url))
    change, checked = make()
    operation = engine.submit(call.method.action, change, call.request.now, request_id)
    return answer_with(render.operation(operation, call.request.now, call.url), checked)


def _no_scope(call: Call) -> Refused:
    level, _, location = call.scope.partition("/")
    return not_found(Key(call.project, "", level, location))
