"""A load balancer in the twin with real backends behind it, for tests of its traffic."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import grpc
import trustme

from tests.support.backends import NAME_HEADER, SERVICE, GrpcBackend
from tests.twin.conftest import Client, Json

CLIENT_REGIONS = ("us-central1", "europe-west1", "asia-east1")
ZONES = {region: f"{region}-b" for region in CLIENT_REGIONS}
METHOD = f"/{SERVICE}/Unary"
HOST = "api.example"


class Balancer:
    """All are called what they are: `vip`, `check`, `service`, `map`, `cert`, `proxy`, `rule`; groups by region."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._authority = trustme.CA()
        self.ca = self._authority.cert_pem.bytes()

    async def make(
        self,
        groups: Mapping[str, Iterable[str]],
        service: Json | None = None,
        rate: float = 1000,
        domains: Iterable[str] = (),
    ) -> None:
        """A whole chain; `groups` has the endpoints of each region, `service` is put over the service's fields.

        With `domains` the certificate is a managed one.
        """
        done = self.client.done
        await done("POST", "global/addresses", {"name": "vip"})
        check: Json = {"checkIntervalSec": 1, "timeoutSec": 1, "healthyThreshold": 1, "unhealthyThreshold": 2}
        check |= {
            "name": "check",
            "type": "GRPC_WITH_TLS",
            "grpcTlsHealthCheck": {"portSpecification": "USE_SERVING_PORT"},
        }
        await done("POST", "global/healthChecks", check)
        backends = []
        for region, addresses in groups.items():
            zone = f"zones/{ZONES[region]}/networkEndpointGroups"
            await done("POST", zone, {"name": region, "networkEndpointType": "GCE_VM_IP_PORT"})
            await self.attach(region, addresses)
            backends.append({"group": f"{zone}/{region}", "balancingMode": "RATE", "maxRatePerEndpoint": rate})
        fields: Json = {
            "name": "service",
            "protocol": "HTTP2",
            "loadBalancingScheme": "EXTERNAL_MANAGED",
            "healthChecks": ["global/healthChecks/check"],
            "backends": backends,
        }
        await done("POST", "global/backendServices", fields | (service or {}))
        await done("POST", "global/urlMaps", {"name": "map", "defaultService": "global/backendServices/service"})
        given = {"type": "MANAGED", "managed": {"domains": list(domains)}} if domains else self._certificate()
        await done("POST", "global/sslCertificates", {"name": "cert", **given})
        proxy = {"name": "proxy", "urlMap": "global/urlMaps/map", "sslCertificates": ["global/sslCertificates/cert"]}
        await done("POST", "global/targetHttpsProxies", proxy)
        await self.make_rule("rule", "targetHttpsProxies/proxy", "443")

    def _certificate(self) -> Json:
        leaf = self._authority.issue_cert(HOST)
        chain = "".join(pem.bytes().decode() for pem in leaf.cert_chain_pems)
        return {"certificate": chain, "privateKey": leaf.private_key_pem.bytes().decode()}

    async def make_rule(self, name: str, target: str, port: str) -> None:
        rule = {"name": name, "target": f"global/{target}", "IPAddress": "global/addresses/vip", "portRange": port}
        await self.client.done("POST", "global/forwardingRules", rule | {"loadBalancingScheme": "EXTERNAL_MANAGED"})

    async def attach(self, region: str, addresses: Iterable[str]) -> None:
        await self._members(region, "attach", addresses)

    async def detach(self, region: str, addresses: Iterable[str]) -> None:
        await self._members(region, "detach", addresses)

    async def _members(self, region: str, verb: str, addresses: Iterable[str]) -> None:
        members = []
        for number, address in enumerate(addresses):
            host, _, port = address.rpartition(":")
            members.append({"ipAddress": host, "port": int(port), "instance": f"node-{number}"})
        if members:
            group = f"zones/{ZONES[region]}/networkEndpointGroups/{region}/{verb}NetworkEndpoints"
            await self.client.done("POST", group, {"networkEndpoints": members})

    async def scale(self, scalers: Mapping[str, float], rates: Mapping[str, float] | None = None) -> None:
        """Sets the capacityScaler (and the rate) of some regions' groups."""
        service = await self.client.get("global/backendServices/service")
        for backend in service["backends"]:
            region = backend["group"].rpartition("/")[2]
            backend["capacityScaler"] = scalers.get(region, backend["capacityScaler"])
            backend["maxRatePerEndpoint"] = (rates or {}).get(region, backend["maxRatePerEndpoint"])
        patch = {"backends": service["backends"], "fingerprint": service["fingerprint"]}
        await self.client.done("PATCH", "global/backendServices/service", patch)

    async def listeners(self, rule: str = "rule") -> dict[str, str]:
        """By client region, once all are ready."""
        while True:
            _, body = await self.client.own("GET", "listeners")
            own = [one for one in body["listeners"] if one["forwardingRule"].endswith(f"/{rule}")]
            problems = [one["problem"] for one in own if "problem" in one]
            assert not problems, problems
            if len(own) == len(CLIENT_REGIONS) and all(one["ready"] for one in own):
                return {one["clientRegion"]: one["listen"] for one in own}
            await asyncio.sleep(0.02)

    async def flows(self) -> list[Json]:
        _, body = await self.client.own("GET", "traffic")
        flows: list[Json] = body["services"]
        return flows

    async def healthy(self, counts: Mapping[str, int]) -> None:
        """Waits until so many endpoints of each region's group are healthy."""
        while True:
            flows = await self.flows()
            if flows and all(
                group["healthy"] == counts.get(group["region"], 0) for flow in flows for group in flow["groups"]
            ):
                return
            await asyncio.sleep(0.02)


class Caller:
    """A client of one region: `await caller(n)` counts which backends answered, or with what they did not.

    `late` is by how many seconds a paced call was behind its time, at most.
    """

    def __init__(self, listen: str, ca: bytes) -> None:
        self.late = 0.0
        options = [("grpc.ssl_target_name_override", HOST), ("grpc.use_local_subchannel_pool", 1)]
        self.channel = grpc.aio.secure_channel(listen, grpc.ssl_channel_credentials(ca), options)
        self._method: Any = self.channel.unary_unary(METHOD)

    async def __call__(self, times: int = 1, pace: float = 0.0, timeout: float = 10.0) -> Counter[str]:
        """`pace` seconds lie between two calls, whatever becomes of them; 0: one after the other."""
        answers: Counter[str] = Counter()
        if not pace:
            for _ in range(times):
                answers[await self._call(timeout)] += 1
            return answers
        calls = []
        now = asyncio.get_running_loop().time
        begin = now()
        self.late = 0.0
        for number in range(times):
            await asyncio.sleep(begin + number * pace - now())
            self.late = max(self.late, now() - begin - number * pace)
            calls.append(asyncio.create_task(self._call(timeout)))
        return Counter(await asyncio.gather(*calls))

    async def _call(self, timeout: float) -> str:
        call = self._method(b"x", timeout=timeout)
        try:
            await call
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"
        return str(dict(await call.initial_metadata())[NAME_HEADER])


def unverifiable() -> grpc.ServerCredentials:
    """For backends: a certificate of an authority that nobody has."""
    leaf = trustme.CA().issue_cert("nobody.example")
    chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
    return grpc.ssl_server_credentials([(leaf.private_key_pem.bytes(), chain)])


def backends(names: Iterable[str], credentials: grpc.ServerCredentials) -> list[GrpcBackend]:
    return [GrpcBackend(name, credentials=credentials) for name in names]
