"""google.api.Service: what it becomes, and what is said of it."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from gateway.configuration import ConfigurationError, load
from gateway.configuration.model import Binding, Location, Requirement
from tests.configuration.helpers import (
    BACKEND,
    ECHO_AND_REVERSE,
    FIXTURES,
    by_name,
    describe,
    descriptors,
    load_service,
    read_service,
    said,
    service_problems,
)

HEAD = """\
type: google.api.Service
config_version: 3
name: api.example.com
apis:
- name: api.Echo
- name: api.Reverse
"""
OPEN = "usage: {rules: [{selector: '*', allow_unregistered_calls: true}]}\n"
STAFF = """\
authentication:
  providers:
  - id: staff
    issuer: https://login.example.com
"""


def test_the_article(tmp_path: Path) -> None:
    loaded = load([BACKEND, f"--service_json_path={FIXTURES / 'article.yaml'}"], {}, describe=describe)
    methods = by_name(loaded)
    check = methods["grpc.health.v1.Health.Check"]
    assert check.bindings == (Binding("GET", "/v1/health"),)
    assert check.access.requirements == ()
    assert check.access.deny is None
    for name in ("predictor.v1.Predictor.*", "grpc.health.v1.Health.Watch"):
        assert methods[name].access.requirements == (Requirement("customer"),)
        assert not methods[name].access.allow_without_credential
    (provider,) = loaded.config.authentication.providers
    assert provider.audiences == ("https://predictor.endpoints.example-project.cloud.goog",)
    assert provider.jwks is not None
    assert provider.jwks.startswith("https://www.googleapis.com/robot/v1/metadata/x509/customer@")
    text = said(loaded)
    assert "title: not honoured" in text
    assert f"{FIXTURES / 'article.yaml'}:32: endpoints[0].target: not honoured" in text
    assert "no descriptor for predictor.v1.Predictor" in text
    assert text.count("API keys are not checked") == 1


def test_with_descriptors_every_method_is_known(tmp_path: Path) -> None:
    loaded = load_service(tmp_path, HEAD + OPEN, services=ECHO_AND_REVERSE)
    assert list(by_name(loaded)) == ["api.Echo.Echo", "api.Echo.Watch", "api.Reverse.Reverse"]
    assert tmp_path / "api.pb" in loaded.config.sources


def test_methods_that_are_listed_are_the_only_ones(tmp_path: Path) -> None:
    text = "name: x.example.com\napis: [{name: api.Echo, methods: [{name: Echo}]}]\n"
    assert list(by_name(load_service(tmp_path, text, services=ECHO_AND_REVERSE))) == ["api.Echo.Echo"]
    assert list(by_name(load_service(tmp_path, text))) == ["api.Echo.Echo"]
    (error,) = service_problems(
        tmp_path, "name: x\napis: [{name: api.Echo, methods: [{name: Ecco}]}]", services=ECHO_AND_REVERSE
    )
    assert error.suggestion == 'did you mean "Echo"?'


def test_without_descriptors_rules_for_one_method_hold_for_it_alone(tmp_path: Path) -> None:
    rules = """\
  rules:
  - selector: api.Echo.*
    requirements: [{provider_id: staff}]
  - selector: api.Echo.Open
