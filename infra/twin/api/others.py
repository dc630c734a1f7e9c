"""The methods that only some collections have: endpoints of groups, health, operations, places, the project."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from infra.twin.api import endpoints, listing, render
from infra.twin.api.call import Answer, Call, answer_with
from infra.twin.api.methods import submit
from infra.twin.discovery.body import Checked, Fault
from infra.twin.engine import Engine
from infra.twin.mutate import Mutations
from infra.twin.places import Places
from infra.twin.refused import Refused, bad_request, not_found
from infra.twin.resources.key import Key, parse
from infra.twin.resources.kind import invalid
from infra.twin.resources.url_map import URL_MAP
from infra.twin.world import Change, Endpoint, World

Json = dict[str, Any]

HealthOf = Callable[[Key, Key | None], Mapping[Endpoint, str]]
"""What is known of a group's endpoints, for a backend service or in general: HEALTHY, UNHEALTHY, DRAINING, UNKNOWN."""

_OPERATIONS = ("globalOperations", "regionOperations", "zoneOperations")


class OtherMethods:
    """All raise `Refused`."""

    def __init__(self, engine: Engine, mutations: Mutations, places: Places, health: HealthOf) -> None:
        self._engine = engine
        self._mutations = mutations
        self._places = places
        self._health = health

    def find(self, call: Call) -> Callable[[Call], Answer] | None:
        """The one for a call; None: there is none."""
        if call.method.collection in _OPERATIONS:
            known = {
                "get": self.operation,
                "wait": self.operation,
                "list": self.operations,
                "aggregatedList": self.all_operations,
                "delete": self.forget_operation,
            }
            return known.get(call.method.action)
        if call.method.action == "testIamPermissions":
            return self.permissions
        named: dict[str, Callable[[Call], Answer]] = {
            "networkEndpointGroups.attachNetworkEndpoints": self.attach,
            "networkEndpointGroups.detachNetworkEndpoints": self.detach,
            "networkEndpointGroups.listNetworkEndpoints": self.endpoints,
            "backendServices.getHealth": self.health,
            "urlMaps.validate": self.validate,
            "zones.get": self.place,
            "zones.list": self.places,
            "regions.get": self.place,
            "regions.list": self.places,
            "projects.get": self.project,
        }
        return named.get(call.method.name)

    def attach(self, call: Call) -> Answer:
        return self._members(call, endpoints.attach)

    def detach(self, call: Call) -> Answer:
        return self._members(call, endpoints.detach)

    def _members(self, call: Call, change: Callable[[World, Key, Json], Change]) -> Answer:
        key = call.key("networkEndpointGroups")

        def make() -> tuple[Change, Checked]:
            checked = self._mutations.read(call.method.request or "", call.body())
            self._mutations.existing(key)
            return change(self._engine.world, key, checked.value), checked

        return submit(self._engine, call, make)

    def endpoints(self, call: Call) -> Answer:
        key = call.key("networkEndpointGroups")
        self._mutations.existing(key)
        checked = self._mutations.read(call.method.request or "", call.body())
        members = self._engine.world.endpoints.get(key, {})
        health = self._health(key, None) if checked.value.get("healthStatus") == "SHOW" else {}
        named = {f"{endpoint.address} {endpoint.instance}": endpoint for endpoint in members}
        items = [{"name": name, **endpoint.json()} for name, endpoint in named.items()]
        found, token = listing.page(items, call.request.query)
        entries = []
        for item in found:
            endpoint = named[item["name"]]
            entry: Json = {"networkEndpoint": endpoint.json()}
            state = health.get(endpoint)
            if state is not None:
                entry["healths"] = [{"healthState": state}]
            entries.append(entry)
        body: Json = {"kind": "compute#networkEndpointGroupsListNetworkEndpoints", "id": str(key)}
        if entries:
            body["items"] = entries
        if token:
            body["nextPageToken"] = token
        return answer_with(body, checked)

    def health(self, call: Call) -> Answer:
        key = call.key("backendServices")
        service = self._mutations.existing(key)
        checked = self._mutations.read("ResourceGroupReference", call.body())
        try:
            group = parse(checked.value.get("group", ""), call.project)
        except ValueError as error:
            raise bad_request([invalid("group", checked.value.get("group", ""), str(error))]) from error
        if str(group) not in {backend["group"] for backend in service["backends"]}:
            raise not_found(group)
        states = self._health(group, key)
        body: Json = {"kind": "compute#backendServiceGroupHealth"}
        entries = [
            {"ipAddress": endpoint.ip_address, "port": endpoint.port, "healthState": state}
            | ({"instance": call.url(_instance(group, endpoint))} if endpoint.instance else {})
            for endpoint, state in states.items()
            if state in ("HEALTHY", "UNHEALTHY")
        ]
        if entries:
            body["healthStatus"] = entries
        return answer_with(body, checked)

    def validate(self, call: Call) -> Answer:
        key = call.key("urlMaps")
        checked = self._mutations.read(call.method.request or "", call.body())
        resource = checked.value.get("resource") or {}
        faults: tuple[Fault, ...] = ()
        try:
            self._mutations.complete(URL_MAP, key, {"name": key.name, **resource})
        except Refused as refused:
            faults = refused.faults
        result: Json = {"loadSucceeded": not faults}
        if faults:
            result["loadErrors"] = [fault.message for fault in faults]
        return answer_with({"result": result}, checked)

    def operation(self, call: Call) -> Answer:
        operation = self._engine.operations.get(call.name)
        key = call.key("operations")
        if operation is None or render.operation_key(operation) != key:
            raise not_found(key)
        return answer_with(render.operation(operation, call.request.now, call.url))

    def forget_operation(self, call: Call) -> Answer:
        self.operation(call)
        return answer_with({})

    def operations(self, call: Call) -> Answer:
        found, token = listing.page(self._operations(call, call.scope), call.request.query)
        link = call.url(f"projects/{call.project}/{call.scope}/operations")
        return answer_with(listing.answer("compute#operationList", link, found, token))

    def all_operations(self, call: Call) -> Answer:
        found, token = listing.page(self._operations(call, None), call.request.query)
        base = call.url(f"projects/{call.project}") + "/"
        scoped = [(str(item["selfLink"]).removeprefix(base).partition("/operations/")[0], item) for item in found]
        link = call.url(f"projects/{call.project}/aggregated/operations")
        kind = "compute#operationAggregatedList"
        return answer_with(listing.aggregated(kind, link, "operations", self._places.scopes(), scoped, token))

    def _operations(self, call: Call, scope: str | None) -> Iterable[Json]:
        for operation in self._engine.operations.values():
            if operation.target.project == call.project and scope in (None, operation.scope):
                yield render.operation(operation, call.request.now, call.url)

    def permissions(self, call: Call) -> Answer:
        checked = self._mutations.read("TestPermissionsRequest", call.body())
        return answer_with({"permissions": checked.value.get("permissions", [])}, checked)

    def place(self, call: Call) -> Answer:
        collection = call.method.collection
        found = self._place(call, collection, call.name)
        if found is None:
            raise not_found(Key(call.project, "", collection, call.name))
        return answer_with(found)

    def places(self, call: Call) -> Answer:
        collection = call.method.collection
        names = self._places.regions if collection == "regions" else self._places.zones
        items = [place for name in names if (place := self._place(call, collection, name))]
        found, token = listing.page(items, call.request.query)
        link = call.url(f"projects/{call.project}/{collection}")
        return answer_with(listing.answer(f"compute#{collection.removesuffix('s')}List", link, found, token))

    def _place(self, call: Call, collection: str, name: str) -> Json | None:
        regional = collection == "regions"
        stored = self._places.region(call.project, name) if regional else self._places.zone(call.project, name)
        if stored is None:
            return None
        link = call.url(Key(call.project, "", collection, name))
        linked: Json = {"kind": f"compute#{collection.removesuffix('s')}", "selfLink": link}
        if regional:
            linked["zones"] = [call.url(zone) for zone in stored["zones"]]
        else:
            linked["region"] = call.url(stored["region"])
        return stored | linked

    def project(self, call: Call) -> Answer:
        body = {"kind": "compute#project", "id": "1", "name": call.project, "defaultNetworkTier": "PREMIUM"}
        return answer_with({**body, "selfLink": call.url(f"projects/{call.project}")})


def _instance(group: Key, endpoint: Endpoint) -> Key:
    """Health names an instance by its URL; groups list it by its name alone."""
    return Key(group.project, group.scope, "instances", endpoint.instance)


def not_a_method(path: str) -> Refused:
    """404: the API has no such path."""
    return Refused(404, [Fault("", f"The requested URL /compute/v1/{path[:200]} was not found.", "notFound")])
