"""etcd itself: what is written there moves traffic, and whatever befalls it, the gateway finds its way back."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.backends import Backend
from tests.gateway.core import until
from tests.registries.parts import EtcdServer, Followed, Line, Traffic, text
from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.processes import Program, tidegate

pytestmark = [pytest.mark.real("etcd"), pytest.mark.asyncio]


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdServer]:
    with EtcdServer(tmp_path) as server:
        yield server


@pytest.fixture(autouse=True)
def short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch is checked sooner than in earnest, so that nobody waits for it here."""
    monkeypatch.setattr("gateway.discover.etcd.source.QUIET", 0.5)
    monkeypatch.setattr("gateway.discover.etcd.client.TIME_OUT", 2.0)


def server(address: str, **metadata: object) -> str:
    return json.dumps({"Op": 0, "Addr": address, "Metadata": metadata or None})


async def test_servers_that_come_and_go_in_etcd_move_traffic(etcd: EtcdServer) -> None:
    async with Backend() as first, Backend() as second:
        etcd.put("services/echo/a", server(first.address))
        async with Traffic(f"etcd://{etcd.address}/services/echo") as traffic:
            await traffic.reaches(first)
            etcd.put("services/echo/b", server(second.address))
            await traffic.reaches(first, second)
            etcd.put("services/echo/a", '{"Op":0,"Ad')
            await traffic.reaches(second)
            etcd.put("services/echo/a", server(first.address))
            etcd.delete("services/echo/b")
            await traffic.reaches(first)


async def test_a_lease_that_ends_takes_its_server_along(etcd: EtcdServer) -> None:
    lease = etcd.call("lease/grant", {"TTL": "100"})["ID"]
    etcd.put("svc/a", server("127.0.0.1:1", weight=3), lease)
    etcd.put("svc/b", server("127.0.0.1:2"))
    etcd.put("svcs/c", server("127.0.0.1:3"))
    async with Followed(f"etcd://{etcd.address}/svc") as source:
        await until("both", lambda: source.endpoints == [("127.0.0.1:1", 3), ("127.0.0.1:2", 1)])
        etcd.call("lease/revoke", {"ID": lease})
        await until("one", lambda: source.endpoints == [("127.0.0.1:2", 1)])
        etcd.delete("svc/b")
        await until("none", lambda: source.endpoints == [])
        assert source.trouble == ""


async def test_a_partition_with_compaction_is_caught_up_with(etcd: EtcdServer) -> None:
    etcd.put("svc/a", server("127.0.0.1:1"))
    async with Line(etcd.address) as line, Followed(f"etcd://{line.address}/svc") as source:
        await until("the first", lambda: source.endpoints == [("127.0.0.1:1", 1)])
        line.cut()
        await until("trouble", lambda: source.trouble)
        assert f"etcd at http://{line.address}" in source.trouble
        assert source.endpoints == [("127.0.0.1:1", 1)]
        revisions = [etcd.put("svc/a", server(f"127.0.0.1:{port}")) for port in range(2, 20)]
        etcd.call("kv/compaction", {"revision": str(revisions[-1]), "physical": True})
        line.heal()
        await until("the newest", lambda: source.endpoints == [("127.0.0.1:19", 1)])
        etcd.put("svc/b", server("127.0.0.1:20"))
        await until("a live watch", lambda: source.endpoints == [("127.0.0.1:19", 1), ("127.0.0.1:20", 1)])


async def test_a_restart_and_even_an_empty_store_are_survived(etcd: EtcdServer) -> None:
    for port in range(1, 9):
        etcd.put("svc/a", server(f"127.0.0.1:{port}"))
    async with Followed(f"etcd://{etcd.address}/svc") as source:
        await until("the first", lambda: source.endpoints == [("127.0.0.1:8", 1)])
        etcd.stop()
        await until("trouble", lambda: source.trouble)
        assert source.endpoints == [("127.0.0.1:8", 1)]
        etcd.start()
        await until("no trouble", lambda: not source.trouble)
        etcd.put("svc/b", server("127.0.0.1:20"))
        await until("a live watch", lambda: source.endpoints == [("127.0.0.1:20", 1), ("127.0.0.1:8", 1)])
        etcd.stop()
        await until("trouble", lambda: source.trouble)
        etcd.start("another")
        await until("what it says", lambda: source.endpoints == [])
        etcd.put("svc/c", server("127.0.0.1:30"))
        await until("a live watch", lambda: source.endpoints == [("127.0.0.1:30", 1)])