"""
    methods = by_name(load_service(tmp_path, HEAD + OPEN + STAFF + rules))
    assert list(methods) == ["api.Echo.Open", "api.Echo.*", "api.Reverse.*"]
    assert methods["api.Echo.Open"].access.requirements == ()
    assert methods["api.Echo.*"].access.requirements == (Requirement("staff"),)


def test_json_as_googles_service_management_returns_it(tmp_path: Path) -> None:
    document = {
        "name": "api.example.com",
        "id": "2024-01-01r0",
        "configVersion": 3,
        "producerProjectId": "example",
        "apis": [
            {
                "name": "api.Echo",
                "methods": [
                    {"name": "Echo", "requestTypeUrl": "type.googleapis.com/api.Content", "syntax": "SYNTAX_PROTO3"}
                ],
                "version": "v1",
                "sourceContext": {"fileName": "api.proto"},
                "syntax": "SYNTAX_PROTO3",
            }
        ],
        "types": [{"name": "api.Content", "fields": [{"name": "content"}]}],
        "usage": {"rules": [{"selector": "api.Echo.Echo", "allowUnregisteredCalls": True}]},
        "http": {"rules": [{"selector": "api.Echo.Echo", "post": "/v1/echo", "body": "*", "responseBody": "content"}]},
        "sourceInfo": {
            "sourceFiles": [
                {
                    "@type": "type.googleapis.com/google.api.servicemanagement.v1.ConfigFile",
                    "filePath": "api.pb",
                    "fileContents": base64.b64encode(descriptors({"api.Echo": ["Echo"]})).decode(),
                    "fileType": "FILE_DESCRIPTOR_SET_PROTO",
                }
            ]
        },
        "control": {"environment": "servicecontrol.googleapis.com"},
    }
    loaded = load_service(tmp_path, json.dumps(document, indent=2))
    assert by_name(loaded)["api.Echo.Echo"].bindings == (Binding("POST", "/v1/echo", "*", "content"),)
    assert loaded.config.embedded_descriptors == (descriptors({"api.Echo": ["Echo"]}),)
    assert "control.environment: not honoured" in said(loaded)


def test_http_rules_replace_annotations(tmp_path: Path) -> None:
    bindings = {
        "api.Echo.Echo": [{"verb": "GET", "template": "/annotated", "body": "", "response_body": ""}],
        "api.Reverse.Reverse": [{"verb": "GET", "template": "/reverse", "body": "", "response_body": ""}],
    }
    rules = """\
http:
  rules:
  - selector: api.Echo.Echo
    post: /v1/echo
    body: "*"
    additional_bindings:
    - get: /v1/echo/{content}
    - custom: {kind: head, path: /v1/echo}
"""
    methods = by_name(load_service(tmp_path, HEAD + OPEN + rules, services=ECHO_AND_REVERSE, bindings=bindings))
    assert methods["api.Echo.Echo"].bindings == (
        Binding("POST", "/v1/echo", "*"),
        Binding("GET", "/v1/echo/{content}"),
        Binding("HEAD", "/v1/echo"),
    )
    assert methods["api.Reverse.Reverse"].bindings == (Binding("GET", "/reverse"),)


def test_providers() -> None:
    service, problems = read_service(
        HEAD
        + """\
authentication:
  providers:
  - id: a
    issuer: https://a.example.com
    audiences: " one, two ,"
    jwt_locations:
    - header: X-Token
      value_prefix: "Token "
    - query: token
    - cookie: session
  - id: b
    issuer: robot@example.iam.gserviceaccount.com
  - id: c
    issuer: https://c.example.com
    jwks_uri: file:///etc/keys.json
"""
    )
    assert not problems.errors
    a, b, c = service.providers
    assert (a.audiences, a.jwks) == (("one", "two"), None)
    assert a.locations == (
        Location("header", "x-token", "Token "),
        Location("query", "token"),
        Location("cookie", "session"),
    )
    assert b.jwks == "https://www.googleapis.com/robot/v1/metadata/x509/robot@example.iam.gserviceaccount.com"
    assert b.audiences == ("https://api.example.com",)
    assert c.jwks == "/etc/keys.json"


def test_the_audience_check_can_be_turned_off_by_its_flag(tmp_path: Path) -> None:
    loaded = load_service(tmp_path, HEAD + OPEN + STAFF, "--disable_jwt_audience_service_name_check")
    assert loaded.config.authentication.providers[0].audiences == ()


def test_backend_rules(tmp_path: Path) -> None:
    rules = """\
backend:
  rules:
  - selector: api.Echo.*
    address: grpcs://echo.example.com
    deadline: 2.5
    disable_auth: true
  - selector: api.Reverse.Reverse
    address: https://reverse.example.com:8443
    protocol: h2
    path_translation: APPEND_PATH_TO_ADDRESS
    deadline: -1
  - selector: api.Echo.Watch
    deadline: 0
