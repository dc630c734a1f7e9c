"""HTTP bindings of methods: the grammar of path templates, and whose rule wins."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..model import Binding
from ..problems import Place, Problems
from ..section import Section
from .definition import HttpRule, in_order
from .descriptors import HEALTH_SERVICE, Described

_LITERAL = r"[^/{}*?#\s]+"
_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"
_FIELD_PATH = rf"{_IDENTIFIER}(?:\.{_IDENTIFIER})*"
_SEGMENT = rf"(?:\*\*|\*|{_LITERAL})"
_VARIABLE = rf"\{{(?P<field>{_FIELD_PATH})(?:=(?P<inner>{_SEGMENT}(?:/{_SEGMENT})*))?\}}"
_PART = re.compile(rf"/(?:{_VARIABLE}|(?P<plain>{_SEGMENT}))", re.ASCII)
_CUSTOM_VERB = re.compile(r":[^/:{}*?#\s]+", re.ASCII)
_HTTP_METHOD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}", re.ASCII)


def check_template(text: str) -> str:
    """A path template, as given, in the grammar of google/api/http.proto with segments after `**` as ESP allows them.

    ValueError says what is wrong.
    """
    if text == "/":
        return text
    position, variables, wildcards = 0, set[str](), 0
    while part := _PART.match(text, position):
        wildcards += (part["inner"] or part["plain"] or "").split("/").count("**")
        if part["field"] in variables:
            raise ValueError(f'"{text}": variable {part["field"]} stands twice')
        if part["field"]:
            variables.add(part["field"])
        position = part.end()
    if verb := _CUSTOM_VERB.match(text, position):
        position = verb.end()
    if position == 0 or position != len(text):
        raise ValueError(
            f'"{text}" is not a path template such as /v1/{{name=shelves/*}}:read, from "{text[position:]}" on'
        )
    if wildcards > 1:
        raise ValueError(f'"{text}": a path template has one ** at most')
    return text


def check_http_method(text: str) -> str:
    """An HTTP method, in capitals. ValueError says what is wrong."""
    if text == "*":
        raise ValueError('"*" is not supported: write one binding for each HTTP method')
    if not _HTTP_METHOD.fullmatch(text):
        raise ValueError(f'"{text}" is not an HTTP method')
    return text.upper()


def read_http_rule(rule: Section, additional_bindings: str, response_body: str) -> HttpRule:
    """A google.api.HttpRule. The last two say how these keys are written."""
    found = (_binding(part, response_body) for part in (rule, *rule.sections(additional_bindings)))
    bindings = tuple(binding for binding in found if binding is not None)
    return HttpRule(rule.text("selector", "*"), rule.place("selector"), bindings)


def _binding(rule: Section, response_body: str) -> Binding | None:
    custom = rule.section("custom")
    verb, template, place = custom.text("kind"), custom.text("path"), custom.place("path")
    for key in ("get", "put", "post", "delete", "patch"):
        if key in rule:
            verb, template, place = key.upper(), rule.text(key), rule.place(key)
    if not verb or not template:
        return None
    places = {"template": place, "body": rule.place("body"), "response_body": rule.place(response_body)}
    return Binding(verb, template, rule.text("body"), rule.text(response_body), places)


def bindings_by_method(
    rules: Sequence[HttpRule], methods: Sequence[str], described: Described, problems: Problems
) -> dict[str, tuple[Binding, ...]]:
    """The bindings of each method that has some: the last rule for it, else its annotation."""
    _check_rules(rules, described, problems)
    result: dict[str, tuple[Binding, ...]] = {}
    owners: dict[tuple[str, str], str] = {}
    ordered = in_order(rules)
    for method in methods:
        rule = ordered.last_for(method)
        bindings = rule.bindings if rule else _annotated(method, described)
        place = rule.place if rule else Place("descriptors", 0, method)
        for binding in bindings:
            owner = owners.setdefault((binding.verb, binding.template), method)
            if owner != method:
                problems.error(place, f"{binding.verb} {binding.template} is bound to {owner} already")
        if bindings:
            result[method] = bindings
    return result


def _annotated(method: str, described: Described) -> tuple[Binding, ...]:
    service, _, name = method.rpartition(".")
    return next((known.bindings for known in described.get(service, ()) if known.name == name), ())


def _check_rules(rules: Sequence[HttpRule], described: Described, problems: Problems) -> None:
    seen: dict[str, Place] = {}
    for rule in rules:
        if rule.selector.endswith("*") or "," in rule.selector:
            problems.error(rule.place, "an http rule is for one method: give its full name as the selector")
            continue
        if rule.selector in seen:
            problems.warning(
                rule.place, f"replaces the rule for {rule.selector} at {seen[rule.selector]}: the last wins"
            )
        seen[rule.selector] = rule.place
        service = rule.selector.rpartition(".")[0]
        if service not in described and service != HEALTH_SERVICE:
            problems.error(
                rule.place,
                f"{rule.selector} cannot be reached as HTTP and JSON without the descriptor of {service}",
                "give --proto_descriptor=FILE or TIDEGATE_PROTO_DESCRIPTOR",
            )
