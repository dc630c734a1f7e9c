"""Reloads, new certificates, new keys and the end of the process, while clients call without a pause: the real core."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import grpc
import pytest

from gateway import Gateway
from gateway.configuration import load_file
from gateway.keys.refresh import KeyReport
from tests.process.load import METHOD, Load
from tests.support.backends import GrpcBackend
from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.processes import Program, tidegate
from tests.support.tokens import TokenIssuer
from tests.support.waiting import wait_for

pytest.importorskip("tidegate_core", reason="the native module is not built")

ENOUGH = 200
"""Calls that a test waits for, so that what it does really happens under load."""

BALANCER_DELAY = 2.0
"""Seconds; longer than the core goes on accepting after it was told to close."""


def configuration(backend: str, **changes: Any) -> str:
    """A gateway.yaml (JSON is YAML) with one listener and one backend; changes replace members of its spec."""
    spec: dict[str, Any] = {
        "listeners": [{"name": "main", "address": "127.0.0.1:0"}],
        "backends": [{"name": "app", "targets": [backend]}],
        "accessLog": {"path": "off"},
        "admin": {"port": 0},
        "drain": {"delay": "1500ms", "grace": "20s"},
        "workers": 2,
    }
    return json.dumps({"apiVersion": "tidegate.dev/v1", "kind": "Gateway", "spec": spec | changes})


def start(folder: Path, text: str) -> Program:
    path = folder / "gateway.yaml"
    path.write_text(text)
    return Program(tidegate("gateway", "--config", str(path)), folder)


def lines(program: Program, words: str) -> list[dict[str, Any]]:
    """The lines of the log whose message has these words."""
    whole = program.stderr.rpartition("\n")[0]
    return [line for text in whole.splitlines() if words in (line := json.loads(text))["message"]]


def address(program: Program) -> str:
    found = wait_for("the start", lambda: lines(program, "Serving with"))
    served: str = found[0]["addresses"]["main"]
    return served


def more(load: Load, calls: int = ENOUGH) -> None:
    goal = load.succeeded + calls
    wait_for("calls that succeed", lambda: load.succeeded >= goal or load.failures)


def reloaded(program: Program, times: int) -> bool:
    return len(lines(program, "A new configuration is served.")) >= times


def test_reloads_lose_no_call(tmp_path: Path) -> None:
    with GrpcBackend("a") as a, GrpcBackend("b") as b, start(tmp_path, configuration(a.address)) as program:
        with Load(address(program)) as load:
            for turn in range(6):
                more(load)
                (tmp_path / "gateway.yaml").write_text(configuration((b, a)[turn % 2].address))
                program.send(signal.SIGHUP)
                wait_for("the reload", partial(reloaded, program, turn + 1))
            (tmp_path / "gateway.yaml").write_text("spec: nonsense")
            program.send(signal.SIGHUP)
            wait_for("the refusal", lambda: lines(program, "was refused"))
            more(load)
        assert load.failures == []
        assert a.calls
        assert b.calls


def mount(volume: Path, source: Path) -> None:
    """Puts a folder's files into a volume as a kubelet does."""
    directory = volume / f"..{time.monotonic_ns()}"
    directory.mkdir(parents=True)
    for path in source.iterdir():
        (directory / path.name).write_bytes(path.read_bytes())
        if not (volume / path.name).is_symlink():
            (volume / path.name).symlink_to(Path("..data") / path.name)
    link = volume / "..data_tmp"
    link.symlink_to(directory.name)
    link.rename(volume / "..data")


def test_a_new_certificate_loses_no_call_and_a_bad_pair_changes_nothing(tmp_path: Path) -> None:
    authority, volume = Authority(tmp_path), tmp_path / "volume"
    pairs = [authority.issue("localhost", "127.0.0.1", folder=tmp_path / f"pair{number}") for number in range(2)]
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "tls.crt").write_bytes(pairs[0].chain.read_bytes())
    (tmp_path / "bad" / "tls.key").write_bytes(pairs[1].key.read_bytes())
    mount(volume, tmp_path / "pair0")
    tls = {"certificates": [{"directory": str(volume)}]}
    listener = {"name": "main", "address": "127.0.0.1:0", "tls": tls}
    trusted = grpc.ssl_channel_credentials(authority.ca.read_bytes())
    with GrpcBackend() as backend, start(tmp_path, configuration(backend.address, listeners=[listener])) as program:
        host, _, port = address(program).rpartition(":")

        def presented() -> str:
            return ssl.get_server_certificate((host, int(port)))

        leaf = [pair.chain.read_text().partition("-----END")[0] for pair in pairs]
        with Load(f"{host}:{port}", trusted) as load:
            more(load)
            assert presented().startswith(leaf[0])
            mount(volume, tmp_path / "pair1")
            wait_for("the new certificate", lambda: presented().startswith(leaf[1]))
            more(load)
            mount(volume, tmp_path / "bad")
            wait_for("the refusal", lambda: lines(program, "was refused"))
            assert presented().startswith(leaf[1])
            more(load)
        assert load.failures == []


