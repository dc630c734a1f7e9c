"""An API as rules over selectors, before it is known which methods there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from ..model import Binding, Requirement, Retry
from ..problems import Place
from ..selectors import Rules


@dataclass(frozen=True, slots=True)
class Service:
    """One gRPC service; `methods` are the names that were listed, none for all that its descriptor has."""

    name: str
    place: Place
    methods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """`selector` has been checked by `selectors.check_selector`."""

    selector: str
    place: Place


AnyRule = TypeVar("AnyRule", bound=Rule)


def in_order(rules: Iterable[AnyRule]) -> Rules[AnyRule]:
    """Rules to be looked up by method."""
    return Rules(rules, lambda rule: rule.selector)


@dataclass(frozen=True, slots=True)
class AuthenticationRule(Rule):
    requirements: tuple[Requirement, ...] = ()
    allow_without_credential: bool = False


@dataclass(frozen=True, slots=True)
class UsageRule(Rule):
    """Whether callers without an established identity (an API key, or a verified token instead) may call."""

    anonymous: bool = False


@dataclass(frozen=True, slots=True)
class HttpRule(Rule):
    """Replaces the bindings that the descriptor's annotations give a method."""

    bindings: tuple[Binding, ...] = ()


@dataclass(frozen=True, slots=True)
class BackendRule(Rule):
    """None leaves to the routes where the method goes, to routes and backends when it is sent again, and to the
    defaults how long it may take (seconds)."""

    backend: str | None = None
    timeout: float | None = None
    retry: Retry | None = None
    rate_limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DescriptorSet:
    """A serialized google.protobuf.FileDescriptorSet and where it came from."""

    data: bytes
    place: Place


@dataclass(frozen=True, slots=True)
class ApiDefinition:
    """`services` None: every service of the descriptors. `usage_rules` None: callers need no identity."""

    services: tuple[Service, ...] | None = None
    authentication_rules: tuple[AuthenticationRule, ...] = ()
    usage_rules: tuple[UsageRule, ...] | None = None
    http_rules: tuple[HttpRule, ...] = ()
    backend_rules: tuple[BackendRule, ...] = ()
    descriptors: tuple[DescriptorSet, ...] = ()

    @property
    def rules(self) -> tuple[Rule, ...]:
        usage = self.usage_rules or ()
        return (*self.authentication_rules, *usage, *self.http_rules, *self.backend_rules)
