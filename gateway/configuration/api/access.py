"""Who may call each method, from authentication and usage rules together.

Two rules meet: authentication says which tokens a method asks for, usage says whether callers without an established
identity may call. API keys are not checked, so a verified token is the only identity there is:

    requirements  anonymous callers  result
    none          allowed            open
    none          not allowed        refused for everyone, 401
    some          allowed            a token, or none where allow_without_credential says so
    some          not allowed        a token, whatever allow_without_credential says
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..model import Access
from ..problems import Place, Problems
from ..selectors import Rules
from .definition import ApiDefinition, AuthenticationRule, in_order

_UNREGISTERED_MESSAGE = (
    "UNAUTHENTICATED: Method doesn't allow unregistered callers (callers without established identity)."
    " Please use API Key or other form of API consumer identity to call this API."
)
UNREGISTERED = (401, _UNREGISTERED_MESSAGE)
"""Google's own answer, by which clients recognise the case."""

_NAMED_AT_MOST = 8


def access_by_authentication(rules: Rules[AuthenticationRule], method: str) -> Access:
    """The access of a method to which no usage rules apply."""
    rule = rules.last_for(method)
    if rule is None or not rule.requirements:
        return Access()
    return Access(rule.requirements, rule.allow_without_credential)


@dataclass(slots=True)
class _Findings:
    token_instead_of_key: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    forced_token: list[str] = field(default_factory=list)


def access_by_method(
    definition: ApiDefinition, methods: Sequence[str], usage_place: Place, problems: Problems
) -> dict[str, Access]:
    """The access of each method. What API keys would decide is said once, at `usage_place`."""
    result: dict[str, Access] = {}
    findings = _Findings()
    authentication = in_order(definition.authentication_rules)
    usage = None if definition.usage_rules is None else in_order(definition.usage_rules)
    for method in methods:
        access = access_by_authentication(authentication, method)
        rule = usage.last_for(method) if usage else None
        if usage and not (rule and rule.anonymous):
            access = _identified(access, method, findings)
        result[method] = access
    _say(findings, usage_place, problems)
    return result


def _identified(access: Access, method: str, findings: _Findings) -> Access:
    if not access.requirements:
        findings.refused.append(method)
        return Access(deny=UNREGISTERED)
    (findings.forced_token if access.allow_without_credential else findings.token_instead_of_key).append(method)
    return Access(access.requirements)


def _say(findings: _Findings, place: Place, problems: Problems) -> None:
    if findings.token_instead_of_key:
        problems.warning(
            place,
            "API keys are not checked: without allow_unregistered_calls these methods are served to callers"
            f" whose token was verified: {_some(findings.token_instead_of_key)}",
        )
    if findings.forced_token:
        problems.warning(
            place,
            "allow_without_credential has no effect where allow_unregistered_calls is false; these methods need"
            f" a token: {_some(findings.forced_token)}",
        )
    if findings.refused:
        problems.warning(
            place,
            "API keys are not checked: these methods answer 401 to every caller, as they neither allow unregistered"
            f" calls nor have an authentication rule that asks for a token: {_some(findings.refused)}",
            "set allow_unregistered_calls: true in usage.rules, or give authentication.rules requirements",
        )


def _some(methods: Sequence[str]) -> str:
    shown = ", ".join(methods[:_NAMED_AT_MOST])
    return shown if len(methods) <= _NAMED_AT_MOST else f"{shown} and {len(methods) - _NAMED_AT_MOST} more"
