"""Targets that discovery looks up, as both ways of writing a configuration give them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.configuration import ConfigurationError, load
from gateway.configuration.gateway_yaml import gateway_schema
from gateway.configuration.model import Backend
from gateway.discover.source import Endpoint
from gateway.discover.static_list import parse
from tests.configuration.helpers import errors_of

HEAD = "apiVersion: tidegate.dev/v1\nkind: Gateway\nspec:\n  backends:\n  - name: app\n    targets:\n"


def backend_of(directory: Path, lines: str, *flags: str) -> Backend:
    """Raises ConfigurationError."""
    path = directory / "gateway.yaml"
    path.write_text(HEAD + lines)
    (backend,) = load([f"--config={path}", *flags], {}).config.backends
    return backend


def targets(directory: Path, lines: str, *flags: str) -> tuple[str, ...]:
    """Raises ConfigurationError."""
    return backend_of(directory, lines, *flags).targets


def faults(directory: Path, lines: str) -> list[str]:
    """`line: path: message` of each."""
    with pytest.raises(ConfigurationError) as refused:
        targets(directory, lines)
    return [f"{problem.line}: {problem.path}: {problem.message}" for problem in refused.value.problems]


def test_the_guides_example_is_valid(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs/guides/discovery.md").read_text()
    path = tmp_path / "gateway.yaml"
    path.write_text(guide.split("```yaml\n", 1)[1].split("```", 1)[0])
    (backend,) = load([f"--config={path}"], {}).config.backends
    assert backend.targets == ("dns:///app.default:50051", "static:10.0.0.9:50051;weight=1;priority=1")


def test_a_target_may_say_what_a_registry_would(tmp_path: Path) -> None:
    lines = """\
    - address: 10.0.0.1:50051
      weight: 3
      zone: europe-west1-b
      priority: 1
      metadata: {version: 2, "a;b": "c,d"}
    - {address: app.example.com:1}
    - static:10.0.0.3:1;weight=2,10.0.0.4:1
    - dns:///app:50051
    - 10.0.0.5:1
