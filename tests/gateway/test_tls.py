"""TLS towards clients and towards backends."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import grpc
import pytest
from cryptography import x509

from tests.gateway.backends import Backend, Client, failure
from tests.gateway.core import Serving, document, listener
from tests.gateway.raw import connect, http1
from tests.support.certificates import Authority, KeyPairFiles

HEALTH = {"name": "grpc.health.v1.Health.Check", "bindings": [{"verb": "GET", "template": "/v1/health"}]}


def pair(files: KeyPairFiles) -> dict[str, str]:
    return {"chain_pem": files.chain.read_text(), "key_pem": files.key.read_text()}


def secure(*pairs: KeyPairFiles, **fields: Any) -> list[dict[str, Any]]:
    return [listener(tls={"certificates": [pair(files) for files in pairs], **fields})]


def trusting(authority: Authority, *protocols: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.ca))
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def credentials(authority: Authority, client: KeyPairFiles | None = None) -> grpc.ChannelCredentials:
    key, chain = (client.key.read_bytes(), client.chain.read_bytes()) if client else (None, None)
    return grpc.ssl_channel_credentials(authority.ca.read_bytes(), key, chain)


def named(name: str) -> list[tuple[str, str]]:
    return [("grpc.ssl_target_name_override", name)]


def presented(place: tuple[str, int], name: str | None, **versions: ssl.TLSVersion) -> tuple[set[str], str]:
    """The names in the certificate that a client of `name` is shown, and the version of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for field, version in versions.items():
        setattr(context, field, version)
    with socket.create_connection(place) as plain, context.wrap_socket(plain, server_hostname=name) as tls:
        data = tls.getpeercert(binary_form=True)
        assert data is not None
        names = x509.load_der_x509_certificate(data).extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return set(names.value.get_values_for_type(x509.DNSName)), str(tls.version())


async def test_grpc_over_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with Backend() as app:
        with Serving(document(app.address, listeners=secure(authority.issue("one.test")))) as serving:
            async with Client(serving.address, credentials(authority), named("one.test")) as client:
                body = bytes(3_000_000)
                assert await client.unary(body, timeout=30) == body
        assert app.calls[0].value("x-forwarded-proto") == "https"
        assert not app.calls[0].values("x-forwarded-client-cert")


