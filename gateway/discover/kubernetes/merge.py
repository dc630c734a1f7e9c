"""From all slices of a Service to its endpoints. Pure, and independent of the order in which slices came.

- Members of all slices count together: one slice's change says nothing of the others.
- Ready members serve. Only where there is none, those that still serve while they end do: so kube-proxy decides it
  (KEP-1669), and a Service whose last pods are being replaced is not cut off.
- A member that is in two slices, as while the control plane moves it, counts once; the copy that can serve wins.
- A pod with addresses of two families counts once, by the family that the backend prefers.
- With a zone and a hint for it on every member, those for other zones only take what is too much for this one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.configuration.model import LookupFamily
from gateway.discover.address import join
from gateway.discover.kubernetes.objects import Member, Slice
from gateway.discover.kubernetes.ports import NoPort, Wanted, choose
from gateway.discover.source import Endpoint

SHOWN_PROBLEMS = 3


@dataclass(frozen=True, slots=True)
class Merged:
    """`blocked`: there are members that could serve, but none has the port that is wanted; says why."""

    endpoints: tuple[Endpoint, ...]
    hint: str = ""
    blocked: str = ""


@dataclass(frozen=True, slots=True)
class _Candidate:
    member: Member
    address: str
    rank: int


def merge(slices: Iterable[Slice], wanted: Wanted, family: LookupFamily, zone: str = "") -> Merged:
    """Endpoints sorted by address, each once."""
    known = sorted(slices, key=lambda one: one.name)
    candidates, portless = _candidates(known, wanted)
    problems = [problem for one in known for problem in one.problems] + portless
    best = min((candidate.rank for candidate in candidates), default=0)
    chosen = _one_family([candidate for candidate in candidates if candidate.rank == best], family)
    if portless and not chosen:
        return Merged((), blocked=portless[0])
    members = sum(len(one.members) for one in known)
    if not chosen and not problems:
        problems = [f"of {members} endpoints none is ready" if members else "there are no endpoints"]
    return Merged(_endpoints(chosen, zone), _shortened(problems))


def _rank(member: Member) -> int | None:
    """0 comes first; None: it does not serve."""
    if member.ready and not member.terminating:
        return 0
    return 1 if member.serving and member.terminating else None


def _candidates(slices: Iterable[Slice], wanted: Wanted) -> tuple[list[_Candidate], list[str]]:
    found: dict[str, _Candidate] = {}
    problems: dict[str, None] = {}
    for one in slices:
        serving = [(member, rank) for member in one.members if (rank := _rank(member)) is not None]
        if not serving:
            continue
        try:
            port = choose(one.ports, wanted)
        except NoPort as reason:
            problems[str(reason)] = None
            continue
        for member, rank in serving:
            address = join(member.address, port)
            if address not in found or rank < found[address].rank:
                found[address] = _Candidate(member, address, rank)
    return sorted(found.values(), key=lambda candidate: candidate.address), list(problems)


def _one_family(candidates: list[_Candidate], family: LookupFamily) -> list[_Candidate]:
    pods: dict[str, list[_Candidate]] = {}
    for candidate in candidates:
        pods.setdefault(candidate.member.identity or candidate.address, []).append(candidate)
    chosen: list[_Candidate] = []
    for addresses in pods.values():
        v6 = [candidate for candidate in addresses if ":" in candidate.member.address]
        v4 = [candidate for candidate in addresses if ":" not in candidate.member.address]
        by_family: dict[LookupFamily, list[_Candidate]] = {
            "auto": v6 or v4,
            "v4only": v4,
            "v6only": v6,
            "v4preferred": v4 or v6,
            "all": addresses,
        }
        chosen += by_family[family]
    return sorted(chosen, key=lambda candidate: candidate.address)


def _endpoints(candidates: list[_Candidate], zone: str) -> tuple[Endpoint, ...]:
    members = [candidate.member for candidate in candidates]
    hinted = all(member.for_zones for member in members) and any(zone in member.for_zones for member in members)
    return tuple(
        Endpoint(
            candidate.address,
            zone=candidate.member.zone,
            priority=int(hinted and zone not in candidate.member.for_zones),
            metadata=_metadata(candidate.member),
            for_zones=candidate.member.for_zones,
        )
        for candidate in candidates
    )


def _metadata(member: Member) -> tuple[tuple[str, str], ...]:
    facts = (("pod", member.pod), ("node", member.node), ("zones", ",".join(member.for_zones)))
    return tuple((name, value) for name, value in facts if value)


def _shortened(problems: list[str]) -> str:
    more = len(problems) - SHOWN_PROBLEMS
    return " ".join(problems[:SHOWN_PROBLEMS]) + (f" And {more} more." if more > 0 else "")
