"""Follows a `dns:` target."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from gateway.configuration.model import LookupFamily
from gateway.discover.again import Again
from gateway.discover.back_off import BackOff
from gateway.discover.dns.records import (
    KINDS,
    Addresses,
    Kind,
    Lookup,
    QuestionFailed,
    Questions,
    Services,
    of_addresses,
    of_services,
)
from gateway.discover.dns.schedule import after_answer
from gateway.discover.dns.target import DnsTarget
from gateway.discover.source import Endpoint, Failed, Found, Settings, Update

QUESTIONS_AT_ONCE = 16

AskAddresses = Callable[[str, Kind], Awaitable[Addresses]]
OpenQuestions = Callable[[DnsTarget, Settings], Awaitable[Questions]]
"""Finds out whom to ask. Raises QuestionFailed."""


async def ask_name_servers(target: DnsTarget, settings: Settings) -> Questions:
    """Those of the target, else those of resolv.conf, which is read anew."""
    from gateway.discover.dns.questions import open_questions

    return await open_questions(target.servers, settings)


@dataclass(frozen=True, slots=True)
class DnsName:
    target: DnsTarget
    settings: Settings
    open_questions: OpenQuestions = ask_name_servers
    chance: Callable[[], float] = random.random
    again: Again = field(default_factory=Again, compare=False, repr=False)

    def refresh(self) -> None:
        self.again.want()

    async def watch(self) -> AsyncIterator[Update]:
        back_off = BackOff(chance=self.chance)
        before: frozenset[Endpoint] | None = None
        known: dict[str, Addresses] = {}
        while True:
            try:
                lookup = await self._look(known)
            except QuestionFailed as failure:
                yield Failed(str(failure))
                await asyncio.sleep(back_off.next())
            else:
                back_off.reset()
                empty = not lookup.endpoints
                pause = after_answer(lookup.ttl, empty, self.target.interval, self.settings.interval)
                found = frozenset(lookup.endpoints)
                changed, before = found != before, found
                yield Found(lookup.endpoints, lookup.hint)
                await self.again.pause(pause, changed)

    async def _look(self, known: dict[str, Addresses]) -> Lookup:
        """`known` are the addresses of SRV targets, for those that cannot be asked for now."""
        questions = await self.open_questions(self.target, self.settings)
        name, port, family = self.target.name, self.target.port, self.settings.family
        if port is not None:
            return of_addresses(name, port, await _addresses(questions.addresses, name, family))
        services = await questions.services(self.target.service)
        failures = await _of_targets(questions, services, family, known)
        if failures and not known:
            raise QuestionFailed(failures[0])
        return of_services(self.target.service, services, known, failures)


async def _addresses(ask: AskAddresses, name: str, family: LookupFamily) -> Addresses:
    """What counts for the family, with the shortest TTL of what was asked."""
    collected = Addresses((), float("inf"))
    for kind in KINDS[family]:
        answer = await ask(name, kind)
        ttl = min(collected.ttl, answer.ttl)
        collected = Addresses((*collected.found, *answer.found), ttl, answer.exists or bool(collected.found))
        if not answer.exists or (answer.found and family != "all"):
            break
    return collected


async def _of_targets(
    questions: Questions, services: Services, family: LookupFamily, known: dict[str, Addresses]
) -> list[str]:
    """Brings `known` up to date for the targets of SRV records; returns what could not be asked."""
    targets = sorted({service.target for service in services.found})
    for gone in known.keys() - set(targets):
        del known[gone]
    failures: list[str] = []
    turn = asyncio.Semaphore(QUESTIONS_AT_ONCE)

    async def ask_where_needed(name: str, kind: Kind) -> Addresses:
        beside = services.beside.get((name, kind))
        return Addresses(beside, services.ttl) if beside else await questions.addresses(name, kind)

    async def look(target: str) -> None:
        async with turn:
            try:
                known[target] = await _addresses(ask_where_needed, target, family)
            except QuestionFailed as failure:
                failures.append(str(failure))

    async with asyncio.TaskGroup() as group:
        for target in targets:
            group.create_task(look(target))
    return sorted(failures)
