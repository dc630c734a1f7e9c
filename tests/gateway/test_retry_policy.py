"""What a retry policy makes the gateway send again, and how often."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import grpc
import h2.errors
import h2.events
import pytest

from tests.gateway.backends import Backend, Client, failure
from tests.gateway.core import Serving, backend, document, route, until
from tests.gateway.raw import GRPC_HEAD, Peer, RawBackend, head_of, http1, message, requests

WORKERS = (1, 4)
UNAVAILABLE = 14
PREVIOUS = "grpc-previous-rpc-attempts"
QUICK = {"back_off_ms": 1, "max_back_off_ms": 2}


def policy(attempts: int = 3, **fields: Any) -> dict[str, Any]:
    return {"attempts": attempts, "grpc_statuses": [UNAVAILABLE], **QUICK, **fields}


def failing(times: int, pushback: str | None = None) -> Callable[[Any], Any]:
    """What `Backend.fail` does to fail the first calls with UNAVAILABLE."""
    trailers = () if pushback is None else (("grpc-retry-pushback-ms", pushback),)
    numbers = itertools.count()

    async def fail(context: Any) -> None:
        if next(numbers) < times:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now", trailing_metadata=trailers)

    return fail


@pytest.mark.parametrize("workers", WORKERS)
async def test_a_status_that_the_policy_names_is_sent_again(workers: int) -> None:
    async with Backend() as app:
        app.fail = failing(2)
        with Serving(document(backend(app.address, retry=policy())), workers) as serving:
            async with Client(serving.address) as client:
                assert await client.fail(b"again", timeout=30) == b"again"
            assert serving.number("retries_total", condition="grpc-status") == 2
            await serving.idle()
        assert [call.values(PREVIOUS) for call in app.calls] == [[], ["1"], ["2"]]


async def test_a_clients_own_attempts_are_added() -> None:
    async with Backend() as app:
        app.fail = failing(1)
        with Serving(document(backend(app.address, retry=policy()))) as serving:
            async with Client(serving.address) as client:
                await client.fail(b"", timeout=30, metadata=[(PREVIOUS, "4")])
        assert [call.value(PREVIOUS) for call in app.calls] == ["4", "5"]


async def test_attempts_end() -> None:
    async with Backend() as app:
        app.fail = failing(100)
        with Serving(document(backend(app.address, retry=policy(2)))) as serving:
            async with Client(serving.address) as client:
                error = await failure(client.fail(b"", timeout=30))
                assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "not now")
            await serving.idle()
        assert len(app.calls) == 3


@pytest.mark.parametrize("fields", [{}, {"grpc_statuses": [8], **QUICK}, {"on": ["reset", "gateway-error"], **QUICK}])
async def test_a_status_that_the_policy_does_not_name_is_passed_on(fields: dict[str, Any]) -> None:
    async with Backend() as app:
        app.fail = failing(1)
        with Serving(document(backend(app.address, retry={"attempts": 3, **fields}))) as serving:
            async with Client(serving.address) as client:
                error = await failure(client.fail(b"", timeout=30))
                assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert len(app.calls) == 1


async def test_what_the_client_has_seen_something_of_is_not_sent_again() -> None:
    async def fail(context: Any) -> None:
        await context.send_initial_metadata((("seen", "yes"),))
        await context.abort(grpc.StatusCode.UNAVAILABLE, "late")

    async with Backend() as app:
        app.fail = fail
        with Serving(document(backend(app.address, retry=policy()))) as serving:
            async with Client(serving.address) as client:
                error = await failure(client.fail(b"", timeout=30))
                assert error.details() == "late"
        assert len(app.calls) == 1


@pytest.mark.parametrize("workers", WORKERS)
async def test_another_host_than_before(workers: int) -> None:
    """One of two servers always fails: each call succeeds with its second attempt at the latest."""
    async with Backend() as good, Backend() as bad:
        good.fail, bad.fail = failing(0), failing(10_000)
        both = {"name": "app", "endpoints": [{"address": app.address} for app in (good, bad)], "retry": policy(1)}
        with Serving(document(both), workers) as serving:
            async with Client(serving.address) as client:
                for number in range(60):
                    assert await client.fail(b"%d" % number, timeout=30) == b"%d" % number
            await serving.idle()
        assert len(good.calls) == 60
        assert len(bad.calls) == sum(bool(call.values(PREVIOUS)) for call in good.calls) > 0


@pytest.mark.parametrize(("pushback", "again"), [("0", True), ("5", True), ("-1", False), ("soon", False)])
async def test_pushback(pushback: str, again: bool) -> None:
    async with Backend() as app:
        app.fail = failing(1, pushback)
        with Serving(document(backend(app.address, retry=policy()))) as serving:
            async with Client(serving.address) as client:
                if again:
                    assert await client.fail(b"x", timeout=30) == b"x"
                else:
                    error = await failure(client.fail(b"x", timeout=30))
                    assert error.details() == "not now"
        assert len(app.calls) == 1 + again


async def test_pushback_beyond_the_deadline_is_not_waited_for() -> None:
    async with Backend() as app:
        app.fail = failing(1, "59000")
        with Serving(document(backend(app.address, retry=policy()))) as serving:
            async with Client(serving.address) as client:
                error = await failure(client.fail(b"x", timeout=30))
                assert error.code() == grpc.StatusCode.UNAVAILABLE


async def test_the_deadline_stands_over_all_attempts() -> None:
    async with Backend() as app:
        app.fail = failing(10_000)
        with Serving(document(backend(app.address, retry=policy(10_000)))) as serving:
            async with Client(serving.address) as client:
                error = await failure(client.fail(b"", timeout=0.3))
                assert error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)
            await serving.idle()
        left = [call.seconds for call in app.calls if call.seconds is not None]
        assert len(left) > 2
        assert left[-1] < left[0] <= 0.35


async def test_a_body_beyond_the_buffer_is_not_sent_again() -> None:
    async with Backend() as app:
        app.fail = failing(1)
        with Serving(document(backend(app.address, retry=policy()))) as serving:
            async with Client(serving.address) as client:
                error = await failure(client.fail(bytes(200_000), timeout=30))
                assert error.code() == grpc.StatusCode.UNAVAILABLE
                app.fail = failing(1)
                assert await client.fail(bytes(50_000), timeout=30) == bytes(50_000)
            await serving.idle()
        assert len(app.calls) == 3


async def test_a_stream_is_sent_again_while_it_is_kept_whole() -> None:
    """The client has not ended its stream when the first attempt fails; the second gets what came before and after."""
    seen: list[bytes] = []
    failed = asyncio.Event()

    async def script(peer: Peer) -> None:
        while True:
            request = await requests(peer)
            data = b""
            if not failed.is_set():
                await peer.next(h2.events.DataReceived, request.stream_id)
                end = [*GRPC_HEAD, ("grpc-status", "14"), ("grpc-message", "not now")]
                await peer.send(request.stream_id, end, end=True)
                failed.set()
                continue
            while len(data) < 2 * len(message(b"12345")):
                data += (await peer.next(h2.events.DataReceived, request.stream_id)).data or b""
            seen.append(data)
            await peer.answer(request.stream_id, b"joined")

    async with RawBackend(script) as app:
        with Serving(document(backend(app.address, retry=policy()))) as serving:
            async with Client(serving.address) as client:
                call = client.join(timeout=30)
                await call.write(b"12345")
                await failed.wait()
                await call.write(b"67890")
                await call.done_writing()
                assert await call == b"joined"
            await serving.idle()
    assert seen == [message(b"12345") + message(b"67890")]


@pytest.mark.parametrize(
    ("status", "fields", "condition"),
    [
        ("503", {"on": ["gateway-error"]}, "gateway-error"),
        ("504", {"on": ["gateway-error"]}, "gateway-error"),
        ("429", {"http_statuses": [429]}, "http-status"),
        ("500", {"on": ["gateway-error"], "http_statuses": [429]}, None),
    ],
)
async def test_http_statuses(status: str, fields: dict[str, Any], condition: str | None) -> None:
    """With a body behind it, which nobody reads."""
    numbers = itertools.count()

    async def script(peer: Peer) -> None:
        while True:
            request = await requests(peer)
            await peer.next(h2.events.StreamEnded, request.stream_id)
            if next(numbers) == 0:
                await peer.send(request.stream_id, [(":status", status), ("content-type", "text/plain")], b"no")
                if condition is None:
                    await peer.send(request.stream_id, end=True)
            else:
                await peer.answer(request.stream_id, b"served")

    async with RawBackend(script) as app:
        retry = {"attempts": 1, **QUICK, **fields}
        with Serving(document(backend(app.address, retry=retry))) as serving:
            async with Client(serving.address) as client:
                if condition is None:
                    await failure(client.unary(b"", timeout=30))
                    assert serving.number("retries_total") == 0
                else:
                    assert await client.unary(b"", timeout=30) == b"served"
                    assert serving.number("retries_total", condition=condition) == 1
            await serving.idle()


async def test_a_reset_stream_is_sent_again_only_where_the_policy_says_reset() -> None:
    numbers = itertools.count()

    async def script(peer: Peer) -> None:
        while True:
            request = await requests(peer)
            await peer.next(h2.events.StreamEnded, request.stream_id)
            if next(numbers) % 2 == 0:
                await peer.reset(request.stream_id, h2.errors.ErrorCodes.INTERNAL_ERROR)
            else:
                await peer.answer(request.stream_id, b"served")

    async with RawBackend(script) as app:
        with Serving(document(backend(app.address, retry=policy(on=["reset"])))) as serving:
            async with Client(serving.address) as client:
                assert await client.unary(b"", timeout=30) == b"served"
            assert serving.number("retries_total", condition="reset") == 1
        with Serving(document(backend(app.address, retry=policy()))) as serving:
            async with Client(serving.address) as client:
                await failure(client.unary(b"", timeout=30))


async def test_a_transcoded_call_is_sent_again() -> None:
    numbers = itertools.count()
    methods = [{"name": "grpc.health.v1.Health.Check", "bindings": [{"verb": "GET", "template": "/v1/health"}]}]
    second: list[str] = []

    async def script(peer: Peer) -> None:
        while True:
            request = await requests(peer)
            await peer.next(h2.events.StreamEnded, request.stream_id)
            if next(numbers) == 0:
                await peer.send(request.stream_id, [*GRPC_HEAD, ("grpc-status", "14")], end=True)
            else:
                second.append(head_of(request)[PREVIOUS])
                await peer.answer(request.stream_id, b"\x08\x01")

    async with RawBackend(script) as app:
        with Serving(document(backend(app.address, retry=policy()), methods=methods)) as serving:
            async with await http1(serving.place) as client:
                answer = await client.get("/v1/health")
            assert (answer.status, second) == (200, ["1"])
            await serving.idle()


async def test_an_attempt_has_its_own_time() -> None:
    async with Backend() as stuck, Backend() as quick:
        quick.release.set()
        both = {
            "name": "app",
            "endpoints": [{"address": app.address} for app in (stuck, quick)],
            "retry": policy(50, per_try_timeout_ms=200),
        }
        with Serving(document(both)) as serving:
            async with Client(serving.address) as client:
                for _ in range(4):
                    assert await client.sleep(b"x", timeout=30) == b"x"
            given_up = serving.number("retries_total", condition="per-try-timeout")
            assert given_up >= len(stuck.calls) >= 1
            for call in stuck.calls:
                await asyncio.wait_for(call.ended.wait(), 30)
                assert call.cancelled
            await serving.idle()


async def test_the_last_attempts_time_ends_the_call() -> None:
    async with Backend() as stuck:
        with Serving(document(backend(stuck.address, retry=policy(1, per_try_timeout_ms=30)))) as serving:
            async with Client(serving.address) as client:
                error = await failure(client.sleep(b"x", timeout=30))
                assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
                assert "upstream request timeout" in str(error.details())
            assert serving.number("failures_total", reason="per-try-timeout") == 1
            await serving.idle()
        assert len(stuck.calls) == 2


async def test_response_headers_end_the_time_of_an_attempt() -> None:
    async with Backend() as app:
        with Serving(document(backend(app.address, retry=policy(1, per_try_timeout_ms=200)))) as serving:
            async with Client(serving.address) as client:
                stream = client.watch(b"x", timeout=30)
                await stream.initial_metadata()
                # Another call's attempt begins later and is over its time: so is the first one's.
                await failure(client.sleep(b"", timeout=30))
                app.release.set()
                assert await stream.read() == b"x"
            await serving.idle()


async def test_an_attempts_time_begins_when_the_request_is_whole() -> None:
    async with Backend() as app:
        with Serving(document(backend(app.address, retry=policy(1, per_try_timeout_ms=100)))) as serving:
            async with Client(serving.address) as client:
                call = client.join(timeout=60)
                await call.write(b"1")
                # Other attempts that begin later are over their time.
                await failure(client.sleep(b"", timeout=30))
                await call.write(b"2")
                await call.done_writing()
                assert await call == b"12"
            assert len([one for one in app.calls if one.method == "Join"]) == 1
            await serving.idle()


async def test_a_route_outranks_its_backend_and_a_method_its_route() -> None:
    async with Backend() as app:
        never, once, twice = ({**policy(attempts)} for attempts in (0, 1, 2))
        for method_retry, route_retry, attempts in (
            (None, None, 1),
            (None, twice, 3),
            (never, twice, 1),
            (once, None, 2),
        ):
            app.calls.clear()
            app.fail = failing(100)
            methods = [{"name": "test.Gate.Fail", "retry": method_retry}] if method_retry else []
            snapshot = document(backend(app.address, retry=never), routes=[route(retry=route_retry)], methods=methods)
            with Serving(snapshot) as serving:
                async with Client(serving.address) as client:
                    for _ in range(2):
                        await failure(client.fail(b"", timeout=30))
            assert len(app.calls) == 2 * attempts, (method_retry, route_retry)


async def test_a_policy_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"backends\[0\].retry.grpc_statuses: 0 is no status of a failure"):
        Serving(document(backend("127.0.0.1:1", retry={"grpc_statuses": [0]})))
    with pytest.raises(ValueError, match=r"routes\[0\].retry.http_statuses: 200 is no status of a failure"):
        Serving(document(backend("127.0.0.1:1"), routes=[route(retry={"http_statuses": [200]})]))


async def test_a_client_that_goes_while_it_is_sent_again_leaves_nothing() -> None:
    async with Backend() as app:
        app.fail = failing(10_000)
        retry = policy(1_000, back_off_ms=10_000, max_back_off_ms=10_000)
        with Serving(document(backend(app.address, retry=retry))) as serving:
            async with Client(serving.address) as client:
                calls = [client.fail(bytes(5_000), timeout=60) for _ in range(3)]
                tasks = [asyncio.ensure_future(failure(call)) for call in calls]
                await until("all failed once", lambda: serving.number("retries_total") >= 3)
                for call in calls:
                    call.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            await serving.idle()
