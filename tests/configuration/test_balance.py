"""What `balance` and `zone` say in a gateway.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.configuration import ConfigurationError, load
from gateway.configuration.model import Balance, HashOn, SlowStart

TEXT = """\
apiVersion: tidegate.dev/v1
kind: Gateway
spec:
  {zone}
  backends:
  - name: app
    targets: ["127.0.0.1:1"]
    balance: {{{balance}}}
"""


def balance(directory: Path, text: str, *flags: str, zone: str = "") -> Balance:
    path = directory / "gateway.yaml"
    path.write_text(TEXT.format(balance=text, zone=zone))
    return load([f"--config={path}", *flags], {}).config.backends[0].balance


def test_all_of_it(tmp_path: Path) -> None:
    assert balance(tmp_path, "policy: least-request, localities: prefer-local, slowStart: {}", zone="zone: a") == (
        Balance("least-request", prefer_local=True, slow_start=SlowStart(30.0, 1.0, 10))
    )
    slow = "slowStart: {window: 1m, aggression: 1.5, minWeightPercent: 20}"
    assert balance(tmp_path, slow).slow_start == SlowStart(60.0, 1.5, 20)
    assert balance(tmp_path, "policy: maglev, hashOn: source, hashBalanceFactorPercent: 150") == (
        Balance("maglev", HashOn("source"), hash_balance_factor_percent=150)
    )


def test_the_zone_comes_from_the_file_a_flag_or_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(TEXT.format(balance="localities: prefer-local", zone="zone: a"))
    assert load([f"--config={path}"], {}).config.zone == "a"
    assert load([f"--config={path}", "--zone=b"], {}).config.zone == "b"
    assert load([f"--config={path}"], {"TIDEGATE_ZONE": "c"}).config.zone == "c"
    assert load([f"--config={path}"], {"TIDEGATE_ZONE": ""}).config.zone == "a"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("localities: prefer-local", "spec.zone: is missing: these backends prefer local endpoints: app"),
        ("localities: local", '"local" is none of ignore, prefer-local'),
        ("hashBalanceFactorPercent: 150", "round-robin hashes nothing"),
        ("policy: maglev, hashOn: source, hashBalanceFactorPercent: 99", "99 is not between 100 and 10000"),
        ("policy: maglev, hashOn: source, slowStart: {}", "maglev has no slow start"),
        ("slowStart: {window: 500ms}", "500ms is less than 1"),
        ("slowStart: {window: 2h}", "2h is more than 3600"),
        ("slowStart: {aggression: 0}", "0 is not between 0.1 and 10"),
        ("slowStart: {aggression: .nan}", "a number is expected"),
        ("slowStart: {minWeightPercent: 101}", "101 is not between 1 and 100"),
        ("slowStart: {windov: 1s}", 'did you mean "window"'),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        balance(tmp_path, text)
    (problem,) = [str(problem) for problem in caught.value.problems]
    assert message in problem
    assert "gateway.yaml" in problem


def test_a_zone_is_a_short_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="a zone is a name of at most 255 characters"):
        balance(tmp_path, "", zone=f"zone: {'z' * 256}")
    with pytest.raises(ConfigurationError, match="a zone is a name of at most 255 characters"):
        balance(tmp_path, "", "--zone=a\nb")