"""
    loaded = load_service(
        tmp_path, HEAD + OPEN + rules, "--ssl_backend_client_root_certs_file=/ca.pem", services=ECHO_AND_REVERSE
    )
    methods = by_name(loaded)
    backends = {backend.name: backend for backend in loaded.config.backends}
    echo = backends[str(methods["api.Echo.Echo"].backend)]
    assert (echo.targets, echo.authority) == (("echo.example.com:443",), "echo.example.com")
    assert echo.tls is not None
    assert echo.tls.ca == Path("/ca.pem")
    assert methods["api.Echo.Echo"].timeout == 2.5
    assert methods["api.Reverse.Reverse"].timeout is None
    reverse = backends[str(methods["api.Reverse.Reverse"].backend)]
    assert reverse.targets == ("reverse.example.com:8443",)
    assert (methods["api.Echo.Watch"].backend, methods["api.Echo.Watch"].timeout) == (None, None)
    text = said(loaded)
    assert "without an identity token" in text
    assert "backend.rules[1].address" in text
    assert "backend.rules[0].address" not in text


def test_backend_rules_can_replace_the_backend_flag(tmp_path: Path) -> None:
    path = tmp_path / "service.yaml"
    rule = "backend: {rules: [{selector: '*', address: 'grpc://app:1', disable_auth: true}]}\n"
    path.write_text(HEAD + OPEN + rule)
    config = load([f"--service_json_path={path}"], {}, describe=describe).config
    assert config.routes == ()
    assert {method.backend for method in config.methods} == {"grpc://app:1"}
    path.write_text(HEAD + OPEN + rule.replace("'*'", "api.Echo.*"))
    with pytest.raises(Exception, match=r"no backend: api.Reverse.\*"):
        load([f"--service_json_path={path}"], {}, describe=describe)


def test_a_configuration_in_several_files(tmp_path: Path) -> None:
    auth, base = tmp_path / "auth.yaml", tmp_path / "base.yaml"
    base.write_text(HEAD + OPEN)
    auth.write_text(
        "type: google.api.Service\nname: api.example.com\n"
        + STAFF
        + "  rules:\n  - {selector: '*', requirements: [{provider_id: staff}]}\n"
        + "usage: {rules: [{selector: api.Echo.*, allow_unregistered_calls: false}]}\n"
    )
    loaded = load([BACKEND, f"--service_json_path={base}", f"--service_json_path={auth}"], {}, describe=describe)
    assert {method.access.requirements for method in loaded.config.methods} == {(Requirement("staff"),)}
    assert loaded.config.sources == (base, auth)
    assert "until" not in said(loaded)
    assert "api.Echo.*" in said(loaded)
    by_variable = load([BACKEND], {"TIDEGATE_SERVICE_CONFIG": f"{base},{auth}"}, describe=describe)
    assert by_variable.config == loaded.config
    auth.write_text("name: other.example.com\n")
    with pytest.raises(ConfigurationError, match=r'auth.yaml:1: name: is "other.example.com" here'):
        load([BACKEND, f"--service_json_path={base}", f"--service_json_path={auth}"], {}, describe=describe)


def test_a_large_api_is_resolved_at_once(tmp_path: Path) -> None:
    count = 2000
    document = {
        "name": "api.example.com",
        "apis": [{"name": "api.Echo", "methods": [{"name": f"M{number}"} for number in range(count)]}],
        "usage": {
            "rules": [{"selector": f"api.Echo.M{number}", "allow_unregistered_calls": True} for number in range(count)]
        },
    }
    loaded = load_service(tmp_path, json.dumps(document))
    assert len(loaded.config.methods) == count
    assert all(method.access.deny is None for method in loaded.config.methods)


def test_very_many_faults_are_cut_short(tmp_path: Path) -> None:
    keys = "".join(f"key{number}: 1\n" for number in range(5000))
    problems = service_problems(tmp_path, HEAD + keys)
    assert len(problems) == 1001
    assert "not shown" in problems[-1].message


def test_every_fault_has_its_line_and_all_come_at_once(tmp_path: Path) -> None:
    text = """\
type: google.api.Service
name: api.example.com
titel: Echo
apis:
- nam: api.Echo
- name: api.Reverse
authentication:
  providers:
  - id: staff
    issuer: https://login.example.com
    audiences: ","
  rules:
  - selector: "*"
    requirements:
    - provider_id: staf
  - selector: api.Revers.*
http:
  rules:
  - selector: api.Reverse.Reverse
    get: v1/reverse
usage:
  rules:
  - selector: "*"
    allow_unregistered_calls: "yes"
backend:
  rules:
  - selector: "*"
    address: http://app:1