def test_the_end_loses_no_call_though_the_balancer_is_slow(tmp_path: Path) -> None:
    """New connections come until the balancer takes the endpoint out, well into the drain's delay."""
    drain = {"delay": "4s", "grace": "20s"}
    port = free_port()
    with GrpcBackend() as backend:
        first = start(tmp_path, configuration(backend.address, admin={"port": port}, drain=drain))
        (tmp_path / "other").mkdir()
        with first, start(tmp_path / "other", configuration(backend.address)) as second:
            with Load(address(first)) as load:
                more(load)
                first.send(signal.SIGTERM)
                wait_for("the drain", lambda: lines(first, "Draining: health checks fail"))
                with pytest.raises(urllib.error.HTTPError, match="503"):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz")
                time.sleep(BALANCER_DELAY)
                more(load, 50)
                load.move(address(second))
                assert first.finish() == 0
                more(load)
            assert load.failures == []


def test_a_call_that_is_open_at_the_end_is_finished(tmp_path: Path) -> None:
    with GrpcBackend() as backend, start(tmp_path, configuration(backend.address, drain={"delay": "0s"})) as program:
        with grpc.insecure_channel(address(program)) as channel:
            halves = iter([b"first", b"second"])
            sending = _Pausing(halves)
            join: grpc.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary("/test.Kinds/ClientStream")
            call = join.future(sending)
            wait_for("the call", lambda: backend.calls)
            program.send(signal.SIGTERM)
            wait_for("the drain", lambda: lines(program, "Draining: closing"))
            sending.release.set()
            assert call.result(30) == b"firstsecond"
        assert program.finish() == 0


class _Pausing:
    """Yields the first item, and the others when it is released."""

    def __init__(self, items: Any) -> None:
        self._items = items
        self.release = threading.Event()
        self._count = 0

    def __iter__(self) -> _Pausing:
        return self

    def __next__(self) -> bytes:
        if self._count == 1:
            self.release.wait(60)
        self._count += 1
        item: bytes = next(self._items)
        return item


class _Guarded:
    """A gateway in front of `backend` that admits who has a token of `issuer`."""

    def __init__(self, folder: Path, backend: GrpcBackend, issuer: TokenIssuer) -> None:
        provider = {"id": "staff", "issuer": issuer.url, "audiences": [issuer.audience]}
        rule = {"selector": "*", "requirements": [{"provider": "staff"}]}
        path = folder / "gateway.yaml"
        path.write_text(configuration(backend.address, authentication={"providers": [provider], "rules": [rule]}))
        config = load_file(path).config
        self._gateway = Gateway(replace(config, authentication=replace(config.authentication, jwks_fetch_retries=1000)))

    async def __aenter__(self) -> Self:
        await self._gateway.__aenter__()
        self._channel = grpc.aio.insecure_channel(self._gateway.addresses["main"])
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._channel.close()
        await self._gateway.__aexit__(None, None, None)

    async def call(self, token: str | None) -> str:
        """The message of the status that a call ends with; empty when it succeeds."""
        metadata = () if token is None else (("authorization", f"Bearer {token}"),)
        echo: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(METHOD)
        return await echo(b"hello", metadata=metadata, timeout=30).details() or ""

    @property
    def keys(self) -> KeyReport:
        return self._gateway.facts().keys[0]

    @property
    def fetched(self) -> int:
        """Fetches that brought something."""
        return self.keys.fetches - self.keys.failures

    @property
    def held(self) -> int:
        counters = json.loads(self._gateway.core.stats())["counters"]
        return sum(counter["value"] for counter in counters if counter["name"] == "requests_held_total")


async def test_keys_are_fetched_rotated_and_withdrawn(tmp_path: Path) -> None:
    with GrpcBackend() as backend, TokenIssuer() as issuer:
        async with _Guarded(tmp_path, backend, issuer) as guarded:
            former = issuer.token()
            assert await guarded.call(None) == "Jwt is missing"
            assert await guarded.call(former) == ""
            assert guarded.fetched == 1
            issuer.rotate()
            assert await guarded.call(issuer.token()) == ""
            assert guarded.fetched == 2
            assert await guarded.call(former) == "Jwks doesn't have key to match kid or alg from Jwt"
            assert guarded.keys.keys == 1


async def test_a_first_fetch_that_fails_is_made_up_for(tmp_path: Path) -> None:
    """Who waits is served by the next fetch, and a new key is fetched as soon as ever."""
    with GrpcBackend() as backend, TokenIssuer() as issuer:
        issuer.failing = True
        async with _Guarded(tmp_path, backend, issuer) as guarded:
            waiting = asyncio.create_task(guarded.call(issuer.token()))
            await asyncio.to_thread(wait_for, "a call that waits", lambda: guarded.held)
            issuer.failing = False
            assert await waiting == ""
            assert guarded.keys.failures > 0
            issuer.rotate()
            assert await guarded.call(issuer.token()) == ""
