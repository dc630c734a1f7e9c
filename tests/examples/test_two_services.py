"""The example runs as its page says: calls are spread over the pods of each service, and follow them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.support.processes import ROOT, tidegate

EXAMPLE = ROOT / "docs" / "examples" / "two-services"
SECONDS = 110.0


@pytest.fixture(scope="module")
def output() -> str:
    pytest.importorskip("tidegate_core", reason="the native module is not built")
    command = [sys.executable, str(EXAMPLE / "run.py")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def counts(output: str) -> Iterator[tuple[str, dict[str, int]]]:
    """Each count as (service, calls by pod)."""
    for line in output.splitlines():
        found = re.fullmatch(r"  (\w+) +60 calls: (.+)", line)
        if found:
            shares = (share.rpartition(" ") for share in found[2].split(", "))
            yield found[1], {pod: int(calls) for pod, _, calls in shares}


def test_calls_follow_the_pods(output: str) -> None:
    three, reverse, five, four = counts(output)
    assert set(three[1]) == {"echo-0", "echo-1", "echo-2"}
    assert set(reverse[1]) == {"reverse-0", "reverse-1"}
    assert set(five[1]) == {"echo-0", "echo-1", "echo-2", "echo-3", "echo-4"}
    assert set(four[1]) == {"echo-1", "echo-2", "echo-3", "echo-4"}
    assert [service for service, _ in (three, reverse, five, four)] == ["echo", "reverse", "echo", "echo"]


def test_every_request_is_balanced(output: str) -> None:
    """One connection, one worker: pods that were there all along get the same number of calls."""
    for _, shares in list(counts(output))[2:]:
        assert max(shares.values()) - min(shares.values()) <= 1


def test_no_call_fails(output: str) -> None:
    assert re.search(r"^\d+ calls, 0 failed$", output, re.MULTILINE)


def test_the_configuration_is_good_and_short() -> None:
    path = EXAMPLE / "gateway.yaml"
    run = subprocess.run(tidegate("validate", str(path)), cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(path.read_text().splitlines()) <= 35


def test_the_manifests_fit_the_configuration() -> None:
    """Services are headless and their ports are called as the SRV records ask; what is mounted is what is read."""
    documents = list(YAML(typ="safe").load_all((EXAMPLE / "kubernetes.yaml").read_text()))
    services = {one["metadata"]["name"]: one["spec"] for one in documents if one["kind"] == "Service"}
    spec = YAML(typ="safe").load((EXAMPLE / "gateway.yaml").read_text())["spec"]
    namespace = YAML(typ="safe").load((EXAMPLE / "kustomization.yaml").read_text())["namespace"]
    for backend in spec["backends"]:
        service = services[backend["name"]]
        assert backend["targets"] == [f"dns:///{backend['name']}.{namespace}.svc.cluster.local."]
        assert service["clusterIP"] == "None"
        assert [port["name"] for port in service["ports"]] == ["grpc"]
    gateway = next(one for one in documents if one["kind"] == "Deployment" and one["metadata"]["name"] == "gateway")
    (container,) = gateway["spec"]["template"]["spec"]["containers"]
    (listener,) = spec["listeners"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert listener["address"].endswith(f":{ports['grpc']}")
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    (_, configuration) = container["args"]
    (certificates,) = listener["tls"]["certificates"]
    assert mounted == {str(Path(configuration.partition("=")[2]).parent), certificates["directory"]}
