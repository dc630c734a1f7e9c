"""A name server on loopback, over UDP and TCP, whose records a test changes while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections import Counter
from collections.abc import Iterable
from typing import Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

LARGEST_DATAGRAM = 512
"""Bytes of an answer over UDP without EDNS (RFC 1035)."""

NEGATIVE_TTL = 1


class NameServer:
    """`async with NameServer() as server` answers at `server.address` what was `put`, and NXDOMAIN for the rest."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self.asked: Counter[tuple[str, str, str]] = Counter()
        """How often (name without the last dot, kind, udp or tcp) was asked."""
        self.fault = ""
        """Answers every question so: SERVFAIL, REFUSED, `silence`, `garbage` or `referral`; "" answers."""
        self._records: dict[str, dict[str, dns.rrset.RRset]] = {}
        self._beside: dict[str, list[dns.rrset.RRset]] = {}
        self._port = 0

    @property
    def address(self) -> str:
        return f"{self.host}:{self._port}"

    def put(self, name: str, kind: str, *records: str, ttl: int = 1, beside: Iterable[dns.rrset.RRset] = ()) -> None:
        """The name's records of a kind (`A`, `AAAA`, `SRV`, `CNAME`); none at all: the name exists and has none.

        `beside` goes into the additional section of the answer.
        """
        known = self._records.setdefault(name, {})
        known.pop(kind, None)
        if records:
            known[kind] = dns.rrset.from_text(f"{name}.", ttl, "IN", kind, *records)
        self._beside[name] = list(beside)

    def remove(self, name: str) -> None:
        """From now on there is no such name."""
        del self._records[name]

    def count(self, name: str, kind: str = "A") -> int:
        """How often it was asked over either transport."""
        return self.asked[name, kind, "udp"] + self.asked[name, kind, "tcp"]

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        while True:
            self._udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), (self.host, 0))
            self._port = self._udp.get_extra_info("sockname")[1]
            try:
                self._tcp = await asyncio.start_server(self._serve, self.host, self._port)
            except OSError:  # somebody else has the number for TCP
                self._udp.close()
            else:
                return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._udp.close()
        self._tcp.close()
        await self._tcp.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                answer = self.answer(await reader.readexactly(length), "tcp")
                if answer is not None:
                    writer.write(struct.pack("!H", len(answer)) + answer)
                    await writer.drain()
        writer.close()

    def answer(self, question: bytes, transport: str) -> bytes | None:
        """None: nothing is sent."""
        query = dns.message.from_wire(question)
        asked = query.question[0]
        name, kind = asked.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(asked.rdtype)
        self.asked[name, kind, transport] += 1
        if self.fault == "silence":
            return None
        if self.fault == "garbage":
            return question[:2] + b"\xff" * 40
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if self.fault == "referral":
            response.authority.append(dns.rrset.from_text("example.", 60, "IN", "NS", "ns.example."))
        elif self.fault:
            response.set_rcode(dns.rcode.from_text(self.fault))
        else:
            self._fill(response, name, kind)
        wire = response.to_wire()
        if transport == "udp" and len(wire) > LARGEST_DATAGRAM:
            truncated = dns.message.make_response(query)
            truncated.flags |= dns.flags.RA | dns.flags.TC
            wire = truncated.to_wire()
        return wire

    def _fill(self, response: dns.message.Message, name: str, kind: str) -> None:
        answered = False
        for _ in range(8):
            records = self._records.get(name)
            if records is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
                break
            if kind in records:
                response.answer.append(records[kind])
                response.additional.extend(self._beside[name])
                answered = True
            if kind in records or "CNAME" not in records:
                break
            response.answer.append(records["CNAME"])
            name = records["CNAME"][0].target.to_text(omit_final_dot=True)
        if not answered:
            soa = f"ns.example. hostmaster.example. 1 60 60 60 {NEGATIVE_TTL}"
            response.authority.append(dns.rrset.from_text(".", NEGATIVE_TTL, "IN", "SOA", soa))


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._server.answer(data, "udp")
        if answer is not None:
            self._transport.sendto(answer, addr)
