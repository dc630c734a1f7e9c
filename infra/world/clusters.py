"""Where a world's pods are: regions with a zone and a number of pods each, by default or from a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.configuration.document import Node, read_file
from gateway.configuration.problems import Place, Problems, did_you_mean
from gateway.configuration.section import Section
from gateway.configuration.shape import Field, Listing, Number, Record, Text
from infra.twin.places import Places

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

DEFAULT_PODS = 2
MOST_REGIONS = 16
MOST_PODS = 64
"""Of all regions together: 130 processes, which is more than most machines will like."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A region's cluster: `pods` of them, all in one `zone`."""

    region: str
    zone: str
    pods: int = DEFAULT_PODS


DEFAULT_CLUSTERS = (
    Cluster("us-central1", "us-central1-a"),
    Cluster("europe-west1", "europe-west1-b"),
    Cluster("asia-east1", "asia-east1-a"),
)

_NAME = Text(what="a name")
_CLUSTER = Record(
    {
        "name": Field(_NAME, "A region of Google Cloud.", required=True),
        "zone": Field(_NAME, "Of that region. Default: its first."),
        "pods": Field(Number(1, MOST_PODS), f"Default: {DEFAULT_PODS}."),
    }
)
_FILE = Record({"regions": Field(Listing(_CLUSTER, least=1), required=True)})


def read_clusters(path: Path) -> tuple[Cluster, ...]:
    """The regions of a file, in its order. ConfigurationError with every fault in it, each with its line."""
    problems = Problems()
    root = read_file(path, problems)
    if root is not None:
        checked = _FILE.check(root, Place(str(path), root.line), problems)
        clusters = _read(Section(checked or Node(root.line, {}), Place(str(path))), problems)
    else:
        clusters = []
    problems.raise_errors()
    return tuple(clusters)


def _read(document: Section, problems: Problems) -> list[Cluster]:
    zones = Places().regions
    clusters: list[Cluster] = []
    for section in document.sections("regions"):
        region = section.text("name")
        if region and region not in zones:
            known = ", ".join(sorted(zones))
            advice = did_you_mean(region, zones) or f"there are {known}"
            problems.error(section.place("name"), f'the twin has no region "{region}"', advice)
            continue
        if region in {cluster.region for cluster in clusters}:
            problems.error(section.place("name"), f'"{region}" is listed a second time')
        zone = _zone(section, region, zones, problems)
        clusters.append(Cluster(region, zone, section.integer("pods", DEFAULT_PODS)))
    _check_size(clusters, document.place("regions"), problems)
    return clusters


def _zone(section: Section, region: str, zones: Mapping[str, Sequence[str]], problems: Problems) -> str:
    known = zones.get(region, ())
    zone = section.text("zone") or (known[0] if known else "")
    if known and zone not in known:
        problems.error(section.place("zone"), f'"{zone}" is no zone of {region}', f"there are {', '.join(known)}")
    return zone


def _check_size(clusters: Sequence[Cluster], place: Place, problems: Problems) -> None:
    if len(clusters) > MOST_REGIONS:
        problems.error(place, f"there are {len(clusters)} regions; a world has at most {MOST_REGIONS}")
    pods = sum(cluster.pods for cluster in clusters)
    if pods > MOST_PODS:
        problems.error(place, f"there are {pods} pods in all; a world has at most {MOST_PODS}")
