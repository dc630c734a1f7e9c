"""Names of resources: every spelling that clients use, and the one under which a resource is stored.

A reference may be a full URL on any host, `projects/...`, or a part of it from the scope on (`global/urlMaps/x`,
`zones/z/networkEndpointGroups/n`). Stored is the `projects/...` form; answers get the URL that the client can reach.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_VERSIONED = re.compile(r"(?:https?://[^/]+)?/?(?:compute/)?(?:v1|beta)/(?=projects/)", re.IGNORECASE)
_SCOPED = re.compile(
    r"(?:projects/(?P<project>[^/]+)/)?"
    r"(?P<scope>global|(?P<level>zones|regions)/(?P<location>[^/]+))"
    r"(?:/(?P<collection>[^/]+)/(?P<name>[^/]+))?"
)
_OF_PROJECT = re.compile(r"projects/(?P<project>[^/]+)/(?P<collection>zones|regions)/(?P<name>[^/]+)")


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """One resource. `scope` is `global`, `zones/Z` or `regions/R`; that of a zone or a region itself is ``."""

    project: str
    scope: str
    collection: str
    name: str

    def __str__(self) -> str:
        return "/".join(filter(None, ("projects", self.project, self.scope, self.collection, self.name)))

    @property
    def location(self) -> str:
        """The zone or region; `` for what is global."""
        return self.scope.partition("/")[2]


def parse(text: str, project: str) -> Key:
    """Reads a reference; `project` is what one without a project means. ValueError: it is none."""
    path = _VERSIONED.sub("", text, count=1) if "projects/" in text else text
    path = path.strip("/")
    if own := _OF_PROJECT.fullmatch(path):
        return Key(own["project"], "", own["collection"], own["name"])
    if scoped := _SCOPED.fullmatch(path):
        owner = scoped["project"] or project
        if scoped["name"]:
            return Key(owner, scoped["scope"], scoped["collection"], scoped["name"])
        if scoped["location"]:
            return Key(owner, "", scoped["level"], scoped["location"])
    raise ValueError(f"The URL is malformed: '{text[:200]}'.")
