"""Our own configuration file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.configuration import ConfigurationError, Loaded, load, load_file
from gateway.configuration.gateway_yaml import gateway_schema
from gateway.configuration.gateway_yaml.fields import GATEWAY
from gateway.configuration.model import (
    Binding,
    FailurePercentage,
    Limits,
    Location,
    OutlierDetection,
    Requirement,
    SuccessRate,
)
from gateway.configuration.shape import Flag, Listing, Record, Shape, camel_case
from tests.configuration.helpers import ECHO_AND_REVERSE, FIXTURES, by_name, describe, descriptors, said

HEAD = "apiVersion: tidegate.dev/v1\nkind: Gateway\nspec:\n"
ONE_BACKEND = "  backends: [{name: app, targets: ['127.0.0.1:1']}]\n"
ASKS_WITHOUT_CA = """\
  listeners:
  - name: https
    address: 0.0.0.0:443
    tls: {certificates: [{directory: x}], clientCertificate: required}
"""
PROVIDER = "  authentication:\n    providers: [{id: staff, issuer: 'https://login.example.com', audiences: [a]}]\n"


def load_text(directory: Path, text: str, *flags: str, name: str = "gateway.yaml") -> Loaded:
    path = directory / name
    path.write_text(text)
    (directory / "api.pb").write_bytes(descriptors(ECHO_AND_REVERSE))
    return load([f"--config={path}", *flags], {}, describe=describe)


def errors(directory: Path, text: str, *flags: str) -> list[str]:
    try:
        load_text(directory, text, *flags)
    except ConfigurationError as error:
        return [str(problem) for problem in error.problems]
    return []


def test_two_services_behind_one_address(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text((FIXTURES / "two_services.yaml").read_text())
    (tmp_path / "api.pb").write_bytes(descriptors(ECHO_AND_REVERSE))
    loaded = load_file(path, describe=describe)
    config = loaded.config
    (listener,) = config.listeners
    assert listener.address == "[::]:443"
    assert listener.tls is not None
    assert listener.tls.certificates[0].directory == Path("/etc/tidegate/tls")
    assert [(route.name, route.path_prefix, route.backends) for route in config.routes] == [
        ("echo", "/api.Echo/", (("echo", 1),)),
        ("reverse", "/api.Reverse/", (("reverse", 9), ("echo", 1))),
    ]
    assert [backend.lookup_family for backend in config.backends] == ["all", "v4preferred"]
    assert config.routes[0].authorities == ("grpc.example.com",)
    assert config.routes[1].timeout == 30
    methods = by_name(loaded)
    assert methods["api.Echo.Echo"].access.requirements == (Requirement("staff"),)
    assert methods["grpc.health.v1.Health.Check"].access.requirements == ()
    assert methods["grpc.health.v1.Health.Watch"].access.requirements == (Requirement("staff"),)
    assert methods["grpc.health.v1.Health.Check"].bindings == (Binding("GET", "/v1/health"),)
    assert methods["grpc.health.v1.Health.Check"].backend == "echo"
    assert config.unknown_methods == "pass"
    assert all(route.access.requirements == (Requirement("staff"),) for route in config.routes)
    (provider,) = config.authentication.providers
    assert provider.jwks == str(tmp_path / "keys.json")
    assert provider.locations == (Location("header", "x-token", "Token "), Location("query", "token"))
    assert config.limits == Limits(max_buffer_bytes=64 << 20, max_connection_age=5400.0)
    assert (config.access_log.path, config.admin.port, config.drain_delay, config.workers) == ("", 9901, 0.5, 2)
    assert config.sources == (path, tmp_path / "api.pb")
    assert loaded.warnings == ()


def test_the_guides_example_is_valid(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs/guides/configuration.md").read_text()
    example = guide.split("```yaml\n", 1)[1].split("```", 1)[0]
    assert load_text(tmp_path, example).warnings == ()


def test_the_least_that_serves(tmp_path: Path) -> None:
    loaded = load_text(tmp_path, HEAD + ONE_BACKEND)
    assert loaded.config.listeners[0].address == "0.0.0.0:8080"
    assert loaded.config.routes[0].backends == (("app", 1),)
    assert "nothing is authenticated" in said(loaded)


def test_flags_outrank_the_file(tmp_path: Path) -> None:
    text = (
        HEAD
        + ONE_BACKEND
        + "  listeners: [{name: http, address: '127.0.0.1:7000'}]\n  limits: {maxHeaders: 50, maxConnections: 7}\n"
    )
    config = load_text(
        tmp_path, text, "--http2_port=9000", "--backend=grpc://10.0.0.1:2", "--max_headers=60", "--status_port=0"
    ).config
    assert [listener.address for listener in config.listeners] == ["0.0.0.0:9000"]
    assert [(backend.name, backend.targets) for backend in config.backends] == [("app", ("10.0.0.1:2",))]
    assert (config.limits.max_headers, config.limits.max_connections) == (60, 7)
    assert config.admin.port == 0


def test_a_service_config_can_be_named_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "service.yaml").write_text(
        "name: x.example.com\napis: [{name: api.Echo}]\n"
        "usage: {rules: [{selector: '*', allow_unregistered_calls: true}]}\n"
    )
    text = HEAD + ONE_BACKEND + "  api: {serviceConfig: service.yaml, descriptors: [api.pb]}\n"
    loaded = load_text(tmp_path, text)
    assert list(by_name(loaded)) == ["api.Echo.Echo", "api.Echo.Watch"]
    assert loaded.config.unknown_methods == "reject"
    assert tmp_path / "service.yaml" in loaded.config.sources
    found = errors(tmp_path, text + PROVIDER)
    assert any("spec.authentication.providers: stands in the file" in error for error in found)


def test_services_that_are_listed_close_the_rest(tmp_path: Path) -> None:
    text = HEAD + ONE_BACKEND + "  api: {services: [{name: api.Echo}]}\n"
    loaded = load_text(tmp_path, text)
    assert list(by_name(loaded)) == ["api.Echo.*"]
    assert loaded.config.unknown_methods == "reject"


def test_the_last_rule_for_everything_holds_for_unknown_methods(tmp_path: Path) -> None:
    rules = "    rules:\n    - {selector: '*', requirements: [{provider: staff}]}\n"
    loaded = load_text(tmp_path, HEAD + ONE_BACKEND + PROVIDER + rules)
    assert loaded.config.routes[0].access.requirements == (Requirement("staff"),)
    routes = "  routes:\n  - name: open\n    match: {pathPrefix: /public/}\n    backends: [{name: app}]\n"
    routes += "    authentication: {requirements: []}\n"
    routes += "  - {name: rest, backends: [{name: app}]}\n"
    loaded = load_text(tmp_path, HEAD + ONE_BACKEND + PROVIDER + rules + routes)
    assert [route.access.requirements for route in loaded.config.routes] == [(), (Requirement("staff"),)]
    assert "passed on without a token" in said(loaded)


def test_a_route_cannot_guard_a_method_that_no_rule_guards(tmp_path: Path) -> None:
    text = (
        HEAD
        + ONE_BACKEND
        + PROVIDER
        + "  api: {descriptors: [api.pb]}\n"
        + "  routes: [{name: all, backends: [{name: app}], authentication: {requirements: [{provider: staff}]}}]\n"
    )
    (error,) = errors(tmp_path, text)
    assert "spec.routes[0].authentication: does not hold for methods that are known: api.Echo.Echo" in error


def test_rules_for_only_some_methods_are_pointed_at(tmp_path: Path) -> None:
    rules = "    rules: [{selector: api.Echo.*, requirements: [{provider: staff}]}]\n  api: {descriptors: [api.pb]}\n"
    loaded = load_text(tmp_path, HEAD + ONE_BACKEND + PROVIDER + rules)
    assert "passed on without a token" in said(loaded)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", OutlierDetection()),
        (
            "{consecutiveErrors: 0, interval: 5s, successRate: {}, failurePercentage: {}}",
            OutlierDetection(0, interval=5.0, success_rate=SuccessRate(), failure_percentage=FailurePercentage()),
        ),
        (
            "{successRate: {standardDeviations: 2.5, minimumHosts: 3, requestVolume: 10}, maxEjectedPercent: 50}",
            OutlierDetection(max_ejected_percent=50, success_rate=SuccessRate(2.5, 3, 10)),
        ),
        (
            "{failurePercentage: {threshold: 40, minimumHosts: 2, requestVolume: 20}, baseEjection: 1m}",
            OutlierDetection(base_ejection=60.0, failure_percentage=FailurePercentage(40, 2, 20)),
        ),
    ],
)
def test_outlier_detection(tmp_path: Path, text: str, expected: OutlierDetection) -> None:
    spec = f"  backends: [{{name: app, targets: ['127.0.0.1:1'], outlierDetection: {text}}}]\n"
    (backend,) = load_text(tmp_path, HEAD + spec).config.backends
    assert backend.outlier_detection == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("  listner: []\n", ':4: spec.listner: unknown key "listner" (did you mean "listeners"?)'),
        ("  listeners: [{name: a, address: 'localhost:1'}]\n", "a listener needs an IP address"),
        ("  listeners: [{name: a, address: ':1'}]\n", "not a host name"),
        ("  listeners: [{name: a, address: '0.0.0.0:1'}, {name: a, address: '0.0.0.0:1'}]\n", "a second time"),
        ("  listeners: [{name: a, address: '0.0.0.0:8090'}]\n", "port 8090 is also that of listener a"),
        ("  listeners: [{name: a, address: '0.0.0.0:1', tls: }]\n", "tls: has no value"),
        ("  listeners: [{name: a, address: '0.0.0.0:1', tls: {certificates: []}}]\n", "certificates: is empty"),
        ("  listeners: [{name: a, address: '0.0.0.0:1', tls: {certificates: [{chain: x}]}}]\n", "given together"),
        (ASKS_WITHOUT_CA, "needs clientCa"),
        ("  backends: [{name: a, targets: []}]\n", "targets: is empty"),
        ("  backends: [{name: a, targets: ['x']}]\n", "a port is missing"),
        ("  backends: [{name: a, targets: ['unix:///s'], tls: {}}]\n", "needs serverName"),
        ("  backends: [{name: a, targets: ['x:1'], retry: {on: [rest]}}]\n", 'did you mean "reset"?'),
        (
            ONE_BACKEND + "  routes: [{name: r, backends: [{name: ap}]}]\n",
            'there is no backend "ap" (did you mean "app"?)',
        ),
        (ONE_BACKEND + "  routes: [{name: r, backends: [{name: app, weight: 0}]}]\n", "no backend has a weight"),
        (ONE_BACKEND + "  routes: [{name: r, match: {path: x}, backends: [{name: app}]}]\n", "a path begins with /"),
        (
            ONE_BACKEND + "  routes: [{name: r, match: {path: /x, service: a.B}, backends: [{name: app}]}]\n",
            "only one of",
        ),
        (ONE_BACKEND + "  routes: [{name: r, match: {method: B}, backends: [{name: app}]}]\n", "beside its service"),
        (
            ONE_BACKEND + "  routes: [{name: r, match: {authorities: ['A:1']}, backends: [{name: app}]}]\n",
            "small letters",
        ),
        (
            ONE_BACKEND
            + "  routes: [{name: r, backends: [{name: app}], authentication: {requirements: [{provider: x}]}}]\n",
            "no provider",
        ),
        (ONE_BACKEND + "  api: {methods: [{selector: '*', backend: x}]}\n", 'there is no backend "x"'),
        (ONE_BACKEND + "  api: {http: [{selector: api.Echo.Echo, get: /x}]}\n", "selects no method"),
        (
            ONE_BACKEND + "  authentication: {rules: [{selector: 'api.Echo.*', requirements: []}]}\n",
            "selects no method",
        ),
        (
            ONE_BACKEND + "  authentication: {providers: [{id: a, issuer: 'https://a'}]}\n",
            "one of audiences, anyAudience is missing",
        ),
        (
            ONE_BACKEND + "  authentication: {providers: [{id: a, issuer: 'https://a', anyAudience: false}]}\n",
            "false names no audience",
        ),
        (ONE_BACKEND + "  limits: {streamWindow: 4GiB}\n", "is more than"),
        (ONE_BACKEND + "  limits: {idleTimeout: 5 minutes}\n", "is not a duration"),
        (ONE_BACKEND + "  workers: 0\n", "is not between 1 and 1024"),
        (ONE_BACKEND + "  admin: {address: localhost}\n", "not an IP address"),
        (ONE_BACKEND + "  healthzPath: healthz\n", "plain path"),
        ("  backends: [{name: a, targets: ['x:1']}, {name: b, targets: ['x:2']}]\n", "no routes to them"),
        ("  workers: 1\n", "spec.backends: is missing"),
    ],
)
def test_faults(tmp_path: Path, spec: str, expected: str) -> None:
    found = errors(tmp_path, HEAD + spec)
    assert any(expected in error for error in found), found
    assert all(str(tmp_path / "gateway.yaml") in error for error in found)


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    found = errors(
        tmp_path,
        "apiVersion: tidegate.dev/v2\nkind: Gatway\nspec:\n  workers: many\n  drain: {dely: 1s}\n  backends: []\n",
    )
    assert [error.removeprefix(str(tmp_path / "gateway.yaml")).split(" ")[0] for error in found] == [
        ":1:",
        ":2:",
        ":4:",
        ":5:",
        ":6:",
        ":",
    ]


def test_listener_flags_do_not_mix_with_the_files_listeners(tmp_path: Path) -> None:
    text = HEAD + ONE_BACKEND + "  listeners: [{name: http, address: '127.0.0.1:7000'}]\n"
    (error,) = errors(tmp_path, text, "--ssl_minimum_protocol=TLSv1.3")
    assert "does not apply to the listeners of" in error


def test_limits_have_a_key_for_every_field_of_the_model() -> None:
    spec = GATEWAY.fields["spec"].shape
    assert isinstance(spec, Record)
    limits = spec.fields["limits"].shape
    assert isinstance(limits, Record)
    names = {
        "streamWindow" if name == "stream_window_bytes" else camel_case(name) for name in Limits.__dataclass_fields__
    }
    assert set(limits.fields) == names


def _check(schema: dict[str, object], shape: Shape) -> None:
    if isinstance(shape, Record):
        assert schema["additionalProperties"] is False
        properties = schema["properties"]
        assert isinstance(properties, dict)
        assert set(properties) == set(shape.fields)
        for name, known in shape.fields.items():
            _check(properties[name], known.shape)
    elif isinstance(shape, Listing):
        items = schema["items"]
        assert isinstance(items, dict)
        _check(items, shape.item)
    elif isinstance(shape, Flag):
        assert schema["type"] == "boolean"


def test_the_schema_says_what_the_code_checks() -> None:
    schema = json.loads(gateway_schema())
    _check(schema, GATEWAY)
    assert schema["required"] == ["apiVersion", "kind", "spec"]
