"""From the model to the snapshot that the core reads."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.configuration import ConfigurationError, GatewayConfig, load, load_file
from gateway.configuration.model import (
    Access,
    AdaptiveConcurrency,
    Backend,
    BackendTls,
    Balance,
    Binding,
    CertificateSource,
    HeaderMatch,
    Listener,
    ListenerTls,
    Location,
    Method,
    Provider,
    RateKey,
    RateLimit,
    Requirement,
    Retry,
    Route,
    SlowStart,
)
from gateway.core import CoreEndpoint
from gateway.snapshot import compile_snapshot, explain, sources
from healthcheck.public_roots import bundle_path
from tests.configuration.helpers import BACKEND, ECHO_AND_REVERSE, FIXTURES, describe, descriptors

CONTRACT = Path(__file__).parents[2] / "core/datapath/src/snapshot/document"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n"


def check_pair(chain: str, key: str) -> str:
    """Stands for `tidegate_core.check_key_pair`: a pair belongs together when its second lines are the same."""
    if chain.splitlines()[1] != key.splitlines()[1]:
        raise ValueError("the key is not the certificate's")
    return "{}"


def write_pair(directory: Path, stem: str, content: str = "A") -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{stem}.crt").write_text(CERTIFICATE.format(content))
    (directory / f"{stem}.key").write_text(KEY.format(content))


def compiled(config: GatewayConfig, **endpoints: list[CoreEndpoint]) -> dict[str, Any]:
    document = json.loads(compile_snapshot(config, "7", endpoints, check_pair=check_pair))
    assert isinstance(document, dict)
    return document


def with_tls(*directories: Path, **more: Any) -> GatewayConfig:
    certificates = tuple(CertificateSource(directory=directory) for directory in directories)
    tls = ListenerTls(certificates, **more)
    return GatewayConfig((Listener("https", "0.0.0.0:443", tls),), (Backend("app", ("127.0.0.1:1",)),))


def problems_of(config: GatewayConfig) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        compiled(config)
    return [str(problem) for problem in caught.value.problems]


def _contract() -> dict[str, set[str]]:
    """The fields of each structure in the folder, as JSON calls them."""
    text = "".join(path.read_text() for path in sorted(CONTRACT.glob("*.rs")))
    structures = {}
    for name, body in re.findall(r"pub struct (\w+) \{\n(.*?)\n\}", text, re.DOTALL):
        fields = set()
        for attributes, field in re.findall(r"((?:\s*#\[[^\n]*\n)*)\s*pub (\w+):", body):
            renamed = re.search(r'rename = "(\w+)"', attributes)
            fields.add(renamed[1] if renamed else field)
        structures[name] = fields
    return structures


def test_every_field_that_is_written_is_in_the_contract(tmp_path: Path) -> None:
    write_pair(tmp_path, "tls")
    (tmp_path / "ca.pem").write_text(CERTIFICATE.format("CA"))
    config = replace(
        with_tls(tmp_path, client_ca=tmp_path / "ca.pem", client_certificate="required"),
        backends=(
            Backend(
                "app",
                ("app:1",),
                tls=BackendTls(tmp_path / "ca.pem", CertificateSource(directory=tmp_path), "app"),
                balance=Balance(slow_start=SlowStart()),
                retry=Retry(hedge_delay=0.1),
                adaptive_concurrency=AdaptiveConcurrency(),
            ),
        ),
        routes=(Route("all", (("app", 1),), headers=(HeaderMatch("x"),)),),
        methods=(Method("a.B.C", access=Access((Requirement("p"),)), bindings=(Binding("GET", "/x"),)),),
        rate_limits=(RateLimit("r", 1, 1.0, 1, RateKey("claim", "sub")),),
    )
    config = replace(config, authentication=replace(config.authentication, providers=(Provider("p", "https://i"),)))
    document = compiled(config, app=[("10.0.0.1:1", 1, 0, 0)])
    contract = _contract()
    method, route, backend = document["methods"][0], document["routes"][0], document["backends"][0]
    tls = document["listeners"][0]["tls"]
    for name, part, complete in (
        ("Document", document, True),
        ("Listener", document["listeners"][0], True),
        ("ServerTls", tls, True),
        ("KeyPair", tls["certificates"][0], True),
        ("Backend", backend, False),
        ("Endpoint", backend["endpoints"][0], True),
        ("ClientTls", backend["tls"], True),
        ("Retry", backend["retry"], True),
        ("Hedge", backend["retry"]["hedge"], True),
        ("CircuitBreakers", backend["circuit_breakers"], True),
        ("AdaptiveConcurrency", backend["adaptive_concurrency"], True),
        ("RateLimit", document["rate_limits"][0], True),
        ("Balance", backend["balance"], True),
        ("Priorities", backend["balance"]["priorities"], True),
        ("SlowStart", backend["balance"]["slow_start"], True),
        ("Route", route, True),
        ("Matcher", route["match"], True),
        ("HeaderMatch", route["match"]["headers"][0], True),
        ("WeightedBackend", route["backends"][0], True),
        ("Method", method, True),
        ("Binding", method["bindings"][0], True),
        ("Access", method["access"], True),
        ("Requirement", method["access"]["requirements"][0], True),
        ("Authentication", document["authentication"], False),
        ("Provider", document["authentication"]["providers"][0], True),
        ("Limits", document["limits"], False),
        ("AccessLog", document["access_log"], False),
    ):
        assert set(part) <= contract[name], f"{name} has no {set(part) - contract[name]}"
        assert not complete or set(part) == contract[name], f"{name} lacks {contract[name] - set(part)}"


def test_the_article(tmp_path: Path) -> None:
    write_pair(tmp_path, "nginx")
    flags = ["--ssl_port=443", f"--ssl_server_cert_path={tmp_path}", "--http_port=9000", BACKEND]
    config = load([*flags, f"--service_json_path={FIXTURES / 'article.yaml'}"], {}, describe=describe).config
    document = compiled(config, default=[("127.0.0.1:8091", 1, 0, 0)])
    assert document["version"] == "7"
    assert document["unknown_methods"] == "reject"
    assert document["listeners"][0] == {"name": "http_port", "address": "0.0.0.0:9000", "tls": None}
    assert document["listeners"][1]["tls"]["certificates"][0]["key_pem"].startswith("-----BEGIN PRIVATE KEY")
    assert document["backends"][0]["endpoints"] == [
        {"address": "127.0.0.1:8091", "weight": 1, "priority": 0, "distance": 0}
    ]
    check = next(method for method in document["methods"] if method["name"] == "grpc.health.v1.Health.Check")
    assert check["bindings"] == [{"verb": "GET", "template": "/v1/health", "body": "", "response_body": ""}]
    assert check["timeout_ms"] is None
    guarded = next(method for method in document["methods"] if method["name"] == "predictor.v1.Predictor.*")
    assert guarded["access"]["requirements"] == [{"provider": "customer", "audiences": []}]


def test_a_gateway_file(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text((FIXTURES / "two_services.yaml").read_text().replace("/etc/tidegate/tls", "tls"))
    (tmp_path / "api.pb").write_bytes(descriptors(ECHO_AND_REVERSE))
    write_pair(tmp_path / "tls", "tls")
    config = load_file(path, describe=describe).config
    document = compiled(config)
    assert document["descriptors"] == [base64.b64encode(descriptors(ECHO_AND_REVERSE)).decode()]
    assert document["limits"]["max_connection_age_ms"] == 5_400_000
    assert document["routes"][1]["timeout_ms"] == 30_000
    assert document["authentication"]["providers"][0]["locations"] == [
        {"header": {"name": "x-token", "prefix": "Token "}},
        {"query": {"name": "token"}},
    ]
    assert document["access_log"]["path"] == ""
    assert sources(config) == (path, tmp_path / "api.pb", tmp_path / "tls", tmp_path / "keys.json")


def test_access_and_locations() -> None:
    config = GatewayConfig(
        (Listener("http", "127.0.0.1:0"),),
        (Backend("app", ("127.0.0.1:1",)),),
        methods=(Method("a.B.C", timeout=0.0004, access=Access(deny=(401, "no"))),),
    )
    provider = Provider("p", "https://i", locations=(Location("cookie", "session"),))
    config = replace(
        config, authentication=replace(config.authentication, providers=(provider,), userinfo_format="espv1")
    )
    document = compiled(config)
    assert document["methods"][0]["access"]["deny"] == [401, "no"]
    assert document["methods"][0]["timeout_ms"] == 1
    assert document["authentication"]["providers"][0]["locations"] == [{"cookie": {"name": "session"}}]
    assert document["authentication"]["userinfo_format"] == "espv1"


def test_a_stream_window_above_the_connections_raises_that() -> None:
    config = load([BACKEND, "--stream_window=8MiB"], {}).config
    assert compiled(config)["limits"]["connection_window_bytes"] == 8 << 20


@pytest.mark.parametrize("stem", ["tls", "server", "nginx"])
def test_certificate_directories(tmp_path: Path, stem: str) -> None:
    write_pair(tmp_path, stem)
    (pair,) = compiled(with_tls(tmp_path))["listeners"][0]["tls"]["certificates"]
    assert pair == {"chain_pem": CERTIFICATE.format("A"), "key_pem": KEY.format("A")}


def test_certificates_that_cannot_be_used_are_all_reported(tmp_path: Path) -> None:
    several, mismatch, half, empty, text = (
        tmp_path / name for name in ("several", "mismatch", "half", "empty", "text")
    )
    write_pair(several, "tls")
    write_pair(several, "nginx")
    write_pair(mismatch, "tls")
    (mismatch / "tls.key").write_text(KEY.format("B"))
    write_pair(half, "server")
    (half / "server.key").unlink()
    empty.mkdir()
    write_pair(text, "tls")
    (text / "tls.crt").write_text("hello")
    pairs = "(put one of these pairs there: tls.crt and tls.key, server.crt and server.key, nginx.crt and nginx.key)"
    found = problems_of(with_tls(several, mismatch, half, empty, text, tmp_path / "absent"))
    assert found == [
        f"{several}: holds several certificates: tls, nginx (keep one pair in a directory)",
        f"{mismatch}: the key is not the certificate's",
        f"{half}: server.key is missing beside the other half of its pair",
        f"{empty}: holds no certificate {pairs}",
        f"{text / 'tls.crt'}: holds no PEM block (-----BEGIN ...)",
        f"{tmp_path / 'absent'}: holds no certificate {pairs}",
    ]
    assert all("PRIVATE" not in line for line in found)


def _mount(volume: Path, generation: str) -> None:
    """Puts a new generation of a certificate into a volume as Kubernetes does."""
    write_pair(volume / generation, "tls", generation)
    link = volume / "..tmp"
    link.symlink_to(generation)
    link.replace(volume / "..data")
    for name in ("tls.crt", "tls.key"):
        if not (volume / name).is_symlink():
            (volume / name).symlink_to(f"..data/{name}")


def test_a_kubernetes_volume_is_read_from_one_generation(tmp_path: Path) -> None:
    _mount(tmp_path, "..1")
    by_files = GatewayConfig(
        (
            Listener(
                "https",
                "0.0.0.0:443",
                ListenerTls((CertificateSource(chain=tmp_path / "tls.crt", key=tmp_path / "tls.key"),)),
            ),
        ),
        (Backend("app", ("127.0.0.1:1",)),),
    )
    for config in (with_tls(tmp_path), by_files):
        read: list[Path] = []

        def read_and_replace(path: Path, read: list[Path] = read) -> bytes:
            data = path.read_bytes()
            read.append(path)
            _mount(tmp_path, f"..{path.parent.name.strip('.')}{len(read)}")
            return data

        json.loads(compile_snapshot(config, "1", {}, read_and_replace, check_pair))
        assert {path.parent.name for path in read} == {read[0].parent.name}
        assert read[0].parent != tmp_path


def test_backends_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pair(tmp_path, "client")
    roots = tmp_path / "roots.pem"
    roots.write_text(CERTIFICATE.format("ROOT"))
    monkeypatch.setenv("SSL_CERT_FILE", str(roots))
    flags = ["--backend=grpcs://app.example.com", f"--ssl_backend_client_cert_path={tmp_path}"]
    tls = compiled(load(flags, {}).config)["backends"][0]["tls"]
    assert tls["ca_pem"] == CERTIFICATE.format("ROOT")
    assert tls["client"]["chain_pem"] == CERTIFICATE.format("A")
    assert tls["server_name"] == "app.example.com"
    roots.unlink()
    assert problems_of(load(flags, {}).config) == [f"{roots}: cannot be read: No such file or directory"]


def test_public_roots_are_found_where_systems_keep_them() -> None:
    assert bundle_path({"SSL_CERT_FILE": "/x.pem"}) == Path("/x.pem")
    found = bundle_path({})
    assert found is None or found.is_file()


def test_what_the_core_refuses_is_said_in_the_operators_words() -> None:
    article = FIXTURES / "article.yaml"
    config = load([BACKEND, f"--service_json_path={article}"], {}, describe=describe).config
    index = next(index for index, method in enumerate(config.methods) if method.bindings)
    faults = [
        f"methods[{index}].bindings[0].body: no field `x`",
        f"methods[{index}].name: odd",
        "methods[99].bindings[0].body: no field",
        "backends[0]: odd",
        "an address is in use",
    ]
    assert [str(problem) for problem in explain(faults, config)] == [
        f"{article}:28: http.rules[0].body: grpc.health.v1.Health.Check, GET /v1/health: no field `x`",
        f"{article}:28: http.rules[0].selector: grpc.health.v1.Health.Check, name: odd",
        *(f"{article}: {fault}" for fault in faults[2:]),
    ]


def test_a_descriptor_set_that_has_gone_is_reported(tmp_path: Path) -> None:
    config = replace(load([BACKEND], {}).config, descriptors=(tmp_path / "api.pb",), embedded_descriptors=(b"x",))
    assert problems_of(config) == [f"{tmp_path / 'api.pb'}: cannot be read: No such file or directory"]
    (tmp_path / "api.pb").write_bytes(b"y")
    assert compiled(config)["descriptors"] == ["eA==", "eQ=="]
