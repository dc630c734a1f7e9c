"""Managed certificates: who signs them, when, and what a client sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509

from infra.certificates import KeyPair
from infra.twin.engine import Engine, Settings
from infra.twin.front_end.propagation import Propagation
from infra.twin.managed import LIFETIME, RENEWAL, Provisioning
from infra.twin.process import TwinOptions, twin
from infra.twin.resources.key import Key
from infra.twin.store import Store
from infra.twin.world import Change
from tests.support.backends import GrpcBackend
from tests.twin.balancer import CLIENT_REGIONS, HOST, Balancer, Caller, unverifiable
from tests.twin.compiled import AUTHORITY, PROJECT, Twin
from tests.twin.conftest import Client, Json, Start

US = CLIENT_REGIONS[0]
CERTIFICATE = "global/sslCertificates/cert"
DOMAINS = [HOST, "www.example."]
NOWHERE = {US: ["127.0.0.1:9"]}


async def authority(client: Client) -> bytes:
    async with client.session.get(f"{client.base}/twin/v1/ca.pem") as response:
        assert response.status == 200
        assert "PRIVATE" not in await response.text()
        return await response.read()


async def text_of(client: Client, path: str) -> str:
    async with client.session.get(f"{client.base}/{path}") as response:
        return await response.text()


def states(resource: Json) -> set[str]:
    """Of the certificate and of its domains."""
    return {resource["managed"]["status"], *resource["managed"]["domainStatus"].values()}


async def test_it_is_signed_when_a_rule_leads_to_it_and_stays_signed(client: Client) -> None:
    balancer = Balancer(client)
    await client.done("POST", "global/sslCertificates", {"name": "idle"} | managed(["idle.example"]))
    await balancer.make(NOWHERE, domains=DOMAINS)
    signed = await client.get(CERTIFICATE)
    assert states(signed) == {"ACTIVE"}
    assert signed["managed"]["domainStatus"] == dict.fromkeys(DOMAINS, "ACTIVE")
    assert signed["subjectAlternativeNames"] == [HOST, "www.example"]
    left = datetime.fromisoformat(signed["expireTime"]) - datetime.now(UTC)
    assert LIFETIME - timedelta(hours=1) < left <= LIFETIME

    await client.done("DELETE", "global/forwardingRules/rule")
    proxy = "targetHttpsProxies/proxy"
    await client.done("POST", f"{proxy}/setSslCertificates", {"sslCertificates": ["global/sslCertificates/idle"]})
    assert await client.get(CERTIFICATE) == signed
    idle = await client.get("global/sslCertificates/idle")
    assert states(idle) == {"PROVISIONING"}
    assert "certificate" not in idle
    await balancer.make_rule("rule", "targetHttpsProxies/proxy", "443")
    assert states(await client.get("global/sslCertificates/idle")) == {"ACTIVE"}


async def test_clients_that_trust_the_twins_authority_are_served(client: Client) -> None:
    balancer = Balancer(client)
    with GrpcBackend("pod", credentials=unverifiable()) as pod:
        await balancer.make({US: [pod.address]}, domains=DOMAINS)
        listen = (await balancer.listeners())[US]
        await balancer.healthy({US: 1})
        assert await Caller(listen, await authority(client))(3) == {"pod": 3}
        refused = await Caller(listen, balancer.ca)()
        assert next(iter(refused)).startswith("UNAVAILABLE")


async def test_its_key_is_never_answered_with(client: Client) -> None:
    await Balancer(client).make(NOWHERE, domains=DOMAINS)
    project = f"compute/v1/projects/{PROJECT}"
    for path in (f"{project}/{CERTIFICATE}", f"{project}/global/sslCertificates", f"{project}/global/operations"):
        answer = await text_of(client, path)
        assert "cert" in answer
        assert "PRIVATE" not in answer
    assert "PRIVATE" not in await text_of(client, f"{project}/aggregated/sslCertificates")
    assert "PRIVATE" not in await text_of(client, "twin/v1/requests")


async def test_it_takes_as_long_as_the_traffic_takes_to_follow(start: Start) -> None:
    client = await start(TwinOptions(propagation_delay=3600))
    await Balancer(client).make(NOWHERE, domains=DOMAINS)
    assert states(await client.get(CERTIFICATE)) == {"PROVISIONING"}


@asynccontextmanager
async def at(state: Path) -> AsyncIterator[Client]:
    async with twin(TwinOptions(state=state)) as address, aiohttp.ClientSession() as session:
        yield Client(session, f"http://{address}")


async def test_a_restart_changes_neither_the_leaf_nor_who_signed_it(tmp_path: Path) -> None:
    state = tmp_path / "twin.db"
    with GrpcBackend("pod", credentials=unverifiable()) as pod:
        async with at(state) as client:
            await Balancer(client).make({US: [pod.address]}, domains=DOMAINS)
            before, ca = await client.get(CERTIFICATE), await authority(client)
        assert state.stat().st_mode & 0o077 == 0
        async with at(state) as client:
            after = await client.get(CERTIFICATE)
            assert (after["certificate"], await authority(client)) == (before["certificate"], ca)
            balancer = Balancer(client)
            listen = (await balancer.listeners())[US]
            await balancer.healthy({US: 1})
            assert await Caller(listen, ca)() == {"pod": 1}


async def test_what_was_left_unsigned_is_signed_at_the_start(tmp_path: Path) -> None:
    """As by a twin that was killed after the rule was written down and before the certificate was."""
    state = tmp_path / "twin.db"
    async with at(state) as client:
        await Balancer(client).make(NOWHERE, domains=DOMAINS)
    store = Store(state)
    engine, key = Engine(store, Settings()), Key(PROJECT, "global", "sslCertificates", "cert")
    unsigned = {name: engine.world.resources[key][name] for name in ("name", "id", "type")}
    engine.make(Change(key, unsigned | {"managed": {"domains": DOMAINS, "status": "PROVISIONING"}}))
    store.close()
    async with at(state) as client:
        # Its listeners are ready when there is a certificate.
        await Balancer(client).listeners()
        assert states(await client.get(CERTIFICATE)) == {"ACTIVE"}


def managed(domains: list[str]) -> Json:
    return {"type": "MANAGED", "managed": {"domains": domains}}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (managed([]), "managed.domains"),
        (managed(["a.example"] * 101), "managed.domains"),
        (managed(["*.example"]), "managed.domains[0]"),
        (managed(["a.example", "a b"]), "managed.domains[1]"),
        (managed(["-a.example"]), "managed.domains[0]"),
        (managed(["ä.example"]), "managed.domains[0]"),
        (managed([""]), "managed.domains[0]"),
        (managed([f"{'a' * 64}.example"]), "managed.domains[0]"),
        (managed([".".join(["a" * 50] * 6)]), "managed.domains[0]"),
        (managed(["a.example"]) | {"privateKey": "mine"}, "privateKey"),
        (managed(["a.example"]) | {"selfManaged": {"certificate": "mine"}}, "selfManaged"),
    ],
)
async def test_what_cannot_be_signed_is_refused(client: Client, body: Json, field: str) -> None:
    status, _, message = await client.refused("POST", "global/sslCertificates", {"name": "cert", **body})
    assert status == 400
    assert f"'resource.{field}'" in message
    assert "mine" not in message


class Clocked:
    """A chain with a managed certificate in a world whose traffic follows 60 s later, by a clock of its own."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).timestamp()
        self.issued: list[tuple[str, ...]] = []
        self.twin = Twin()
        self.twin.engine.watchers.clear()
        self.propagation = Propagation(self.twin.engine.world, 60.0, lambda: self.now)
        self.twin.engine.watchers.append(self.propagation.made)
        self.provisioning = Provisioning(self.twin.engine, self.propagation.world, self.issue, self.moment)
        self.propagation.watchers.append(self.provisioning.arrived)

    def issue(self, domains: tuple[str, ...]) -> KeyPair:
        self.issued.append(domains)
        # Lifetimes begin by the machine's clock, which is behind.
        return AUTHORITY.issue(*domains, lifetime=self.moment() + LIFETIME - datetime.now(UTC))

    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    def certificate(self) -> Json:
        return self.twin.get(CERTIFICATE)


