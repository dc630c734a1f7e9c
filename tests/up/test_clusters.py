from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.configuration.problems import ConfigurationError
from infra.twin.places import Places
from infra.world.addresses import PortInUseError, claimed_layout
from infra.world.clusters import DEFAULT_CLUSTERS, MOST_PODS, MOST_REGIONS, Cluster, read_clusters
from infra.world.layout import Block, Layout


def read(folder: Path, text: str) -> tuple[Cluster, ...]:
    file = folder / "clusters.yaml"
    file.write_text(text)
    return read_clusters(file)


def test_what_is_left_out_has_a_default(tmp_path: Path) -> None:
    text = "regions:\n- name: europe-west1\n- {name: us-central1, zone: us-central1-f, pods: 3}\n"
    assert read(tmp_path, text) == (
        Cluster("europe-west1", "europe-west1-b", 2),
        Cluster("us-central1", "us-central1-f", 3),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("regions: []", "clusters.yaml:1: regions: is empty (give at least one entry)"),
        ("region: [{name: us-central1}]", 'unknown key "region" (did you mean "regions"?)'),
        ("regions: [{name: us-central1, zone: us-central1-x}]", '"us-central1-x" is no zone of us-central1'),
        ("regions:\n- name: us-central1\n- name: us-central1\n", 'clusters.yaml:3: regions[1].name: "us-central1" is'),
        ("regions: [{name: us-central1, pods: 40}, {name: europe-west1, pods: 40}]", "there are 80 pods in all"),
        ("regions: [", "not YAML"),
    ],
)
def test_a_fault_is_named_with_its_place(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        read(tmp_path, text)
    assert said in str(error.value)


def test_the_default_regions_are_the_twins() -> None:
    assert {cluster.zone for cluster in DEFAULT_CLUSTERS} <= Places().zones.keys()


@given(
    pods=st.lists(st.integers(1, 4), min_size=1, max_size=MOST_REGIONS),
    blocks=st.tuples(st.integers(10, 250), st.integers(10, 250)),
)
def test_no_address_is_used_twice(pods: list[int], blocks: tuple[int, int]) -> None:
    assert sum(pods) <= MOST_PODS
    clusters = tuple(Cluster(f"region-{index}", f"zone-{index}", count) for index, count in enumerate(pods))
    used: list[tuple[str, int]] = []
    for number in set(blocks):
        layout = Layout(Path("/world"), clusters, Block(number))
        host, _, port = layout.block.issuer.rpartition(":")
        used.append((host, int(port)))
        for pod in layout.pods:
            used += [(pod.host, pod.gateway_port), (pod.host, pod.app_port), ("everywhere", pod.admin_port)]
    assert len(set(used)) == len(used)
    assert all(port < 65536 for _, port in used)


def test_a_block_of_addresses_is_one_worlds_alone(tmp_path: Path) -> None:
    with claimed_layout(tmp_path, DEFAULT_CLUSTERS) as first:
        with claimed_layout(tmp_path, DEFAULT_CLUSTERS) as second:
            assert first.block.number != second.block.number
        with claimed_layout(tmp_path, DEFAULT_CLUSTERS) as third:
            assert third.block == second.block


def test_no_free_block_is_an_error_that_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claimed_layout(tmp_path, DEFAULT_CLUSTERS) as taken:
        monkeypatch.setattr("infra.world.addresses.FIRST_BLOCK", taken.block.number)
        monkeypatch.setattr("infra.world.addresses.LAST_BLOCK", taken.block.number)
        monkeypatch.setattr("infra.world.addresses.PORTS", ((8443, 50051, 8080),))
        with pytest.raises(PortInUseError, match="end other worlds"):
            with claimed_layout(tmp_path, DEFAULT_CLUSTERS):
                pass
