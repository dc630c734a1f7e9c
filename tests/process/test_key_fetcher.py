"""Fetching keys from servers that behave and from some that do not, on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.keys import fetcher as module
from gateway.keys.fetcher import Fetcher, FetchError, max_age
from gateway.keys.location import KeySource, is_protected, without_secrets
from tests.process.fakes import JWKS

pytestmark = pytest.mark.asyncio

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[dict[str, Handler]], Awaitable[str]]


@pytest.fixture
async def fetch() -> AsyncIterator[Fetcher]:
    fetcher = Fetcher()
    yield fetcher
    await fetcher.aclose()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a server on loopback with handlers by path; returns its URL without a slash at the end."""
    servers: list[TestServer] = []

    async def start(handlers: dict[str, Handler]) -> str:
        app = web.Application()
        for path, handler in handlers.items():
            app.router.add_get(path, handler)
        server = TestServer(app)
        servers.append(server)
        await server.start_server()
        return str(server.make_url("")).rstrip("/")

    yield start
    for server in servers:
        await server.close()


def source(jwks: str | None = None, issuer: str = "https://acme.example") -> KeySource:
    return KeySource("acme", issuer, jwks)


def answer(text: str = JWKS, **headers: str) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(text=text, headers=named)

    return handler


def redirect(to: str) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": to})

    return handler


async def test_keys_come_with_their_lifetime(fetch: Fetcher, serve: Serve) -> None:
    url = await serve({"/keys": answer(Cache_Control="public, max-age=600")})
    document = await fetch(source(f"{url}/keys"), None)
    assert (document.text, document.lifetime) == (JWKS, 600.0)


async def test_unchanged_keys_are_not_sent_again(fetch: Fetcher, serve: Serve) -> None:
    async def tagged(request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match") == '"7"':
            return web.Response(status=304)
        return web.Response(text=JWKS, headers={"ETag": '"7"'})

    url = await serve({"/keys": tagged})
    first = await fetch(source(f"{url}/keys"), None)
    again = await fetch(source(f"{url}/keys"), first.validator)
    assert (first.text, first.validator) == (JWKS, '"7"')
    assert (again.text, again.validator) == (None, '"7"')


@pytest.mark.parametrize("status", [204, 304, 401, 404, 500])
async def test_any_other_status_is_a_failure(fetch: Fetcher, serve: Serve, status: int) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=status)

    url = await serve({"/keys": handler})
    with pytest.raises(FetchError, match=f"/keys answered {status}"):
        await fetch(source(f"{url}/keys"), None)


async def test_a_body_without_end_is_cut_off(fetch: Fetcher, serve: Serve) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 65536)

    url = await serve({"/keys": endless})
    with pytest.raises(FetchError, match="more than 1048576 bytes"):
        await fetch(source(f"{url}/keys"), None)


async def test_a_compressed_body_is_not_unpacked(fetch: Fetcher, serve: Serve) -> None:
    url = await serve({"/keys": answer("x", Content_Encoding="gzip")})
    with pytest.raises(FetchError, match="encoding"):
        await fetch(source(f"{url}/keys"), None)


async def test_a_body_that_is_no_text_is_a_failure(fetch: Fetcher, serve: Serve) -> None:
    async def binary(request: web.Request) -> web.Response:
        return web.Response(body=b"\xff\xfe")

    url = await serve({"/keys": binary})
    with pytest.raises(FetchError, match="is not text"):
        await fetch(source(f"{url}/keys"), None)


