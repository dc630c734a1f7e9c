"""From a URL map to the gateway's routes, which are tried in order.

Google matches the most specific host first (an exact name, then the longest `*.suffix`, then `*`), then an exact path,
then the longest prefix; route rules go by their priority instead. So that is the order in which routes are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.configuration.model import HeaderMatch, Redirect
from infra.twin.front_end.durations import seconds

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Forward:
    """One route. `services` are (stored name, weight); with a redirect there are none. `timeout` is in seconds; None:
    the longest of its services'."""

    name: str
    hosts: tuple[str, ...] = ()
    path: str | None = None
    path_prefix: str | None = None
    headers: tuple[HeaderMatch, ...] = ()
    services: tuple[tuple[str, int], ...] = ()
    redirect: Redirect | None = None
    timeout: float | None = None
    takes: bool = True
    """False: it has a condition that the twin cannot compare, so that it takes nothing: better than everything."""
    ignored: tuple[str, ...] = field(default=(), compare=False)
    """Places of what the twin keeps and does not honour."""


_CODES = {
    "MOVED_PERMANENTLY_DEFAULT": 301,
    "FOUND": 302,
    "SEE_OTHER": 303,
    "TEMPORARY_REDIRECT": 307,
    "PERMANENT_REDIRECT": 308,
}


def routes(url_map: Json) -> tuple[Forward, ...]:
    """All routes of a URL map, the first that matches first."""
    matchers = {matcher["name"]: matcher for matcher in url_map.get("pathMatchers", ())}
    hosts = [(host, matchers[rule["pathMatcher"]]) for rule in url_map.get("hostRules", ()) for host in rule["hosts"]]
    found: list[Forward] = []
    for host, matcher in sorted(hosts, key=lambda entry: _host_order(entry[0])):
        authorities = () if host == "*" else (host.lower(),)
        found += (replace(route, hosts=authorities) for route in _of_matcher(matcher))
    return (*found, *_default(url_map, url_map["name"]))


def _host_order(host: str) -> tuple[int, int, str]:
    """Exact names, then longer suffixes, then `*`."""
    return (1 if host.startswith("*") else 0, -len(host), host)


def _of_matcher(matcher: Json) -> Iterator[Forward]:
    name = matcher["name"]
    rules = sorted(matcher.get("routeRules", ()), key=lambda rule: rule["priority"])
    for rule in rules:
        base = _action(rule, f"{name}/{rule['priority']}")
        for match in rule.get("matchRules", ()) or ({"prefixMatch": "/"},):
            yield _matching(base, match)
    paths = [(path, rule) for rule in matcher.get("pathRules", ()) for path in rule.get("paths", ())]
    for path, rule in sorted(paths, key=lambda entry: (entry[0].endswith("*"), -len(entry[0]), entry[0])):
        base = _action(rule, f"{name}{path}")
        yield replace(base, path_prefix=path[:-1]) if path.endswith("*") else replace(base, path=path)
    yield from _default(matcher, name)


def _matching(base: Forward, match: Json) -> Forward:
    known = ("prefixMatch", "fullPathMatch", "headerMatches", "ignoreCase")
    unknown = [f"matchRules.{name}" for name in match if name not in known and match[name]]
    ignored = ["matchRules.ignoreCase"] if match.get("ignoreCase") else []
    headers = []
    for header in match.get("headerMatches", ()):
        foreign = {"regexMatch", "rangeMatch", "suffixMatch"} & set(header)
        if foreign:
            unknown += (f"headerMatches.{header.get('headerName')}.{name}" for name in sorted(foreign))
        else:
            headers.append(
                HeaderMatch(
                    header["headerName"].lower(),
                    header.get("exactMatch"),
                    header.get("prefixMatch"),
                    bool(header.get("invertMatch", False)) != (header.get("presentMatch") is False),
                )
            )
    return replace(
        base,
        path=match.get("fullPathMatch") or None,
        path_prefix=match.get("prefixMatch") or None,
        headers=tuple(headers),
        takes=not unknown,
        ignored=(*base.ignored, *ignored, *unknown),
    )


def _default(owner: Json, name: str) -> Iterator[Forward]:
    renamed = {
        "service": owner.get("defaultService"),
        "routeAction": owner.get("defaultRouteAction"),
        "urlRedirect": owner.get("defaultUrlRedirect"),
    }
    yield _action({key: value for key, value in renamed.items() if value is not None}, name)


def _action(rule: Json, name: str) -> Forward:
    action = rule.get("routeAction", {})
    ignored = tuple(f"routeAction.{key}" for key in action if key not in ("timeout", "weightedBackendServices"))
    if "urlRedirect" in rule:
        return Forward(name, redirect=_redirect(rule["urlRedirect"]), ignored=ignored)
    weighted: Sequence[Json] = action.get("weightedBackendServices", ())
    services = [(entry["backendService"], int(entry.get("weight", 0))) for entry in weighted]
    if not services and "service" in rule:
        services = [(rule["service"], 1)]
    return Forward(
        name,
        services=tuple(entry for entry in services if entry[1] > 0),
        timeout=seconds(action["timeout"]) if "timeout" in action else None,
        ignored=ignored,
    )


def _redirect(told: Json) -> Redirect:
    return Redirect(
        code=_CODES[told.get("redirectResponseCode", "MOVED_PERMANENTLY_DEFAULT")],
        https=bool(told.get("httpsRedirect", False)),
        host=told.get("hostRedirect") or None,
        path=told.get("pathRedirect") or None,
        prefix=told.get("prefixRedirect") or None,
        strip_query=bool(told.get("stripQuery", False)),
    )