"""
    found = {(problem.line, problem.path): problem for problem in service_problems(tmp_path, text)}
    expected = {
        (3, "titel"): ("unknown key", 'did you mean "title"?'),
        (5, "apis[0].nam"): ("unknown key", 'did you mean "name"?'),
        (5, "apis[0]"): ('"name" is missing', ""),
        (11, "authentication.providers[0].audiences"): ("names no audience", ""),
        (15, "authentication.rules[0].requirements[0].provider_id"): ("no provider", 'did you mean "staff"?'),
        (16, "authentication.rules[1].selector"): ("selects no method", 'did you mean "api.Reverse.*"?'),
        (20, "http.rules[0].get"): ("not a path template", ""),
        (24, "usage.rules[0].allow_unregistered_calls"): ("true or false", ""),
        (28, "backend.rules[0].address"): ("HTTP/1.1", ""),
        (19, "http.rules[0].selector"): ("without the descriptor of api.Reverse", "--proto_descriptor"),
    }
    for where, (message, suggestion) in expected.items():
        assert where in found, f"{where} is not among {list(found)}"
        assert message in found[where].message
        assert suggestion in found[where].suggestion
    assert len(found) == len(expected)
    first = str(found[(3, "titel")])
    assert first == f'{tmp_path / "service.yaml"}:3: titel: unknown key "titel" (did you mean "title"?)'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: x\napis: [{name: '*'}]", "is not a full name"),
        ("name: x\napis: [{name: a.B, methods: [{name: a.B.C}]}]", "by its own name"),
        ("name: x\ntitle: nothing more", '"apis" is missing'),
        ("name: x\napis: []", "apis: is empty"),
        ("apis: [{name: a.B}]", '"name" is missing'),
        ("name: x\napis: [{name: a.B}, {name: a.B}]", "a second time"),
        ("name: x\napis: [{name: a.B}]\nallow: 1", 'unknown key "allow"'),
        ("name: x\napis: [{name: a.B}]\nconfig_version: 2", "only config_version 3"),
        ("name: x\nconfig_version: 3\nconfigVersion: 3\napis: [{name: a.B}]", "other spelling"),
        ("name: x\napis: a.B", "is a text where a list is expected"),
        ("- x", "is a list where a mapping is expected"),
        ("", "has no value"),
        ("name: x\napis: [{name: a.B}]\nusage:", "has no value"),
        ("name: x\napis: [{name: a.B}]\ntype: google.api.Servce", "is none of google.api.Service"),
        ("name: x\napis: [{name: a.B}]\nhttp: {rules: [{selector: a.B.C}]}", "one of get, put"),
        ("name: x\napis: [{name: a.B}]\nhttp: {rules: [{selector: a.B.C, get: /a, post: /a}]}", "only one of"),
        ("name: x\napis: [{name: a.B}]\nhttp: {rules: [{selector: a.B.*, get: /a}]}", "for one method"),
        (
            "name: x\napis: [{name: a.B}]\nhttp: {rules: [{selector: a.B.C, custom: {kind: '*', path: /a}}]}",
            "one binding for each",
        ),
        ("name: x\napis: [{name: a.B}]\nauthentication: {rules: [{selector: a.B}]}", 'write "a.B.*" for all methods'),
        (
            "name: x\napis: [{name: a.B}]\nhttp: {rules: [{selector: grpc.health.v1.Health.Check, get: /h}]}",
            'add "grpc.health',
        ),
    ],
)
def test_faults(tmp_path: Path, text: str, expected: str) -> None:
    problems = service_problems(tmp_path, text)
    assert any(expected in str(problem) for problem in problems), [str(problem) for problem in problems]


def test_two_methods_on_one_path_are_refused(tmp_path: Path) -> None:
    rules = "http: {rules: [{selector: api.Echo.Echo, get: /v1}, {selector: api.Reverse.Reverse, get: /v1}]}\n"
    (problem,) = service_problems(tmp_path, HEAD + OPEN + rules, services=ECHO_AND_REVERSE)
    assert "GET /v1 is bound to api.Echo.Echo already" in problem.message


def test_an_api_that_no_descriptor_has_is_refused(tmp_path: Path) -> None:
    (problem,) = service_problems(tmp_path, HEAD, services={"api.Echo": ["Echo"], "api.Reverser": ["Reverse"]})
    assert (problem.line, problem.suggestion) == (6, 'did you mean "api.Reverser"?')


def test_a_descriptor_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "api.pb"
    path.write_bytes(b"\xff\xfe")
    (problem,) = service_problems(tmp_path, HEAD + OPEN, f"--proto_descriptor={path}")
    assert problem.file == str(path)
    assert "protoc" in problem.suggestion
    (problem,) = service_problems(tmp_path, HEAD + OPEN, f"--proto_descriptor={tmp_path / 'absent.pb'}")
    assert "No such file" in problem.message
    assert problem.file == "--proto_descriptor"