@pytest.fixture
async def clocked() -> AsyncIterator[Clocked]:
    clocked = Clocked()
    clocked.twin.make({("global/sslCertificates", "cert"): {"name": "cert", **managed(DOMAINS)}})
    running = asyncio.create_task(clocked.propagation.run())
    yield clocked
    running.cancel()


async def arrive(clocked: Clocked, seconds: float) -> None:
    """So much time goes by, and what is under way until then arrives."""
    clocked.now += seconds
    clocked.propagation.made(Change(Key(PROJECT, "global", "networks", "none"), None))
    for _ in range(5):
        await asyncio.sleep(0)


async def test_first_the_rule_has_to_arrive_and_then_the_certificate(clocked: Clocked) -> None:
    await arrive(clocked, 59)
    assert states(clocked.certificate()) == {"PROVISIONING"}
    await arrive(clocked, 2)
    assert states(clocked.certificate()) == {"ACTIVE"}
    assert clocked.issued == [(HOST, "www.example")]
    key = Key(PROJECT, "global", "sslCertificates", "cert")
    assert "certificate" not in clocked.propagation.world.resources[key]
    await arrive(clocked, 61)
    assert clocked.propagation.world.resources[key]["certificate"] == clocked.certificate()["certificate"]


async def test_it_is_renewed_a_month_before_its_end(clocked: Clocked) -> None:
    await arrive(clocked, 61)
    first = clocked.certificate()
    clocked.now += (LIFETIME - RENEWAL).total_seconds() - 60
    clocked.provisioning.look()
    assert clocked.certificate() == first
    clocked.now += 120
    clocked.provisioning.look()
    second = clocked.certificate()
    serials = {x509.load_pem_x509_certificate(one["certificate"].encode()).serial_number for one in (first, second)}
    assert len(serials) == len(clocked.issued) == 2
    assert second["expireTime"] > first["expireTime"]


async def test_another_certificate_of_the_same_name_is_not_signed_for_the_former_ones_rule(clocked: Clocked) -> None:
    await arrive(clocked, 61)
    proxy = "targetHttpsProxies/secure"
    others = {"sslCertificates": ["global/sslCertificates/other"]}
    for verb, path, body in (
        ("POST", f"{proxy}/setSslCertificates", others),
        ("DELETE", CERTIFICATE, None),
        ("POST", "global/sslCertificates", {"name": "cert", **managed(["new.example"])}),
    ):
        assert clocked.twin.call(verb, path, body).status == 200
    clocked.provisioning.look()
    await arrive(clocked, 61)
    assert states(clocked.certificate()) == {"PROVISIONING"}