async def test_a_server_that_never_answers_is_given_up(
    fetch: Fetcher, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    async def silent(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(module, "TIME_OUT", 0.2)
    url = await serve({"/keys": silent})
    with pytest.raises(FetchError, match=r"did not answer within 0\.2 s"):
        await fetch(source(f"{url}/keys"), None)


async def test_a_server_that_is_not_there_is_named(fetch: Fetcher, unused_tcp_port: int) -> None:
    with pytest.raises(FetchError, match=f"http://127.0.0.1:{unused_tcp_port}/keys cannot be reached"):
        await fetch(source(f"http://127.0.0.1:{unused_tcp_port}/keys"), None)


async def test_redirects_are_followed_but_not_for_ever(fetch: Fetcher, serve: Serve) -> None:
    url = await serve({"/keys": answer(), "/moved": redirect("/keys"), "/circle": redirect("/circle")})
    assert (await fetch(source(f"{url}/moved"), None)).text == JWKS
    with pytest.raises(FetchError, match="redirects more than 5 times"):
        await fetch(source(f"{url}/circle"), None)


async def test_a_redirect_does_not_leave_the_protected_ground(fetch: Fetcher, serve: Serve) -> None:
    url = await serve({"/keys": redirect("http://keys.example/keys")})
    with pytest.raises(FetchError, match="redirects to a place that is not https"):
        await fetch(source(f"{url}/keys"), None)


async def test_errors_do_not_repeat_credentials(fetch: Fetcher, serve: Serve) -> None:
    url = (await serve({})).replace("http://", "http://user:hunter2@")
    with pytest.raises(FetchError) as caught:
        await fetch(source(f"{url}/keys?token=hunter3"), None)
    assert "hunter" not in str(caught.value)


async def test_an_issuer_is_asked_where_its_keys_are(fetch: Fetcher, serve: Serve) -> None:
    url = ""

    async def configuration(request: web.Request) -> web.Response:
        return web.json_response({"issuer": url, "jwks_uri": f"{url}/keys"})

    url = await serve({"/.well-known/openid-configuration": configuration, "/keys": answer()})
    assert (await fetch(source(issuer=url), None)).text == JWKS


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"issuer": "https://else.example", "jwks_uri": "https://else.example/keys"}, "another issuer"),
        ({"issuer": "URL"}, "names no jwks_uri"),
        ({"issuer": "URL", "jwks_uri": 3}, "names no jwks_uri"),
        ({"issuer": "URL", "jwks_uri": "http://keys.example/"}, "jwks_uri that is not https"),
        ({"issuer": "URL", "jwks_uri": "file:///etc/passwd"}, "jwks_uri that is not https"),
        ([], "names no jwks_uri"),
    ],
)
async def test_an_openid_configuration_that_cannot_be_trusted_is_refused(
    fetch: Fetcher, serve: Serve, document: object, reason: str
) -> None:
    url = ""

    async def configuration(request: web.Request) -> web.Response:
        text = web.json_response(document).text or ""
        return web.Response(text=text.replace("URL", url))

    url = await serve({"/.well-known/openid-configuration": configuration})
    with pytest.raises(FetchError, match=reason):
        await fetch(source(issuer=url), None)


async def test_a_configuration_that_is_no_json_is_refused(fetch: Fetcher, serve: Serve) -> None:
    url = await serve({"/.well-known/openid-configuration": answer("[" * 100_000)})
    with pytest.raises(FetchError, match="did not answer with JSON"):
        await fetch(source(issuer=url), None)


@pytest.mark.parametrize(
    ("issuer", "reason"),
    [("robot@project.iam.gserviceaccount.com", "is not a URL"), ("http://acme.example", "is not https")],
)
async def test_an_issuer_that_cannot_be_asked_is_named(fetch: Fetcher, issuer: str, reason: str) -> None:
    with pytest.raises(FetchError, match=reason):
        await fetch(source(issuer=issuer), None)


async def test_a_file_is_read_again_only_when_it_changes(fetch: Fetcher, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(JWKS)
    first = await fetch(source(str(path)), None)
    same = await fetch(source(f"file://{path}"), first.validator)
    replacement = tmp_path / "new.json"
    replacement.write_text('{"keys": []}')
    replacement.rename(path)
    changed = await fetch(source(str(path)), first.validator)
    assert (first.text, same.text, changed.text) == (JWKS, None, '{"keys": []}')


async def test_a_file_that_is_absent_or_huge_is_a_failure(fetch: Fetcher, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="No such file"):
        await fetch(source(str(tmp_path / "absent")), None)
    (tmp_path / "huge").write_bytes(b" " * (2 << 20))
    with pytest.raises(FetchError, match="more than 1048576 bytes"):
        await fetch(source(str(tmp_path / "huge")), None)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", None),
        ("public", None),
        ("max-age=600", 600.0),
        ("Max-Age = 600", 600.0),
        ("max-age=0", 30.0),
        ("max-age=999999999", 3600.0),
        ("no-store", 30.0),
        ("max-age=600, no-cache", 30.0),
        ("s-max-age", None),
    ],
)
async def test_cache_control_is_honoured_within_bounds(header: str, seconds: float | None) -> None:
    assert max_age(header) == seconds


@pytest.mark.parametrize(
    ("url", "protected"),
    [
        ("https://acme.example/keys", True),
        ("http://127.0.0.1:8000/keys", True),
        ("http://[::1]/keys", True),
        ("http://localhost/keys", True),
        ("http://acme.example/keys", False),
        ("http://127.0.0.1.acme.example/", False),
        ("https:///keys", False),
        ("ftp://127.0.0.1/keys", False),
        ("http://[127.0.0.1/keys", False),
    ],
)
async def test_only_https_and_this_machine_are_protected(url: str, protected: bool) -> None:
    assert is_protected(url) is protected


async def test_shown_urls_have_no_secrets() -> None:
    assert without_secrets("https://u:p@acme.example:8443/keys?t=1#f") == "https://acme.example:8443/keys"
