"""`tidegate validate FILE...`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.configuration.validate import run
from tests.configuration.helpers import ECHO_AND_REVERSE, FIXTURES, describe, descriptors


def validate(*arguments: str | Path) -> tuple[int, str, str]:
    out: list[str] = []
    complaints: list[str] = []
    status = run([str(argument) for argument in arguments], out.append, complaints.append, describe, lambda _: [])
    return status, "".join(out), "".join(complaints)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "api.pb").write_bytes(descriptors(ECHO_AND_REVERSE))
    (tmp_path / "gateway.yaml").write_text((FIXTURES / "two_services.yaml").read_text())
    (tmp_path / "service.yaml").write_text(
        "name: x.example.com\napis: [{name: api.Echo}]\nhttp: {rules: [{selector: api.Echo.Echo, get: /v1/echo}]}\n"
    )
    return tmp_path


def test_each_kind_of_file_is_known_by_its_content(files: Path) -> None:
    (files / "gateway.yaml").rename(files / "edge.txt")
    status, out, _ = validate(files / "service.yaml", files / "api.pb", files / "edge.txt", FIXTURES / "article.yaml")
    assert "service.yaml: google.api.Service, valid" in out
    assert "api.pb: descriptor set, valid" in out
    assert "edge.txt: gateway.yaml, valid" in out
    # The article's own API is not in this descriptor set.
    assert "article.yaml:7: apis[0].name" in out
    assert status == 1


def test_warnings_do_not_make_a_file_invalid(files: Path) -> None:
    status, out, complaints = validate(FIXTURES / "article.yaml")
    assert (status, complaints) == (0, "")
    assert "warning: " in out
    assert "note: " in out


def test_descriptors_belong_to_the_service_configurations_given_with_them(files: Path) -> None:
    assert validate(files / "service.yaml", files / "api.pb")[0] == 0
    status, out, _ = validate(files / "service.yaml")
    assert status == 1
    assert "without the descriptor of api.Echo" in out


def test_all_errors_of_all_files(files: Path) -> None:
    (files / "service.yaml").write_text("name: x\napi: []\napis: [{nam: a}]\n")
    (files / "gateway.yaml").write_text("apiVersion: tidegate.dev/v1\nkind: Gateway\nspec: {worker: 1}\n")
    (files / "bad.pb").write_bytes(b"\xff\x00")
    (files / "other.yaml").write_text("hello: world\n")
    status, out, _ = validate(
        *(files / name for name in ("service.yaml", "gateway.yaml", "bad.pb", "other.yaml", "absent.yaml"))
    )
    assert status == 1
    for expected in (
        'service.yaml:2: api: unknown key "api" (did you mean "apis"?)',
        'service.yaml:3: apis[0].nam: unknown key "nam" (did you mean "name"?)',
        'gateway.yaml:3: spec.worker: unknown key "worker" (did you mean "workers"?)',
        "bad.pb: is not a protocol buffer descriptor set",
        "other.yaml: is neither a google.api.Service, a gateway.yaml nor a descriptor set",
        "absent.yaml: cannot be read: No such file or directory",
    ):
        assert expected in out


def test_files_of_one_service_are_read_together(files: Path) -> None:
    (files / "auth.yaml").write_text(
        "type: google.api.Service\nauthentication: {rules: [{selector: api.Echo.*}, {selector: api.Ecco.*}]}\n"
    )
    status, out, _ = validate(files / "service.yaml", files / "auth.yaml", files / "api.pb")
    assert status == 1
    assert "auth.yaml:2: authentication.rules[1].selector" in out
    assert "service.yaml: google.api.Service, valid" in out
    status, out, _ = validate(files / "auth.yaml")
    assert '"name" is missing' in out
    assert '"apis" is missing' in out


def test_json(files: Path) -> None:
    (files / "service.yaml").write_text("name: x\napi: []\napis: [{name: api.Echo}]\n")
    status, out, _ = validate("-o", "json", files / "service.yaml", files / "api.pb")
    report = json.loads(out)
    assert (status, report["valid"]) == (1, False)
    assert report["files"][1] == {"file": str(files / "api.pb"), "kind": "descriptor set"}
    assert report["problems"][0] == {
        "severity": "error",
        "file": str(files / "service.yaml"),
        "line": 2,
        "path": "api",
        "message": 'unknown key "api"',
        "suggestion": 'did you mean "apis"?',
    }
    assert validate("--output=json", FIXTURES / "article.yaml")[0] == 0


@pytest.mark.parametrize("arguments", [[], ["-o", "xml", "a"], ["--ouput=json", "a"], ["-o"]])
def test_misuse(arguments: list[str]) -> None:
    status, out, complaints = validate(*arguments)
    assert (status, out) == (2, "")
    assert "Usage: tidegate validate" in complaints


def test_help() -> None:
    status, out, complaints = validate("--help")
    assert (status, complaints) == (0, "")
    assert out.startswith("Usage: tidegate validate")
