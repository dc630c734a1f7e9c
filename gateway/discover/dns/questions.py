"""Asks name servers over UDP, and over TCP where an answer was truncated.

Which servers, search domains and `ndots` come from resolv.conf(5). A name with fewer dots than `ndots` is tried with
each search domain first: Kubernetes sets five. The first name that exists counts, whatever records it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver

from gateway.discover.address import is_ip, join
from gateway.discover.dns.records import Addresses, Kind, QuestionFailed, Service, Services
from gateway.discover.resolve import ResolveError
from gateway.discover.source import Settings

RESOLV_CONF = Path("/etc/resolv.conf")

LONGEST_LIFETIME = 30.0
"""Seconds for one question to all servers together: each has time to be asked twice with resolv.conf's `timeout`."""


async def open_questions(
    servers: Sequence[tuple[str, int]], settings: Settings, resolv_conf: Path = RESOLV_CONF
) -> NameServers:
    """`servers` () are those of `resolv_conf`. Raises QuestionFailed where there is none."""
    addresses: list[tuple[str, int]] = []
    for host, port in servers:
        try:
            found = (host,) if is_ip(host) else await settings.resolve(host, settings.family)
        except ResolveError as error:
            raise QuestionFailed(f"The name server's name is not known: {error}") from None
        addresses.extend((address, port) for address in found)
    return NameServers(configure(addresses, resolv_conf))


def configure(servers: Sequence[tuple[str, int]], resolv_conf: Path = RESOLV_CONF) -> dns.asyncresolver.Resolver:
    """`servers` are (IP address, port). Raises QuestionFailed where neither they nor the file name one."""
    resolver = dns.asyncresolver.Resolver(configure=False)
    try:
        resolver.read_resolv_conf(resolv_conf)
    except (dns.resolver.NoResolverConfiguration, dns.exception.DNSException, ValueError, OSError) as error:
        if not servers:
            raise QuestionFailed(
                f"{resolv_conf} names no name server ({error}): write one, as in dns://10.0.0.53/name:port."
            ) from None
    if servers:
        resolver.nameservers = [dns.nameserver.Do53Nameserver(address, port) for address, port in servers]
    resolver.lifetime = min(2 * max(resolver.timeout, 1) * len(resolver.nameservers), LONGEST_LIFETIME)
    return resolver


@dataclass(frozen=True, slots=True)
class _NoSuchName:
    ttl: float


@dataclass(frozen=True, slots=True)
class NameServers:
    """Questions to real servers."""

    resolver: dns.asyncresolver.Resolver

    async def addresses(self, name: str, kind: Kind) -> Addresses:
        answer = await self._ask(name, kind)
        if isinstance(answer, _NoSuchName):
            return Addresses((), answer.ttl, exists=False)
        return Addresses(tuple(record.address for record in answer), answer.chaining_result.minimum_ttl)

    async def services(self, name: str) -> Services:
        answer = await self._ask(name, "SRV")
        if isinstance(answer, _NoSuchName):
            return Services((), answer.ttl, exists=False)
        ttl: float = answer.chaining_result.minimum_ttl
        # A target "." says that the service is decidedly not available (RFC 2782).
        found = tuple(
            Service(_spelled(record.target), record.port, record.priority, record.weight)
            for record in answer
            if record.target != dns.name.root
        )
        beside: dict[tuple[str, Kind], tuple[str, ...]] = {}
        kinds: tuple[tuple[dns.rdatatype.RdataType, Kind], ...] = (
            (dns.rdatatype.A, "A"),
            (dns.rdatatype.AAAA, "AAAA"),
        )
        for records in answer.response.additional:
            for kind, name_of_kind in kinds:
                if records.rdtype == kind:
                    ttl = min(ttl, records.ttl)
                    beside[_spelled(records.name), name_of_kind] = tuple(record.address for record in records)
        return Services(found, ttl, beside=beside)

    async def _ask(self, name: str, kind: str) -> Any:
        """dnspython's Answer, which may hold no records, or _NoSuchName. Raises QuestionFailed."""
        backend = dns.asyncbackend.get_backend("asyncio")
        try:
            answer = await self.resolver.resolve(name, kind, raise_on_no_answer=False, search=True, backend=backend)
        except dns.resolver.NXDOMAIN as error:
            said = error.kwargs["responses"].values()
            return _NoSuchName(min(response.resolve_chaining().minimum_ttl for response in said))
        except (dns.resolver.NoNameservers, dns.resolver.LifetimeTimeout) as error:
            reason = _reason(error) or f"no answer within {self.resolver.lifetime:g} s"
            raise QuestionFailed(f"{name} cannot be resolved ({kind}): {reason}.") from None
        except (dns.exception.DNSException, OSError) as error:
            raise QuestionFailed(f"{name} cannot be resolved ({kind}): {error}.") from None
        if answer.rrset is None and _is_referral(answer.response):
            server = f"{answer.nameserver} refers to other servers"
            raise QuestionFailed(f"{name} cannot be resolved ({kind}): {server}; name one that recurses.")
        return answer


def _spelled(name: dns.name.Name) -> str:
    """In small letters: servers may answer with others than they name."""
    return name.canonicalize().to_text()


def _is_referral(response: dns.message.Message) -> bool:
    """Servers elsewhere are named instead of an answer (RFC 2308, section 2.2)."""
    kinds = {records.rdtype for records in response.authority}
    return dns.rdatatype.NS in kinds and dns.rdatatype.SOA not in kinds


def _reason(error: dns.exception.DNSException) -> str:
    """What each server said at last: `10.0.0.53:53 answered SERVFAIL`."""
    said: dict[str, str] = {}
    for server, _, port, problem, response in error.kwargs.get("errors", ()):
        address = join(server.removeprefix("Do53:").rpartition("@")[0] or server, port)
        if response is not None:
            said[address] = f"{address} answered {problem}"
        elif isinstance(problem, dns.exception.Timeout):
            said[address] = f"{address} did not answer"
        else:
            said[address] = f"{address}: {problem or type(problem).__name__}"
    return ", ".join(said.values())