async def test_a_member_that_hangs_is_noticed(etcd: EtcdServer) -> None:
    """Stopped: its kernel still takes what is sent, so that no connection breaks."""
    etcd.put("svc/a", server("127.0.0.1:1"))
    async with Followed(f"etcd://{etcd.address}/svc") as source:
        await until("the first", lambda: source.endpoints)
        etcd.process.send(signal.SIGSTOP)
        try:
            await until("trouble", lambda: "does not answer in time" in source.trouble)
        finally:
            etcd.process.send(signal.SIGCONT)
        await until("no trouble", lambda: not source.trouble)


async def test_a_member_that_dies_is_passed_over(tmp_path: Path) -> None:
    members = [EtcdServer(tmp_path) for _ in range(3)]
    cluster = ",".join(f"member-{number}={member.peer}" for number, member in enumerate(members))
    for number, member in enumerate(members):
        member.options += [f"--name=member-{number}", f"--initial-cluster={cluster}"]
    try:
        for number, member in enumerate(members):
            member.spawn(f"data-{number}")
        for member in members:
            member.await_ready()
        members[0].put("svc/a", server("127.0.0.1:1"))
        addresses = ",".join(member.address for member in members)
        async with Followed(f"etcd:///svc?endpoints={addresses}") as source:
            await until("the first", lambda: source.endpoints == [("127.0.0.1:1", 1)])
            members[0].stop()
            await until("a leader", members[1].ready)
            members[1].put("svc/b", server("127.0.0.1:2"))
            await until("the second", lambda: source.endpoints == [("127.0.0.1:1", 1), ("127.0.0.1:2", 1)])
            members[1].stop()
            await until("the end of the majority", lambda: source.trouble)
            assert source.endpoints == [("127.0.0.1:1", 1), ("127.0.0.1:2", 1)]
    finally:
        for member in members:
            member.stop()


async def test_who_may_not_read_is_told_so(etcd: EtcdServer, monkeypatch: pytest.MonkeyPatch) -> None:
    etcd.put("svc/a", server("127.0.0.1:1"))
    etcd.put("other/a", server("127.0.0.1:2"))
    etcd.call("auth/user/add", {"name": "root", "password": "root"})
    etcd.call("auth/role/add", {"name": "root"})
    etcd.call("auth/user/grant", {"user": "root", "role": "root"})
    etcd.call("auth/user/add", {"name": "gate", "password": "secret"})
    etcd.call("auth/role/add", {"name": "reader"})
    permission = {"permType": "READ", "key": text("svc/"), "range_end": text("svc0")}
    etcd.call("auth/role/grant", {"name": "reader", "perm": permission})
    etcd.call("auth/user/grant", {"user": "gate", "role": "reader"})
    etcd.call("auth/enable", {})
    monkeypatch.setenv("ETCDCTL_USER", "gate:secret")
    async with Followed(f"etcd://{etcd.address}/other") as other:
        await until("trouble", lambda: "permission denied" in other.trouble)
    async with Followed(f"etcd://{etcd.address}/svc") as source:
        await until("the first", lambda: source.endpoints == [("127.0.0.1:1", 1)])
        for name in ("b", "c"):
            token = etcd.call("auth/authenticate", {"name": "root", "password": "root"})["token"]
            etcd.put(f"svc/{name}", server(f"127.0.0.1:{ord(name)}"), token=token)
            expected = ("127.0.0.1:1", f"127.0.0.1:{ord(name)}")
            await until("a live watch", lambda: {*expected} <= {one for one, _ in source.endpoints or ()})  # noqa: B023
            etcd.stop()
            etcd.start()
    monkeypatch.setenv("ETCDCTL_USER", "gate:wrong")
    async with Followed(f"etcd://{etcd.address}/svc") as source:
        await until("trouble", lambda: "authentication failed" in source.trouble)
        assert "wrong" not in source.trouble