async def test_what_is_spoken_is_agreed_on_or_told_by_the_first_bytes(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with Backend() as app:
        given = document(app.address, listeners=secure(authority.issue("one.test")), methods=[HEALTH])
        with Serving(given) as serving:
            for protocols in (("h2",), ("h2", "http/1.1"), ()):
                tls = trusting(authority, *protocols)
                async with await connect(serving.place, tls, server_hostname="one.test") as peer:
                    agreed = peer.writer.get_extra_info("ssl_object").selected_alpn_protocol()
                    assert agreed == ("h2" if protocols else None)
                    stream = await peer.request()
                    await peer.fields(stream)
                    assert (await peer.trailers(stream))["grpc-status"] == "0"
            for protocols in (("http/1.1",), ("http/1.1", "h2"), ()):
                tls = trusting(authority, *protocols)
                if "h2" in protocols:
                    continue
                async with await http1(serving.place, tls, server_hostname="one.test") as plain:
                    agreed = plain.writer.get_extra_info("ssl_object").selected_alpn_protocol()
                    assert agreed == (protocols[0] if protocols else None)
                    assert (await plain.get("/v1/health")).status == 200


async def test_a_protocol_that_is_not_ours_is_refused_in_the_handshake(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with Backend() as app:
        with Serving(document(app.address, listeners=secure(authority.issue("one.test")))) as serving:
            with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
                await http1(serving.place, trusting(authority, "spdy/1"), server_hostname="one.test")


async def test_certificates_are_chosen_by_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    one = authority.issue("one.test", stem="one")
    two = authority.issue("two.test", "*.two.test", stem="two")
    async with Backend() as app:
        with Serving(document(app.address, listeners=secure(one, two))) as serving:
            for name, expected in {
                "one.test": "one.test",
                "two.test": "two.test",
                "TWO.test": "two.test",
                "a.two.test": "two.test",
                "unknown.test": "one.test",
                "a.b.two.test": "one.test",
                None: "one.test",
            }.items():
                assert expected in (await asyncio.to_thread(presented, serving.place, name))[0], name


async def test_versions_of_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("one.test")
    old, new = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    async with Backend() as app:
        given = document(app.address, listeners=secure(files))
        with Serving(given) as serving:
            assert (await asyncio.to_thread(presented, serving.place, None, maximum_version=old))[1] == "TLSv1.2"
            assert (await asyncio.to_thread(presented, serving.place, None))[1] == "TLSv1.3"
            serving.apply(listeners=secure(files, minimum_version="1.3"))
            with pytest.raises(ssl.SSLError):
                await asyncio.to_thread(presented, serving.place, None, maximum_version=old)
            assert (await asyncio.to_thread(presented, serving.place, None))[1] == "TLSv1.3"
            serving.apply(listeners=secure(files, maximum_version="1.2"))
            with pytest.raises(ssl.SSLError):
                await asyncio.to_thread(presented, serving.place, None, minimum_version=new)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="absent: openssl")
async def test_openssl_without_a_name_and_without_alpn(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with Backend() as app:
        given = document(app.address, listeners=secure(authority.issue("one.test")), methods=[HEALTH])
        with Serving(given) as serving:
            request = b"GET /v1/health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
            for options in (
                ["-noservername"],
                ["-noservername", "-alpn", "http/1.1"],
                ["-servername", "x.test"],
                ["-tls1_2"],
            ):
                command = [
                    "openssl",
                    "s_client",
                    "-connect",
                    serving.address,
                    "-quiet",
                    "-CAfile",
                    str(authority.ca),
                    *options,
                ]
                done = await asyncio.to_thread(subprocess.run, command, input=request, capture_output=True, timeout=20)
                assert b"HTTP/1.1 200 OK" in done.stdout, (options, done.stderr)
                assert b'{"status":"SERVING"}' in done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="absent: curl")
async def test_curl_to_an_address(tmp_path: Path) -> None:
    """curl sends no SNI for an address, as kubelet's probes do."""
    authority = Authority(tmp_path)
    async with Backend() as app:
        given = document(app.address, listeners=secure(authority.issue("one.test")), methods=[HEALTH])
        with Serving(given) as serving:
            for option in ("--http1.1", "--http2", "--no-alpn"):
                command = ["curl", "-ksS", option, "--max-time", "20", f"https://{serving.address}/v1/health"]
                done = await asyncio.to_thread(subprocess.run, command, capture_output=True)
                assert (done.stdout, done.stderr) == (b'{"status":"SERVING"}', b"")


@pytest.mark.parametrize("demand", ["optional", "required"])
async def test_client_certificates_reach_the_backend(tmp_path: Path, demand: str) -> None:
    authority = Authority(tmp_path)
    (tmp_path / "strangers").mkdir()
    strangers = Authority(tmp_path / "strangers")
    mine = authority.issue("client.test", stem="client")
    theirs = strangers.issue("client.test", stem="client")
    tls = secure(authority.issue("one.test"), client_ca_pem=authority.ca.read_text(), client_certificate=demand)
    async with Backend() as app:
        with Serving(document(app.address, listeners=tls)) as serving:
            async with Client(serving.address, credentials(authority, mine), named("one.test")) as client:
                forged = [("x-forwarded-client-cert", "Hash=forged"), ("x_forwarded_client_cert", "forged")]
                assert await client.unary(b"x", metadata=forged, timeout=30) == b"x"
                value = app.calls[-1].value("x-forwarded-client-cert")
                assert isinstance(value, str)
                assert "Hash=" in value
                assert "DNS=client.test" in unquote(value)
                assert "forged" not in value
                assert not app.calls[-1].values("x_forwarded_client_cert")
            async with Client(serving.address, credentials(authority, theirs), named("one.test")) as client:
                error = await failure(client.unary(b"x", timeout=30))
                assert error.code() == grpc.StatusCode.UNAVAILABLE
            async with Client(serving.address, credentials(authority), named("one.test")) as client:
                if demand == "required":
                    error = await failure(client.unary(b"x", timeout=30))
                    assert error.code() == grpc.StatusCode.UNAVAILABLE
                else:
                    assert await client.unary(b"x", metadata=forged, timeout=30) == b"x"
                    assert not app.calls[-1].values("x-forwarded-client-cert")


def over_tls(address: str, authority: Authority, name: str = "app.test", **fields: Any) -> dict[str, Any]:
    tls = {"ca_pem": authority.ca.read_text(), "server_name": name, **fields}
    return {"name": "app", "endpoints": [{"address": address}], "tls": tls}


async def test_backends_over_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    files = authority.issue("app.test")
    server = grpc.ssl_server_credentials([(files.key.read_bytes(), files.chain.read_bytes())])
    async with Backend(credentials=server) as app:
        with Serving(document(over_tls(app.address, authority))) as serving:
            async with Client(serving.address) as client:
                body = bytes(3_000_000)
                assert await client.unary(body, timeout=30) == body
        for wrong in (over_tls(app.address, other), over_tls(app.address, authority, "another.test")):
            with Serving(document(wrong)) as serving:
                async with Client(serving.address) as client:
                    error = await failure(client.unary(b"", timeout=30))
                    assert error.code() == grpc.StatusCode.UNAVAILABLE
                    assert "upstream" in str(error.details())
                await serving.idle()


async def test_a_backend_that_wants_our_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files, ours = authority.issue("app.test"), authority.issue("gateway.test", stem="gateway")
    server = grpc.ssl_server_credentials(
        [(files.key.read_bytes(), files.chain.read_bytes())], authority.ca.read_bytes(), require_client_auth=True
    )
    async with Backend(credentials=server) as app:
        with Serving(document(over_tls(app.address, authority, client=pair(ours)))) as serving:
            async with Client(serving.address) as client:
                assert await client.unary(b"x", timeout=30) == b"x"
            serving.apply(backends=[over_tls(app.address, authority)])
        with Serving(document(over_tls(app.address, authority))) as serving:
            async with Client(serving.address) as client:
                error = await failure(client.unary(b"", timeout=30))
                assert error.code() == grpc.StatusCode.UNAVAILABLE


async def test_a_plain_backend_where_tls_was_configured_answers_unavailable(tmp_path: Path) -> None:
    async with Backend() as app:
        with Serving(document(over_tls(app.address, Authority(tmp_path)))) as serving:
            async with Client(serving.address) as client:
                error = await failure(client.unary(b"", timeout=30))
                assert error.code() == grpc.StatusCode.UNAVAILABLE


async def test_a_new_certificate_serves_new_connections_and_cuts_none(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    one, two = authority.issue("one.test", stem="one"), authority.issue("one.test", "two.test", stem="two")
    async with Backend() as app:
        with Serving(document(app.address, listeners=secure(one))) as serving:
            address = serving.address
            async with Client(serving.address, credentials(authority), named("one.test")) as client:
                call = client.bidi(timeout=60)
                await call.write(b"1")
                assert await call.read() == b"1"
                assert "two.test" not in presented(serving.place, "one.test")[0]
                serving.apply(listeners=secure(two))
                assert serving.address == address
                assert "two.test" in presented(serving.place, "one.test")[0]
                await call.write(b"2")
                assert await call.read() == b"2"
                assert await client.unary(b"same connection", timeout=30) == b"same connection"
            assert serving.number("connections_closed_total") >= 1


async def test_broken_handshakes_cost_nothing(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with Backend() as app:
        given = document(app.address, listeners=secure(authority.issue("one.test")), limits={"header_timeout_ms": 300})
        with Serving(given) as serving:
            for junk in (
                b"GET / HTTP/1.1\r\n\r\n",
                b"\x16\x03\x01\xff\xff" + bytes(100),
                b"\x16\x03\x01\x00\x05\x01",
                b"",
            ):
                async with await http1(serving.place) as client:
                    with contextlib.suppress(ConnectionError):
                        await client.send(junk)
                        await client.closed()
            async with Client(serving.address, credentials(authority), named("one.test")) as client:
                assert await client.unary(b"x", timeout=30) == b"x"
            await serving.until("connections", 0)


def test_a_key_that_is_not_the_certificates_is_refused(tmp_path: Path) -> None:
    from tidegate_core import SnapshotError

    authority = Authority(tmp_path)
    one, two = authority.issue("one.test", stem="one"), authority.issue("two.test", stem="two")
    mixed = {"chain_pem": one.chain.read_text(), "key_pem": two.key.read_text()}
    with pytest.raises(SnapshotError) as caught:
        Serving(document("127.0.0.1:1", listeners=[listener(tls={"certificates": [mixed]})]))
    (fault,) = caught.value.args[0]
    assert fault.startswith("listeners[0].tls.certificates[0]")
    assert "BEGIN" not in fault
