"""URL maps: hosts and paths to backend services, weights, redirects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from infra.twin.discovery.body import Fault
from infra.twin.resources import values
from infra.twin.resources.kind import Json, Kind, Reference, Subject, invalid
from infra.twin.resources.paths import find

MOST_WEIGHT = 1000

_ACTIONS = (
    "defaultRouteAction",
    "pathMatchers[].defaultRouteAction",
    "pathMatchers[].pathRules[].routeAction",
    "pathMatchers[].routeRules[].routeAction",
)
_SERVICES = (
    "defaultService",
    "pathMatchers[].defaultService",
    "pathMatchers[].pathRules[].service",
    "pathMatchers[].routeRules[].service",
    "tests[].service",
    *(f"{action}.weightedBackendServices[].backendService" for action in _ACTIONS),
    *(f"{action}.requestMirrorPolicy.backendService" for action in _ACTIONS),
)
_DEFAULTS = ("defaultService", "defaultUrlRedirect", "defaultRouteAction")
_OF_RULES = ("service", "urlRedirect", "routeAction")
_REDIRECTS = (
    "defaultUrlRedirect",
    "pathMatchers[].defaultUrlRedirect",
    "pathMatchers[].pathRules[].urlRedirect",
    "pathMatchers[].routeRules[].urlRedirect",
)
_MATCHES = "pathMatchers[].routeRules[].matchRules[]"
_VALUES = (
    *(values.duration(f"{action}.timeout") for action in _ACTIONS),
    *(values.host(f"{redirect}.hostRedirect") for redirect in _REDIRECTS),
    *(values.path(f"{redirect}.{name}") for redirect in _REDIRECTS for name in ("pathRedirect", "prefixRedirect")),
    *(values.path(f"{_MATCHES}.{name}") for name in ("fullPathMatch", "prefixMatch")),
    values.path("pathMatchers[].pathRules[].paths[]"),
    values.host_pattern("hostRules[].hosts[]"),
    values.header(f"{_MATCHES}.headerMatches[].headerName"),
)


def _complete(subject: Subject) -> Json:
    resource = subject.resource
    resource.setdefault("description", "")
    return resource


def _check(subject: Subject) -> Iterable[Fault]:
    resource = subject.resource
    yield from _check_aim(resource, "", _DEFAULTS)
    matchers = resource.get("pathMatchers", ())
    names = Counter(matcher.get("name", "") for matcher in matchers)
    used = {rule.get("pathMatcher") for rule in resource.get("hostRules", ())}
    for index, matcher in enumerate(matchers):
        place, name = f"pathMatchers[{index}]", matcher.get("name", "")
        if not name or names[name] > 1:
            yield invalid(f"{place}.name", name, "Each path matcher has a name of its own.")
        if name not in used:
            yield invalid(f"{place}.name", name, "No host rule uses this path matcher.")
        yield from _check_aim(matcher, f"{place}.", _DEFAULTS)
        yield from _check_paths(matcher, place)
    yield from _check_hosts(resource, set(names))
    for action in _ACTIONS:
        for path, value in find(resource, f"{action}.weightedBackendServices"):
            yield from _check_weights(value, path)
    yield from _check_headers(resource)
    yield from values.check_values(resource, _VALUES)


def _check_aim(resource: Mapping[str, Any], place: str, names: tuple[str, str, str]) -> Iterator[Fault]:
    """`place` ends with a dot, or is empty; `names` are those of service, redirect and action there."""
    service, redirect, action = names
    given = [name for name in names if name in resource]
    weighted = bool(resource.get(action, {}).get("weightedBackendServices"))
    if service in given and weighted:
        yield invalid(f"{place}{service}", resource[service], f"With weightedBackendServices there is no {service}.")
    if redirect in given and len(given) > 1:
        yield invalid(f"{place}{redirect}", "", "A redirect stands alone.")
    if not (service in given or redirect in given or weighted):
        message = f"One of {service}, {redirect} and weightedBackendServices is needed in {place or 'it'}"
        yield Fault(f"resource.{place}{service}", message, "required")


def _check_hosts(resource: Mapping[str, Any], matchers: set[str]) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, rule in enumerate(resource.get("hostRules", ())):
        place = f"hostRules[{index}]"
        if rule.get("pathMatcher") not in matchers:
            yield invalid(f"{place}.pathMatcher", rule.get("pathMatcher", ""), "There is no such path matcher.")
        if not rule.get("hosts"):
            yield Fault(f"resource.{place}.hosts", f"Required field 'resource.{place}.hosts' not specified", "required")
        for at, host in enumerate(rule.get("hosts", ())):
            if host in seen:
                yield invalid(f"{place}.hosts[{at}]", host, "The host is in an earlier rule.")
            if "*" in host[1:] or (host.startswith("*") and len(host) > 1 and host[1] not in ".-"):
                yield invalid(f"{place}.hosts[{at}]", host, "* stands first, and before . or - or alone.")
            seen.add(host)


def _check_paths(matcher: Mapping[str, Any], place: str) -> Iterator[Fault]:
    if "pathRules" in matcher and "routeRules" in matcher:
        yield invalid(f"{place}.routeRules", "", "A path matcher has pathRules or routeRules.")
    seen: set[str] = set()
    for part in ("pathRules", "routeRules"):
        for index, rule in enumerate(matcher.get(part, ())):
            yield from _check_aim(rule, f"{place}.{part}[{index}].", _OF_RULES)
    for index, rule in enumerate(matcher.get("pathRules", ())):
        for at, path in enumerate(rule.get("paths", ())):
            here = f"{place}.pathRules[{index}].paths[{at}]"
            if not path.startswith("/") or "*" in path.removesuffix("*") or (path.endswith("*") and path[-2:] != "/*"):
                yield invalid(here, path, "A path begins with /, and * stands last, after a /.")
            if path in seen:
                yield invalid(here, path, "The path is in an earlier rule.")
            seen.add(path)
    priorities = Counter(rule.get("priority") for rule in matcher.get("routeRules", ()))
    for index, rule in enumerate(matcher.get("routeRules", ())):
        if priorities[rule.get("priority")] > 1 or rule.get("priority") is None:
            message = "Each route rule has a priority of its own."
            yield invalid(f"{place}.routeRules[{index}].priority", rule.get("priority"), message)


def _check_headers(resource: Mapping[str, Any]) -> Iterator[Fault]:
    for path, match in find(resource, f"{_MATCHES}.headerMatches[]"):
        if "headerName" not in match:
            field = f"resource.{path}.headerName"
            yield Fault(field, f"Required field '{field}' not specified", "required")


def _check_weights(weighted: list[Mapping[str, Any]], path: str) -> Iterator[Fault]:
    for index, entry in enumerate(weighted):
        weight = entry.get("weight", 0)
        if "backendService" not in entry:
            field = f"resource.{path}[{index}].backendService"
            yield Fault(field, f"Required field '{field}' not specified", "required")
        if not 0 <= weight <= MOST_WEIGHT:
            yield invalid(f"{path}[{index}].weight", weight, f"Must be between 0 and {MOST_WEIGHT}.")
    if weighted and not any(entry.get("weight", 0) > 0 for entry in weighted):
        yield invalid(path, 0, "At least one weight has to be above 0.")


URL_MAP = Kind(
    methods="urlMaps",
    collection="urlMaps",
    schema="UrlMap",
    references=tuple(Reference(pattern, ("backendServices",)) for pattern in _SERVICES),
    fingerprint=True,
    complete=_complete,
    check=_check,
)