async def test_members_are_asked_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    files, secure = authority.issue("127.0.0.1"), f"127.0.0.1:{free_port()}"
    etcd = EtcdServer(tmp_path)
    etcd.options += [
        f"--listen-client-urls=http://{etcd.address},https://{secure}",
        f"--cert-file={files.chain}",
        f"--key-file={files.key}",
        f"--trusted-ca-file={authority.ca}",
        "--client-cert-auth",
    ]
    with etcd:
        etcd.put("svc/a", server("127.0.0.1:1"))
        monkeypatch.setenv("ETCDCTL_CACERT", str(authority.ca))
        async with Followed(f"etcd://{secure}/svc") as source:
            await until("a demand for a certificate", lambda: source.trouble)
        monkeypatch.setenv("ETCDCTL_CERT", str(files.chain))
        monkeypatch.setenv("ETCDCTL_KEY", str(files.key))
        async with Followed(f"etcd://{secure}/svc") as source:
            await until("the first", lambda: source.endpoints == [("127.0.0.1:1", 1)])
            etcd.put("svc/b", server("127.0.0.1:2"))
            await until("a live watch", lambda: source.endpoints == [("127.0.0.1:1", 1), ("127.0.0.1:2", 1)])
        monkeypatch.delenv("ETCDCTL_CACERT")
        async with Followed(f"etcd://{secure}/svc") as source:
            await until("distrust", lambda: "certificate verify failed" in source.trouble)


async def test_a_server_announces_itself_and_is_gone_with_its_announcer(etcd: EtcdServer, tmp_path: Path) -> None:
    async with Backend() as backend:
        arguments = ["--address", f":{backend.address.rpartition(':')[2]}", "--ttl", "3s", "--metadata", "zone=a"]
        pod = {"POD_IP": "127.0.0.1", "POD_NAME": "echo-0", "ETCDCTL_ENDPOINTS": etcd.address}
        command = tidegate("register", "etcd", "services/echo", *arguments, "--weight", "2")
        async with Traffic(f"etcd://{etcd.address}/services/echo") as traffic:
            with Program(command, tmp_path, pod) as program:
                await traffic.reaches(backend)
                announced = {"Op": 0, "Addr": backend.address, "Metadata": {"zone": "a", "weight": 2}}
                assert json.loads(etcd.get("services/echo/echo-0") or "") == announced
                etcd.delete("services/echo/echo-0")
                await until("the second announcement", lambda: etcd.get("services/echo/echo-0"))
                etcd.stop()
                etcd.start("another")
                await until("the third announcement", lambda: etcd.get("services/echo/echo-0"))
                program.send(signal.SIGTERM)
                assert program.finish() == 0
                assert etcd.get("services/echo/echo-0") is None
                assert "Withdrew" in program.stderr


async def test_a_server_that_was_killed_is_gone_with_its_lease(etcd: EtcdServer, tmp_path: Path) -> None:
    command = tidegate("register", "etcd", "svc", "--address", "127.0.0.1:1", "--ttl", "3s", "--registry", etcd.address)
    async with Followed(f"etcd://{etcd.address}/svc") as source:
        with Program(command, tmp_path) as program:
            await until("the announcement", lambda: source.endpoints == [("127.0.0.1:1", 1)])
            program.send(signal.SIGKILL)
            await until("the end of its lease", lambda: source.endpoints == [])


async def test_two_servers_of_one_name_do_not_fight(etcd: EtcdServer, tmp_path: Path) -> None:
    """The later one, a server that was started again, takes the place; the earlier one says so and leaves it."""
    command = [
        *tidegate("register", "etcd", "svc", "--ttl", "3s", "--registry", etcd.address, "--id", "a"),
        "--address",
    ]
    with Program([*command, "127.0.0.1:1"], tmp_path) as first:
        await until("the first", lambda: etcd.get("svc/a"))
        with Program([*command, "127.0.0.1:2"], tmp_path) as second:
            await until("the second", lambda: ":2" in (etcd.get("svc/a") or ""))
            await until("the complaint", lambda: "Somebody else" in first.stderr)
            first.send(signal.SIGTERM)
            assert first.finish() == 0
            assert ":2" in (etcd.get("svc/a") or "")
            second.send(signal.SIGINT)
            assert second.finish() == 0
    assert etcd.get("svc/a") is None
