"""A field that restricts access is honoured or keeps the gateway from starting; none is silently ignored."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.configuration.api.access import UNREGISTERED, access_by_method
from gateway.configuration.api.definition import ApiDefinition, AuthenticationRule, UsageRule
from gateway.configuration.model import Access, Requirement
from gateway.configuration.problems import Place, Problems
from gateway.configuration.service_config.fields import SERVICE, table
from gateway.configuration.shape import Field, Listing, Record, Shape
from tests.configuration.helpers import by_name, load_service, read_service, said, service_problems

HEAD = "name: api.example.com\napis: [{name: api.Echo, methods: [{name: Echo}]}]\n"
PROVIDER = "providers: [{id: staff, issuer: 'https://login.example.com'}]"
METHOD = "api.Echo.Echo"


def rule(requirements: bool | None, optional: bool) -> str:
    if requirements is None:
        return ""
    listed = "requirements: [{provider_id: staff}]" if requirements else "requirements: []"
    allowed = ", allow_without_credential: true" if optional else ""
    return f"authentication: {{{PROVIDER}, rules: [{{selector: '*', {listed}{allowed}}}]}}\n"


def usage(anonymous: bool | None) -> str:
    return (
        ""
        if anonymous is None
        else f"usage: {{rules: [{{selector: '*', allow_unregistered_calls: {str(anonymous).lower()}}}]}}\n"
    )


@pytest.mark.parametrize(
    ("requirements", "optional", "anonymous"),
    list(itertools.product([None, False, True], [False, True], [None, False, True])),
)
def test_who_may_call(tmp_path: Path, requirements: bool | None, optional: bool, anonymous: bool | None) -> None:
    loaded = load_service(tmp_path, HEAD + rule(requirements, optional) + usage(anonymous))
    access = by_name(loaded)[METHOD].access
    if requirements:
        assert access == Access((Requirement("staff"),), optional and anonymous is True)
    else:
        assert access == (Access() if anonymous else Access(deny=UNREGISTERED))
    assert ("API keys are not checked" in said(loaded)) == (not anonymous and not (requirements and optional))
    assert ("allow_without_credential has no effect" in said(loaded)) == bool(
        requirements and optional and not anonymous
    )


def test_the_answer_to_unregistered_callers_is_googles() -> None:
    status, message = UNREGISTERED
    assert status == 401
    assert message == (
        "UNAUTHENTICATED: Method doesn't allow unregistered callers (callers without established identity). "
        "Please use API Key or other form of API consumer identity to call this API."
    )


PATTERNS = st.sampled_from(["*", "a.*", "a.S.*", "a.S.M", "a.S.N", "b.*"])


@given(
    st.lists(st.tuples(PATTERNS, st.booleans(), st.booleans()), max_size=6),
    st.lists(st.tuples(PATTERNS, st.booleans()), max_size=6),
)
def test_an_open_method_was_opened_by_the_last_rule_of_both_kinds(
    authentication: list[tuple[str, bool, bool]], usage_rules: list[tuple[str, bool]]
) -> None:
    def matches(pattern: str, method: str) -> bool:
        return pattern in ("*", method) or (pattern.endswith(".*") and method.startswith(pattern[:-1]))

    place = Place("service.yaml", 1)
    definition = ApiDefinition(
        authentication_rules=tuple(
            AuthenticationRule(pattern, place, (Requirement("staff"),) if token else (), optional)
            for pattern, token, optional in authentication
        ),
        usage_rules=tuple(UsageRule(pattern, place, anonymous) for pattern, anonymous in usage_rules),
    )
    methods = ["a.S.M", "a.S.N", "a.S.*", "b.T.M"]
    for method, access in access_by_method(definition, methods, place, Problems()).items():
        tokens = [(token, optional) for pattern, token, optional in authentication if matches(pattern, method)]
        anonymous = [allowed for pattern, allowed in usage_rules if matches(pattern, method)]
        needs_token, optional = tokens[-1] if tokens else (False, False)
        anyone = bool(anonymous) and anonymous[-1]
        serves_without_token = access.deny is None and (not access.requirements or access.allow_without_credential)
        assert serves_without_token == (anyone and (not needs_token or optional))
        assert bool(access.requirements) == needs_token


RESTRICTING = {
    "usage.requirements": "usage: {requirements: ['serviceusage.googleapis.com/tos/universal']}",
    "usage.service_access": "usage: {service_access: ORG_RESTRICTED}",
    "visibility": "visibility: {rules: [{selector: '*', restriction: TRUSTED_TESTER}]}",
    "authentication.rules[].oauth": "authentication: {rules: [{selector: '*', oauth: {canonical_scopes: 'x'}}]}",
    "authentication.rules[].custom_auth": "authentication: {rules: [{selector: '*', custom_auth: {provider: 'x'}}]}",
    "control.method_policies": "control: {method_policies: [{selector: '*'}]}",
    "backend.rules[].jwt_audience": "backend: {rules: [{selector: '*', address: 'grpc://b:1', jwt_audience: x}]}",
    "backend.rules[].rename_to": "backend: {rules: [{selector: '*', rename_to: x}]}",
    "backend.rules[].overrides_by_request_protocol": (
        "backend: {rules: [{selector: '*', overrides_by_request_protocol: {grpc: {address: 'grpc://b:1'}}}]}"
    ),
}


@pytest.mark.parametrize("path", RESTRICTING)
def test_what_cannot_be_honoured_keeps_the_gateway_from_starting(tmp_path: Path, path: str) -> None:
    problems = service_problems(tmp_path, HEAD + RESTRICTING[path])
    assert any("cannot be honoured" in problem.message and problem.line == 3 for problem in problems)


def test_every_refused_field_is_tested() -> None:
    assert {path for path, handling, _ in table() if handling == "refused"} == set(RESTRICTING)


FAULTY = [
    "authentication: {rules: [{selector: '*', requirements: [{provider_id: nobody}]}]}",
    "authentication: {rules: [{selector: '*', requirements: [{}]}]}",
    "authentication: {rules: [{selector: '*', requirements: [{provider_id: ''}]}]}",
    "authentication: {rules: [{selector: '*', requirements: }]}",
    "authentication: {rules: [{selector: '*', requirements: staff}]}",
    "authentication: {rules: [{selector: '*', requirement: [{provider_id: staff}]}]}",
    "authentication: {rules: [{selector: 'api.echo.*', requirements: []}]}",
    "authentication: {rules: [{selector: 'api.Echo', requirements: []}]}",
    "authentication: {rules: [{selector: 'api.Echo.E*', requirements: []}]}",
    "authentication: {rules: [{requirements: []}]}",
    "authentication: {rules: }",
    "authentication: ",
    "authentification: {rules: []}",
    "authentication: {providers: [{id: a, issuer: 'https://a', audiences: ' , '}]}",
    "authentication: {providers: [{id: a, issuer: 'https://a', audiences: ['x']}]}",
    "authentication: {providers: [{id: a, issuer: ''}]}",
    "authentication: {providers: [{id: a}]}",
    "authentication: {providers: [{id: a, issuer: 'https://a'}, {id: a, issuer: 'https://b'}]}",
    "authentication: {providers: [{id: a, issuer: 'someone'}, {id: b, issuer: 'who@example.com'}]}",
    "authentication: {providers: [{id: a, issuer: 'http://login.example.com'}]}",
    "authentication: {providers: [{id: a, issuer: 'https://a', jwks_uri: 'ftp://x/y'}]}",
    "authentication: {providers: [{id: a, issuer: 'https://a', jwks_uri: 'https://user:pass@x/y'}]}",
    "authentication: {providers: [{id: a, issuer: 'https://a', jwt_locations: [{}]}]}",
    "authentication: {providers: [{id: a, issuer: 'https://a', jwt_locations: []}]}",
    "authentication: {providers: [{id: a, issuer: 'https://a', jwt_locations: [{query: t, value_prefix: x}]}]}",
    "usage: {rules: [{selector: '*', allow_unregistered_calls: 'true'}]}",
    "usage: {rules: [{selector: '*', allow_unregistered_calls: 1}]}",
    "usage: {rules: [{selector: '*', allow_unregistered_call: true}]}",
    "usage: {rules: [{allow_unregistered_calls: true}]}",
]


@pytest.mark.parametrize("fault", FAULTY)
def test_a_faulty_rule_is_an_error_and_never_an_open_door(tmp_path: Path, fault: str) -> None:
    assert service_problems(tmp_path, HEAD + fault + "\n"), fault


def test_a_secret_in_a_url_is_not_repeated(tmp_path: Path) -> None:
    text = "backend: {rules: [{selector: '*', address: 'grpc://user:hunter2@b:1', disable_auth: true}]}\n"
    assert all("hunter2" not in str(problem) for problem in service_problems(tmp_path, HEAD + text))


def _fields(shape: Shape, path: str = "") -> list[tuple[str, Field]]:
    if isinstance(shape, Listing):
        return _fields(shape.item, path)
    if not isinstance(shape, Record):
        return []
    found = []
    for name, known in shape.fields.items():
        found.append((f"{path}.{name}".lstrip("."), known))
        found += _fields(known.shape, f"{path}.{name}")
    return found


@pytest.mark.parametrize(
    ("path", "handling"),
    [
        (path, known.handling)
        for path, known in _fields(SERVICE)
        if known.handling in ("ignored", "described") and "." not in path
    ],
)
def test_every_field_that_is_not_honoured_is_named_with_its_line(path: str, handling: str) -> None:
    value = "text" if path in ("title", "producer_project_id") else "{rules: [{selector: '*'}]}"
    _, problems = read_service(f"{HEAD}{path}: {value}\n")
    (found,) = [problem for problem in problems if problem.path == path]
    assert (found.line, found.severity) == (3, "warning" if handling == "ignored" else "note")
    assert found.message.startswith("not honoured: ")


def test_a_method_of_a_service_without_descriptor_is_no_more_open_than_the_service(tmp_path: Path) -> None:
    text = f"""\
name: api.example.com
apis: [{{name: api.Echo}}]
usage:
  rules:
  - {{selector: api.Echo.Open, allow_unregistered_calls: true}}
authentication:
  {PROVIDER}
  rules:
  - {{selector: api.Echo.Guarded, requirements: [{{provider_id: staff}}]}}
"""
    methods = by_name(load_service(tmp_path, text))
    assert methods["api.Echo.Open"].access == Access()
    assert methods["api.Echo.Guarded"].access == Access((Requirement("staff"),))
    assert methods["api.Echo.*"].access == Access(deny=UNREGISTERED)
