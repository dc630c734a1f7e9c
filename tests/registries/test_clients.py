"""The clients of registries against servers that answer badly, late or not at all."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from gateway.discover.consul.access import Access as ConsulAccess
from gateway.discover.consul.access import Query
from gateway.discover.consul.access import read_target as read_consul
from gateway.discover.consul.client import Consul, ConsulError
from gateway.discover.etcd.access import Access as EtcdAccess
from gateway.discover.etcd.access import read_target as read_etcd
from gateway.discover.etcd.client import Change, Etcd, EtcdError, KeyValue, Listing, WatchEndedError
from gateway.discover.registry import http
from gateway.discover.registry.http import Tls
from gateway.discover.schemes import check
from tests.support.ports import free_port

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """The URL of a server that answers every request with `handler`."""
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def saying(body: bytes | str, status: int = 200, **headers: str) -> Handler:
    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(body=body, status=status, headers=headers)

    return answer


async def silent(request: web.BaseRequest) -> web.Response:
    await asyncio.sleep(3600)
    return web.Response()


@pytest.fixture
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("etcd", "consul"):
        monkeypatch.setattr(f"gateway.discover.{module}.client.TIME_OUT", 0.2)


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (saying("nonsense"), "broke off an answer"),
        (saying("[]"), "broke off an answer"),
        (saying("[" * 100_000), "broke off an answer"),
        (saying("{}"), "cannot be read"),
        (saying('{"header":{"revision":"x"}}'), "cannot be read"),
        (saying('{"header":{"revision":"1"},"kvs":[{"key":"?"}]}'), "cannot be read"),
        (saying('{"header":{"revision":"1"},"kvs":[7]}'), "cannot be read"),
        (saying('{"code":7,"message":"etcdserver: permission denied"}', 403), "permission denied"),
        (saying("", 302, Location="http://127.0.0.1:1/"), "HTTP status 302"),
        (saying("busy", 503), "HTTP status 503"),
        (silent, "does not answer in time"),
    ],
)
@pytest.mark.usefixtures("short_times")
async def test_an_answer_of_etcd_that_is_none_is_an_error(handler: Handler, reason: str) -> None:
    async with serving(handler) as url, Etcd(EtcdAccess((url,))) as client:
        with pytest.raises(EtcdError, match=reason) as raised:
            await client.list_range(b"a/", b"a0")
    assert url in str(raised.value)


async def test_an_answer_without_bound_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LARGEST_ANSWER", 1000)
    async with serving(saying("{" + " " * 10_000 + "}")) as url:
        async with Etcd(EtcdAccess((url,))) as etcd:
            with pytest.raises(EtcdError, match="longer than 1000 bytes"):
                await etcd.list_range(b"a/", b"a0")
        async with Consul(ConsulAccess(url)) as consul:
            with pytest.raises(ConsulError, match="longer than 1000 bytes"):
                await consul.instances(Query("a"), 0, 1.0)


async def test_members_are_passed_over_until_one_answers() -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    async with serving(saying('{"header":{"revision":"7"},"count":"0"}')) as url:
        async with Etcd(EtcdAccess((nobody, url))) as client:
            assert await client.list_range(b"a/", b"a0") == Listing(7, 0)
        async with Etcd(EtcdAccess((nobody, nobody))) as client:
            with pytest.raises(EtcdError, match="cannot be reached"):
                await client.list_range(b"a/", b"a0")


async def test_a_watch_is_read_however_it_is_cut() -> None:
    events = [{"kv": {"key": encoded("a/b"), "value": encoded("x")}}, {"type": "DELETE", "kv": {"key": encoded("a/c")}}]
    lines = [{"result": {"created": True}}, {"result": {"events": events}}, {"result": {"events": events[:1]}}]
    text = "".join(json.dumps(line) + "\n" for line in lines).encode()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for at in range(0, len(text), 7):
            await response.write(text[at : at + 7])
            await asyncio.sleep(0)
        return response

    seen: list[Change] = []

    async def follow(client: Etcd) -> None:
        async with aclosing(client.watch(b"a/", b"a0", 1, 5.0)) as watch:
            async for changes in watch:
                seen.extend(changes)

    async with serving(answer) as url, Etcd(EtcdAccess((url,))) as client:
        with pytest.raises(WatchEndedError, match="ended a watch"):
            await follow(client)
    assert seen == [Change(b"a/b", b"x"), Change(b"a/c", None), Change(b"a/b", b"x")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"result":{"canceled":true,"compact_revision":"9"}}', "before 9 are compacted"),
        ('{"result":{"canceled":true,"cancel_reason":"permission denied"}}', "permission denied"),
        ('{"error":{"message":"no leader"}}', "no leader"),
        ('{"result":{"events":[{}]}}', "cannot be read"),
        ('{"result":7}', "cannot be read"),
        ("nonsense", "cannot be read"),
    ],
)
async def test_a_watch_ends_with_a_reason(line: str, reason: str) -> None:
    async with serving(saying(f"{line}\n")) as url, Etcd(EtcdAccess((url,))) as client:
        with pytest.raises(WatchEndedError, match=reason):
            async with aclosing(client.watch(b"a/", b"a0", 1, 5.0)) as watch:
                await anext(watch)


async def test_a_watch_says_when_it_is_silent() -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(3600)
        return response

    async with serving(answer) as url, Etcd(EtcdAccess((url,))) as client:
        async with aclosing(client.watch(b"a/", b"a0", 1, 0.05)) as watch:
            assert [await anext(watch) for _ in range(3)] == [(), (), ()]


async def test_a_token_of_etcd_that_was_lost_is_asked_for_again() -> None:
    valid: list[str] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        message = await request.json()
        if request.path == "/v3/auth/authenticate":
            assert message == {"name": "gate", "password": "secret"}
            valid.append(f"token-{len(valid)}")
            return web.json_response({"token": valid[-1]})
        if request.headers.get("Authorization") not in valid[-1:]:
            return web.json_response({"code": 16, "message": "etcdserver: invalid auth token"}, status=401)
        found = {"key": encoded("a/b"), "value": encoded("x"), "lease": "8"}
        return web.json_response({"header": {"revision": "1"}, "kvs": [found], "count": "1"})

    async with serving(answer) as url, Etcd(EtcdAccess((url,), user="gate", password="secret")) as client:
        wanted = Listing(1, 1, (KeyValue(b"a/b", b"x", 8),))
        assert await client.list_range(b"a/", b"a0") == wanted
        valid.append("after a restart")
        assert await client.list_range(b"a/", b"a0") == wanted
    assert valid == ["token-0", "after a restart", "token-2"]


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (saying("nonsense"), "cannot be read"),
        (saying("No cluster leader", 500), "answers 500: No cluster leader"),
        (saying("ACL not found\nmore", 403), "answers 403: ACL not found"),
        (saying("", 301, Location="http://127.0.0.1:1/"), "answers 301: nothing"),
        (silent, "does not answer in time"),
    ],
)
@pytest.mark.usefixtures("short_times")
async def test_an_answer_of_consul_that_is_none_is_an_error(handler: Handler, reason: str) -> None:
    async with serving(handler) as url, Consul(ConsulAccess(url, token="secret")) as client:
        with pytest.raises(ConsulError, match=reason) as raised:
            await client.instances(Query("a"), 7, 0.1)
    assert url in str(raised.value)
    assert "secret" not in str(raised.value)


async def test_what_consul_is_asked(tmp_path: Path) -> None:
    asked: list[web.BaseRequest] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(request)
        return web.json_response([], headers={"X-Consul-Index": "8", "X-Consul-Results-Filtered-By-ACLs": "true"})

    token = tmp_path / "token"
    token.write_text("first\n")
    query = Query("a service/ü", ("v1", "x&y"), passing=True, datacentre="dc2")
    async with serving(answer) as url, Consul(ConsulAccess(url, token_file=str(token))) as client:
        found = await client.instances(query, 0, 15.0)
        token.write_text("second\n")
        await client.instances(query, 8, 15.0)
    assert (found.instances, found.index, found.filtered) == ([], "8", True)
    assert asked[0].raw_path.startswith("/v1/health/service/a%20service%2F%C3%BC?")
    assert list(asked[0].query.items()) == [("tag", "v1"), ("tag", "x&y"), ("passing", "1"), ("dc", "dc2")]
    assert list(asked[1].query.items())[4:] == [("index", "8"), ("wait", "15000ms")]
    assert [request.headers["X-Consul-Token"] for request in asked] == ["first", "second"]


async def test_files_of_tls_that_cannot_be_used_are_named() -> None:
    tls = Tls("/nowhere/ca.pem")
    async with Etcd(EtcdAccess(("https://127.0.0.1:1",), tls)) as etcd:
        with pytest.raises(EtcdError, match=r"/nowhere/ca\.pem cannot be used"):
            await etcd.list_range(b"a/", b"a0")
    async with Consul(ConsulAccess("https://127.0.0.1:1", tls)) as consul:
        with pytest.raises(ConsulError, match=r"/nowhere/ca\.pem cannot be used"):
            await consul.instances(Query("a"), 0, 1.0)


def test_targets_say_where_a_registry_is() -> None:
    assert read_etcd("etcd:///svc", {}) == (EtcdAccess(("http://127.0.0.1:2379",)), "svc")
    assert read_etcd("etcd:////services/a?endpoints=a:1,https://b:2", {})[0].endpoints == ("http://a:1", "https://b:2")
    assert read_etcd("etcd:////services/a", {})[1] == "/services/a"
    assert read_etcd("etcd://[::1]:1/svc", {})[0].endpoints == ("http://[::1]:1",)
    environment = {
        "ETCDCTL_ENDPOINTS": "a:1, b:2",
        "ETCDCTL_USER": "gate:a:b",
        "ETCDCTL_CACERT": "/ca",
        "ETCDCTL_CERT": "/cert",
        "ETCDCTL_KEY": "/key",
    }
    access = EtcdAccess(("https://a:1", "https://b:2"), Tls("/ca", "/cert", "/key"), "gate", "a:b")
    assert read_etcd("etcd:///svc", environment)[0] == access
    assert "a:b" not in repr(access)
    assert read_etcd("etcd:///svc", {"ETCDCTL_USER": "gate", "ETCDCTL_PASSWORD": "p"})[0].password == "p"

    assert read_consul("consul:///a", {}) == (ConsulAccess("http://127.0.0.1:8500"), Query("a"))
    asked = read_consul("consul://c:1/a?tag=x&tag=y&passing&dc=d", {})
    assert asked == (ConsulAccess("http://c:1"), Query("a", ("x", "y"), passing=True, datacentre="d"))
    assert not read_consul("consul:///a?passing=false", {})[1].passing
    environment = {"CONSUL_HTTP_ADDR": "c:2", "CONSUL_HTTP_SSL": "true", "CONSUL_HTTP_TOKEN": "secret"}
    assert read_consul("consul:///a", environment)[0] == ConsulAccess("https://c:2", token="secret")
    assert "secret" not in repr(read_consul("consul:///a", environment))
    assert not read_consul("consul:///a", {"CONSUL_HTTP_SSL_VERIFY": "false"})[0].tls.verify


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("etcd:///", "names no prefix"),
        ("etcd:///svc?endpoint=a:1", "no option 'endpoint'"),
        ("etcd://a:1/svc?endpoints=b:1", "says twice"),
        ("etcd://user:secret@a:1/svc", "no user name or password"),
        ("etcd:///svc?endpoints=ftp://a", "no address of a registry"),
        ("etcd:///svc?endpoints=a:0", "no address of a registry"),
        ("etcd:///svc?endpoints=a:99999", "no address of a registry"),
        ("etcd:///svc?endpoints=,", "no endpoint"),
        ("etcd:///svc#x", "write %23"),
        ("consul:///", "names no service"),
        ("consul:///a/b", "names no service"),
        ("consul:///a?passing=maybe", "neither true nor false"),
        ("consul:///a?dc=a&dc=b", "two datacentres"),
        ("consul:///a?token=x", "no option 'token'"),
    ],
)
def test_a_target_that_is_none_says_what_to_write(target: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        check(target)
