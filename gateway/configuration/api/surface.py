"""Which methods an API has: from descriptors, from listed names, or, knowing neither, service by service.

Teams write `apis: [{name: pkg.Service}]`; the methods stand in the descriptor set. Without one, a service is still
served: its methods that rules name, and `pkg.Service.*` for all others. What holds for that wildcard are the rules
which are for every method of the service, so that an unknown method is never more open than a known one.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..problems import Place, Problems, did_you_mean
from ..selectors import named_methods, patterns_for
from .definition import ApiDefinition, Rule, Service
from .descriptors import HEALTH_METHODS, HEALTH_SERVICE, Described

HOW_TO_GIVE_DESCRIPTORS = "give --proto_descriptor=FILE or TIDEGATE_PROTO_DESCRIPTOR"


def method_names(definition: ApiDefinition, described: Described, problems: Problems) -> list[str]:
    """Full names, in the services' order and once each; `pkg.Service.*` for a service whose methods are unknown."""
    services = definition.services
    rules = definition.rules
    if services is None:
        services = tuple(Service(name, Place("")) for name in _all_services(described, rules))
    names: list[str] = []
    seen: dict[str, Place] = {}
    for service in services:
        if service.name in seen:
            problems.error(service.place, f'"{service.name}" is listed a second time (first at {seen[service.name]})')
            continue
        seen[service.name] = service.place
        names.extend(f"{service.name}.{method}" for method in _methods(service, described, rules, problems))
    _check_selectors(rules, names, tuple(seen), problems)
    return names


def _all_services(described: Described, rules: Sequence[Rule]) -> list[str]:
    """Those of the descriptors, and the built-in one where a rule is about it."""
    names = list(described)
    patterns = (pattern for rule in rules for pattern in rule.selector.split(","))
    about_health = any(pattern.startswith(HEALTH_SERVICE + ".") for pattern in patterns)
    return [*names, HEALTH_SERVICE] if about_health and HEALTH_SERVICE not in described else names


def _methods(service: Service, described: Described, rules: Sequence[Rule], problems: Problems) -> list[str]:
    known = _described_methods(service.name, described)
    if known is not None:
        for name in service.methods:
            if name not in known:
                problems.error(service.place, f'{service.name} has no method "{name}"', did_you_mean(name, known))
        return list(dict.fromkeys(name for name in service.methods if name in known)) or known
    if described:
        hint = did_you_mean(service.name, described) or "give a descriptor set that has it"
        problems.error(service.place, f'"{service.name}" is not in the descriptor sets', hint)
        return []
    if service.methods:
        return list(dict.fromkeys(service.methods))
    problems.warning(
        service.place,
        f"no descriptor for {service.name}: all its methods are served by the rules for every method of it,"
        " and JSON is not transcoded for it",
        HOW_TO_GIVE_DESCRIPTORS,
    )
    prefix = service.name + "."
    named = [
        name.removeprefix(prefix) for name in named_methods(rule.selector for rule in rules) if name.startswith(prefix)
    ]
    return [*(name for name in named if "." not in name), "*"]


def _described_methods(service: str, described: Described) -> list[str] | None:
    if service in described:
        return [method.name for method in described[service]]
    return list(HEALTH_METHODS) if service == HEALTH_SERVICE else None


def _check_selectors(
    rules: Sequence[Rule], methods: Sequence[str], services: Sequence[str], problems: Problems
) -> None:
    matching = {"*"}.union(*(patterns_for(method) for method in methods))
    for rule in rules:
        for pattern in rule.selector.split(","):
            if pattern not in matching:
                problems.error(
                    rule.place, f'"{pattern}" selects no method of this API', _hint(pattern, methods, services)
                )


def _hint(pattern: str, methods: Sequence[str], services: Sequence[str]) -> str:
    if pattern in services:
        return f'write "{pattern}.*" for all methods of the service'
    service = pattern.rpartition(".")[0]
    if service == HEALTH_SERVICE and service not in services:
        return f'add "{HEALTH_SERVICE}" to the listed services'
    return did_you_mean(pattern, [*methods, *(f"{name}.*" for name in services)])
