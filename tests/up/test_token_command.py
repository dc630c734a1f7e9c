from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jwt
import pytest

from infra.cli.main import main
from infra.issuer.keys import DIRECTORY, load_keys
from infra.world.state import STATE_FILE

ISSUER = {"url": "http://127.0.0.1:1234", "jwks_uri": "http://127.0.0.1:1234/jwks", "audience": "https://api", "pid": 1}


def write_state(directory: Path, pid: int) -> None:
    (directory / STATE_FILE).write_text(json.dumps({"pid": pid, "issuer": ISSUER}))


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def test_it_is_for_the_world_that_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_state(tmp_path, os.getpid())
    assert (
        main(["token", "--directory", str(tmp_path), "--ttl", "1m30s", "--claim", "level=3", "--claim", "a=b=c"]) == 0
    )
    claims = claims_of(capsys.readouterr().out.strip())
    assert claims.items() >= {"iss": ISSUER["url"], "aud": "https://api", "sub": "developer", "a": "b=c"}.items()
    assert (claims["level"], claims["exp"] - claims["iat"]) == (3, 90)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_without_a_world_for_an_issuer_that_is_given(
    algorithm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--issuer", "https://issuer.example", "--aud", "a", "--aud", "b", "--sub", "alice", "--alg", algorithm]
    assert main(["token", "--directory", str(tmp_path), *options]) == 0
    token = capsys.readouterr().out.strip()
    published = jwt.PyJWKSet.from_dict({"keys": [key.public_jwk for key in load_keys(tmp_path / DIRECTORY)]})
    key = published[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, [algorithm], audience="b", issuer="https://issuer.example")
    assert claims["sub"] == "alice"


@pytest.mark.parametrize("fault", ["expired", "not-yet-valid", "wrong-audience", "wrong-key"])
def test_faults_are_options(fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--directory", str(tmp_path), "--issuer", "https://issuer.example", "--aud", "a", "--alg", "ES256"]
    assert main(["token", *options, f"--{fault}"]) == 0
    token = capsys.readouterr().out.strip()
    key = next(key for key in load_keys(tmp_path / DIRECTORY) if key.algorithm == "ES256")
    with pytest.raises(jwt.PyJWTError):
        jwt.decode(token, key.private.public_key(), ["ES256"], audience="a")


def gone() -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


@pytest.mark.parametrize("left", ["nothing", "garbage", "not an object", "stale"])
def test_without_a_world_it_says_what_to_do(left: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if left == "garbage":
        (tmp_path / STATE_FILE).write_text("{")
    elif left == "not an object":
        (tmp_path / STATE_FILE).write_text("[]")
    elif left == "stale":
        write_state(tmp_path, gone())
    assert main(["token", "--directory", str(tmp_path)]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert str(tmp_path / STATE_FILE) in output.err
    assert "start" in output.err


@pytest.mark.parametrize("options", [("--ttl", "soon"), ("--ttl", "0s"), ("--claim", "novalue"), ("--alg", "none")])
def test_bad_options_are_refused(options: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["token", *options])
    assert end.value.code == 2
    assert f'"{options[1]}"' in capsys.readouterr().err or options[1] == "none"
