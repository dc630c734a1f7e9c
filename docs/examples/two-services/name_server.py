"""A name server on loopback that answers as Kubernetes' does for headless Services: SRV and A records of their pods."""

from __future__ import annotations

import asyncio
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

TTL = 1
"""Seconds; Kubernetes' own is 5."""


class NameServer(asyncio.DatagramProtocol):
    """`async with NameServer() as names` answers over UDP at `names.address` what was `put`."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], dns.rrset.RRset] = {}

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", 0))
        host, port = self._transport.get_extra_info("sockname")
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._transport.close()

    def put(self, service: str, pods: list[str]) -> None:
        """The service `name.namespace.svc.cluster.local` has these pods (host:port), each at its port `grpc`."""
        targets = []
        for host, _, port in (pod.rpartition(":") for pod in pods):
            name = f"{host.replace('.', '-')}.{service}"
            self._set(name, "A", host)
            targets.append(f"0 1 {port} {name}.")
        self._set(f"_grpc._tcp.{service}", "SRV", *targets)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        asked = query.question[0]
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        name, kind = asked.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(asked.rdtype)
        records = self._records.get((name, kind))
        if records is not None:
            answer.answer.append(records)
        elif not any(known == name for known, _ in self._records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(answer.to_wire(), addr)

    def _set(self, name: str, kind: str, *records: str) -> None:
        self._records[name, kind] = dns.rrset.from_text(f"{name}.", TTL, "IN", kind, *records)