"""
    first, second, *rest = targets(tmp_path, lines)
    metadata = (("version", "2"), ("a;b", "c,d"))
    assert parse(first) == (Endpoint("10.0.0.1:50051", 3, "europe-west1-b", 1, metadata),)
    assert parse(second) == (Endpoint("app.example.com:1"),)
    assert rest == ["static:10.0.0.3:1;weight=2,10.0.0.4:1", "dns:///app:50051", "10.0.0.5:1"]


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("    - {address: '10.0.0.1:0'}\n", "7: spec.backends[0].targets[0].address: "),
        ("    - {weight: 1}\n", '7: spec.backends[0].targets[0]: "address" is missing'),
        ("    - address: 10.0.0.1:1\n      weight: .nan\n", "8: spec.backends[0].targets[0].weight: is a text where"),
        ("    - address: 10.0.0.1:1\n      weight: NaN\n", "8: spec.backends[0].targets[0].weight: is a text where"),
        ("    - address: 10.0.0.1:1\n      weight: 0\n", "8: spec.backends[0].targets[0].weight: 0 is not between 1"),
        ("    - address: 10.0.0.1:1\n      wieght: 1\n", '8: spec.backends[0].targets[0].wieght: unknown key "wieght"'),
        (
            "    - address: 10.0.0.1:1\n      metadata: [x]\n",
            "8: spec.backends[0].targets[0].metadata: is a list",
        ),
        ("    - address: 10.0.0.1:1\n      metadata:\n        x: [1]\n", "9: spec.backends[0].targets[0].metadata.x: "),
        ("    - address: dns:///app:1\n", "7: spec.backends[0].targets[0].address: "),
        ("    - static:10.0.0.1:1;weight=NaN\n", "7: spec.backends[0].targets[0]: 10.0.0.1:1: weight"),
        ("    - x:1\n    - dns://app:1\n", '8: spec.backends[0].targets[1]: "dns://app:1": '),
        ("    - zookeeper:///app\n", "7: spec.backends[0].targets[0]: 'zookeeper:///app': no scheme"),
        (
            "    - 10.0.0.1:1\n    - {address: '10.0.0.1:1', weight: 2}\n",
            "8: spec.backends[0].targets[1]: 10.0.0.1:1 is given a second time, and differs: weight 1 and 2",
        ),
        (
            "    - static:[::1]:1;zone=a\n    - static:10.0.0.1:1,[0::1]:1;zone=b\n",
            "8: spec.backends[0].targets[1]: [::1]:1 is given a second time, and differs: zone a and b",
        ),
    ],
)
def test_faults_have_their_line(tmp_path: Path, lines: str, fault: str) -> None:
    (found,) = faults(tmp_path, lines)
    assert found.startswith(fault), found


def test_the_same_twice_is_no_fault(tmp_path: Path) -> None:
    assert len(targets(tmp_path, "    - 10.0.0.1:1\n    - {address: '10.0.0.1:1'}\n")) == 2


@pytest.mark.parametrize("target", ["consul:///app", "etcd:///app", "k8s:///app:1", "unix:///run/app.sock"])
def test_tls_needs_a_name_where_the_target_says_none(tmp_path: Path, target: str) -> None:
    (found,) = faults(tmp_path, f"    - {target}\n    tls: {{}}\n")
    assert "needs serverName" in found
    (error,) = errors_of([f"--backend={target}", "--enable_grpc_backend_ssl"])
    assert "needs --backend_server_name" in error


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("app.shop.:1", "app.shop"),
        ("'[::1]:1'", "::1"),
        ("dns:///app.shop.svc.cluster.local.:1", "app.shop.svc.cluster.local"),
        ("dns://10.0.0.53/app.shop", "app.shop"),
        ("dns:///_http._tcp.app.shop", "app.shop"),
        ("k8s:///app.shop:8000", "app.shop.svc"),
        ("{address: 'app.shop:1', weight: 3}", "app.shop"),
        ("static:10.0.0.1:1,app:1", "10.0.0.1"),
        ("consul:///app\n    - unix:///run/app.sock\n    - k8s:///app.shop:grpc", "app.shop.svc"),
    ],
)
def test_the_first_target_that_says_a_name_gives_it_to_tls(tmp_path: Path, target: str, name: str) -> None:
    backend = backend_of(tmp_path, f"    - {target}\n    tls: {{}}\n")
    assert backend.tls is not None
    assert backend.tls.server_name == name


def test_the_backend_of_the_command_line_has_the_name_of_its_target() -> None:
    arguments = ["--backend=dns:///app.shop:1", "--enable_grpc_backend_ssl"]
    (backend,) = load(arguments, {}, default_service_config=Path("/nonexistent/service.yaml")).config.backends
    assert backend.tls is not None
    assert (backend.tls.server_name, backend.authority) == ("app.shop", None)


def test_the_schema_knows_both_forms() -> None:
    spec = json.loads(gateway_schema())["properties"]["spec"]["properties"]
    text, mapping = spec["backends"]["items"]["properties"]["targets"]["items"]["anyOf"]
    assert text["type"] == "string"
    assert mapping["required"] == ["address"]
    assert set(mapping["properties"]) == {"address", "weight", "priority", "zone", "metadata"}


@pytest.mark.parametrize("target", ["dns:///app:50051", "dns://10.0.0.53/app", "static:10.0.0.1:1;weight=2,10.0.0.2:1"])
def test_the_backend_flag_takes_a_schemes_name(target: str) -> None:
    (backend,) = load([f"--backend={target}"], {}).config.backends
    assert backend.targets == (target,)
    assert backend.tls is None


def test_a_scheme_that_is_not_known_is_named_with_those_that_are() -> None:
    (error,) = errors_of(["--backend=zookeeper:///app"])
    assert '"zookeeper" is none of grpc, grpcs, unix, ' in error
    assert "dns" in error
    (error,) = errors_of(["--backend=dns://app:50051"])
    assert "write dns:///app" in error


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        ("grpc://app:50051", "dns://10.0.0.53,10.0.0.54:5353/app:50051"),
        ("grpc://10.0.0.1:50051", "10.0.0.1:50051"),
        ("grpc://[::1]:50051", "[::1]:50051"),
        ("unix:///run/app.sock", "unix:///run/app.sock"),
        ("dns:///app", "dns://10.0.0.53,10.0.0.54:5353/app"),
        ("dns://10.9.9.9/app", "dns://10.9.9.9/app"),
        ("static:app:1", "static:app:1"),
    ],
)
@pytest.mark.parametrize("flag", ["dns_resolver_addresses", "dns"])
def test_espv2s_flag_names_the_servers(flag: str, target: str, asked: str) -> None:
    (backend,) = load([f"--backend={target}", f"--{flag}=10.0.0.53;10.0.0.54:5353"], {}).config.backends
    assert backend.targets == (asked,)


def test_the_servers_do_not_change_what_tls_expects() -> None:
    (backend,) = load(["--backend=grpcs://app:1", "--dns_resolver_addresses=10.0.0.53"], {}).config.backends
    assert backend.tls is not None
    assert backend.tls.server_name == "app"


def test_the_servers_hold_for_the_files_backends_too(tmp_path: Path) -> None:
    found = targets(tmp_path, "    - app:1\n    - 10.0.0.1:1\n", "--dns_resolver_addresses=10.0.0.53")
    assert found == ("dns://10.0.0.53/app:1", "10.0.0.1:1")


@pytest.mark.parametrize("servers", ["10.0.0.53:0", "10.0.0.53;", "10.0.0.53:x", "::1"])
def test_servers_that_are_none_are_refused(servers: str) -> None:
    (error,) = errors_of(["--backend=grpc://app:1", f"--dns_resolver_addresses={servers}"])
    assert error.startswith("--dns_resolver_addresses: ")
