"""A source follows a server over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.configuration.model import LookupFamily
from gateway.discover.back_off import BackOff
from gateway.discover.kubernetes.access import Access
from gateway.discover.kubernetes.http import HttpApi
from gateway.discover.kubernetes.source import KubernetesSource
from gateway.discover.kubernetes.target import Target
from gateway.discover.source import Failed, Found, Update
from tests.gateway.core import until
from tests.kubernetes.api_server import ApiServer, Refusal
from tests.kubernetes.objects import core_endpoints, endpoint, endpoint_slice, port, service

ONE = ("10.0.0.1:50051",)
BOTH = ("10.0.0.1:50051", "10.0.0.2:50051")


class Followed:
    """What a source has said. `endpoints` are the last that were found, None before that."""

    def __init__(self) -> None:
        self.updates: list[Update] = []

    @property
    def endpoints(self) -> tuple[str, ...] | None:
        found = [update for update in self.updates if isinstance(update, Found)]
        return tuple(one.address for one in found[-1].endpoints) if found else None

    @property
    def failures(self) -> list[str]:
        return [update.reason for update in self.updates if isinstance(update, Failed)]

    async def has(self, *addresses: str) -> None:
        await until(f"{addresses}", lambda: self.updates and self.last == addresses)

    async def fails(self, words: str) -> None:
        await until(words, lambda: self.failures and words in self.failures[-1])

    @property
    def last(self) -> tuple[str, ...] | None:
        """The endpoints, if the last that was said is not a failure."""
        return self.endpoints if isinstance(self.updates[-1], Found) else None

    @property
    def hint(self) -> str:
        return next(update.hint for update in reversed(self.updates) if isinstance(update, Found))


@asynccontextmanager
async def following(
    server: ApiServer, text: str = "k8s:///app", family: LookupFamily = "v4preferred", **access: Any
) -> AsyncIterator[Followed]:
    def find() -> Access:
        return Access(server.url, **{"namespace": "shop", **access})

    source = KubernetesSource(
        Target.parse(text), family, lambda: HttpApi(find), lambda: BackOff(first=0.15, longest=0.3)
    )
    followed = Followed()

    async def collect() -> None:
        async for update in source.watch():
            followed.updates.append(update)

    task = asyncio.create_task(collect())
    try:
        yield followed
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_changes_of_any_slice_are_merged_with_the_others() -> None:
    async with ApiServer() as server:
        server.put(endpoint_slice("a", "10.0.0.1"), endpoint_slice("other", "10.0.0.9", service="other"))
        async with following(server) as followed:
            await followed.has(*ONE)
            server.put(endpoint_slice("b", "10.0.0.2"))
            await followed.has(*BOTH)
            server.put(endpoint_slice("a", endpoint("10.0.0.1", conditions={"ready": False})))
            await followed.has("10.0.0.2:50051")
            server.put(endpoint_slice("a", "10.0.0.1"))
            await followed.has(*BOTH)
            server.delete("EndpointSlice", "b")
            await followed.has(*ONE)
            server.delete("EndpointSlice", "a")
            await followed.has()
            assert "there are no endpoints" in followed.hint
        assert followed.failures == []
        assert server.count("list", "endpointslices") == 1


async def test_a_watch_that_ends_goes_on_behind_the_last_version() -> None:
    async with ApiServer() as server:
        server.put(endpoint_slice("a", "10.0.0.1"))
        async with following(server) as followed:
            await followed.has(*ONE)
            await until("a watch", lambda: server.watching("endpointslices") == 1)
            server.put(endpoint_slice("b", "10.0.0.2"))
            await followed.has(*BOTH)
            server.bookmark()
            marked = str(server.version)
            server.end_watches()
            await until("a second watch", lambda: server.count("watch", "endpointslices") == 2)
            assert server.asked[-1].version == marked
            await until("it", lambda: server.watching("endpointslices") == 1)
            server.break_watches()
            server.delete("EndpointSlice", "a")
            await followed.has("10.0.0.2:50051")
        assert followed.failures == []
        assert server.count("list", "endpointslices") == 1


@pytest.mark.parametrize("by_status", [True, False])
async def test_what_a_watch_can_no_longer_tell_is_listed_again(by_status: bool) -> None:
    async with ApiServer() as server:
        server.gone_by_status = by_status
        server.put(endpoint_slice("a", "10.0.0.1"), endpoint_slice("b", "10.0.0.2"))
        async with following(server) as followed:
            await followed.has(*BOTH)
            await until("a watch", lambda: server.watching("endpointslices") == 1)
            server.refusals["watch", "endpointslices"] = Refusal(503, "etcd is away")
            server.end_watches()
            await followed.fails("answered 503: etcd is away.")
            server.delete("EndpointSlice", "a")
            server.compact()
            del server.refusals["watch", "endpointslices"]
            await followed.has("10.0.0.2:50051")
            server.put(endpoint_slice("c", "10.0.0.3"))
            await followed.has("10.0.0.2:50051", "10.0.0.3:50051")
        assert server.count("list", "endpointslices") == 2


async def test_a_number_is_the_services_port() -> None:
    async with ApiServer() as server:
        both = [port("http", 8080), port("api", 50051)]
        server.put(service("app", port("http", 80), port("api", 8000)), service("other", port("api", 8001)))
        server.put(endpoint_slice("a", "10.0.0.1", ports=both))
        async with following(server, "k8s:///app.shop:8000") as followed:
            await followed.has(*ONE)
            server.put(endpoint_slice("b", "10.0.0.2", ports=[port("http", 8080), port("api", 50052)]))
            await followed.has("10.0.0.1:50051", "10.0.0.2:50052")
            server.put(service("app", port("api", 80), port("http", 8000)))
            await followed.has("10.0.0.1:8080", "10.0.0.2:8080")
            server.put(service("app", port("api", 80)))
            await followed.fails("the Service has no TCP port 8000: there are api = 80")
            assert followed.endpoints == ("10.0.0.1:8080", "10.0.0.2:8080")
            server.delete("Service", "app")
            await followed.fails("there is no Service app, of which 8000 could be a port")
            server.delete("EndpointSlice", "a")
            server.delete("EndpointSlice", "b")
            await followed.has()
            assert "there is no Service app in that namespace" in followed.hint


async def test_a_service_that_is_another_name_is_said() -> None:
    async with ApiServer() as server:
        server.put(service("app", type="ExternalName", externalName="app.example"))
        async with following(server, "k8s:///app:8000") as followed:
            await followed.fails("the Service is another name for app.example")


async def test_a_missing_permission_names_the_role_and_ends_when_it_is_given() -> None:
    said = 'endpointslices.discovery.k8s.io is forbidden: User "system:serviceaccount:shop:gate" cannot list resource'
    async with ApiServer() as server:
        server.put(endpoint_slice("a", "10.0.0.1"))
        for resource in ("endpointslices", "endpoints"):
            server.refusals["list", resource] = Refusal(403, said)
        async with following(server) as followed:
            await followed.fails("forbids to list endpointslices in the namespace shop")
            for words in (said, "apiGroups [discovery.k8s.io]", "verbs [list, watch]", "deploy/discovery/role.yaml"):
                assert words in followed.failures[-1]
            assert followed.failures[-1].startswith("k8s:///app: ")
            server.refusals.clear()
            await followed.has(*ONE)


async def test_a_permission_that_lacks_watch_is_said_and_what_was_listed_serves() -> None:
    async with ApiServer() as server:
        server.put(endpoint_slice("a", "10.0.0.1"))
        server.refusals["watch", "endpointslices"] = Refusal(403, "no")
        server.refusals["list", "endpoints"] = Refusal(403, "no")
        async with following(server) as followed:
            await followed.fails("forbids to watch endpointslices")
            server.put(endpoint_slice("b", "10.0.0.2"))
            await until("the next list", lambda: followed.endpoints == BOTH)


@pytest.mark.parametrize("status", [403, 404])
async def test_core_endpoints_take_the_place_of_slices_that_may_not_be_read_or_are_not_there(status: int) -> None:
    async with ApiServer() as server:
        server.put(core_endpoints("app", ["10.0.0.1"]), core_endpoints("other", ["10.0.0.9"]))
        server.refusals["list", "endpointslices"] = Refusal(status, "no")
        async with following(server) as followed:
            await followed.has(*ONE)
            assert "core Endpoints are used" in followed.hint
            server.put(core_endpoints("app", ["10.0.0.1", "10.0.0.2"]))
            await followed.has(*BOTH)
            server.refusals.clear()
            server.put(endpoint_slice("a", "10.0.0.7"))
            server.end_watches()
            await followed.has("10.0.0.7:50051")
            assert followed.hint == ""
        assert followed.failures == []


@pytest.mark.parametrize("status", [403, 404])
async def test_core_endpoints_are_no_answer_where_slices_were_read(status: int) -> None:
    """As a server refuses them that has just started. The Service may have slices alone."""
    async with ApiServer() as server:
        server.put(endpoint_slice("a", "10.0.0.1"))
        async with following(server) as followed:
            await followed.has(*ONE)
            await until("a watch", lambda: server.watching("endpointslices") == 1)
            server.refusals["watch", "endpointslices"] = server.refusals["list", "endpointslices"] = Refusal(status)
            server.end_watches()
            await followed.fails(str(status) if status == 404 else "forbids to")
            await until("more of them", lambda: len(followed.failures) >= 3)
            server.refusals.clear()
            await followed.has(*ONE)
            found = {update.endpoints for update in followed.updates if isinstance(update, Found)}
            assert len(found) == 1
        assert server.count("list", "endpoints") == 0


async def test_a_server_that_is_away_keeps_what_was_known() -> None:
    async with ApiServer() as server:
        server.put(endpoint_slice("a", "10.0.0.1"))
        async with following(server) as followed:
            await followed.has(*ONE)
            await server.stop()
            await followed.fails("cannot be reached")
            assert followed.endpoints == ONE
            server.delete("EndpointSlice", "a")
            server.put(endpoint_slice("b", "10.0.0.2"))
            await server.start()
            await followed.has("10.0.0.2:50051")
            assert () not in [update.endpoints for update in followed.updates if isinstance(update, Found)]


async def test_a_failure_that_is_over_is_said_even_if_nothing_changed() -> None:
    async with ApiServer() as server:
        server.put(endpoint_slice("a", "10.0.0.1"))
        async with following(server) as followed:
            await followed.has(*ONE)
            await server.stop()
            await followed.fails("cannot be reached")
            await server.start()
            await followed.has(*ONE)


async def test_a_token_in_a_file_is_read_anew(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    async with ApiServer() as server:
        server.tokens = {"first"}
        server.put(endpoint_slice("a", "10.0.0.1"))
        async with following(server, token_file=token) as followed:
            await followed.has(*ONE)
            token.write_text("second")
            server.tokens = {"second"}
            server.end_watches()
            await until("the new token", lambda: server.asked[-1].token == "second")
            server.put(endpoint_slice("b", "10.0.0.2"))
            await followed.has(*BOTH)
            server.tokens = {"third"}
            server.end_watches()
            await followed.fails("does not accept the credentials (401): Unauthorized.")
            assert "second" not in followed.failures[-1]
            token.unlink()
            await followed.fails(f"{token} cannot be read")
            token.write_text("third")
            await followed.has(*BOTH)


async def test_events_come_in_pieces_of_any_size() -> None:
    async with ApiServer() as server:
        async with following(server) as followed:
            await until("a watch", lambda: server.watching("endpointslices") == 1)
            server.split = 1000
            many = [f"10.0.{number // 250}.{number % 250 + 1}" for number in range(1000)]
            server.put(endpoint_slice("large", *many))
            await followed.has(*sorted(f"{address}:50051" for address in many))
            server.split = 1
            server.put(endpoint_slice("large", "10.0.0.1"))
            await followed.has(*ONE)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"<html>\n", "did not answer with JSON"),
        (b"[]\n", "did not answer with a JSON object"),
        (b'{"type":"ADDED"}\n', "watch event of another form"),
        (b'{"type":"ERROR","object":{"code":500,"message":"broken"}}\n', "ended a watch with 500: broken"),
    ],
)
async def test_what_is_no_watch_is_said_and_asked_for_again(said: bytes, words: str) -> None:
    async with ApiServer() as server:
        server.put(endpoint_slice("a", "10.0.0.1"))
        async with following(server) as followed:
            await followed.has(*ONE)
            await until("a watch", lambda: server.watching("endpointslices") == 1)
            server.say(said)
            await followed.fails(words)
            server.end_watches()
            server.put(endpoint_slice("b", "10.0.0.2"))
            await followed.has(*BOTH)


async def test_blank_lines_and_unknown_events_mean_nothing() -> None:
    async with ApiServer() as server:
        async with following(server) as followed:
            await until("a watch", lambda: server.watching("endpointslices") == 1)
            server.say(b'\n{"type":"FUTURE","object":{}}\n\n')
            server.put(endpoint_slice("a", "10.0.0.1"))
            await followed.has(*ONE)
        assert followed.failures == []


async def test_a_source_that_is_left_leaves_nothing() -> None:
    async with ApiServer() as server:
        server.put(service("app", port("grpc", 8000)), endpoint_slice("a", "10.0.0.1"))
        async with following(server, "k8s:///app:8000") as followed:
            await followed.has(*ONE)
            await until("both", lambda: server.watching("endpointslices") == server.watching("services") == 1)
            assert len(followers()) == 2
        assert followers() == []


def followers() -> list[asyncio.Task[Any]]:
    return [task for task in asyncio.all_tasks() if "Follower" in repr(task.get_coro())]
