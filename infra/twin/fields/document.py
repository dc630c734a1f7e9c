"""docs/twin.md, made from the tables; a test holds the two equal.

python -m infra.twin.fields.document    writes it anew, from the root of the tree
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import wrap

from infra.twin.api.dispatch import Api
from infra.twin.discovery.document import Document, compute_v1
from infra.twin.engine import Engine, Settings
from infra.twin.fields.endpoint_group import ENDPOINT
from infra.twin.fields.table import Table
from infra.twin.fields.tables import BY_SCHEMA, KINDS, Place, places
from infra.twin.places import Places
from infra.twin.resources.kinds import KINDS as RESOURCES
from infra.twin.store import Store

WIDTH = 120

_INTRODUCTION = """\
# What the twin honours, stores and refuses

`tidegate twin` answers the Compute API as Google does, and carries traffic by what is written there
([how to run it](guides/twin.md)). It does not do everything that Google's load balancers do. This is the whole list,
made from the tables in `infra/twin/fields/`; a test sets every field over the API and looks at what follows from it.

| | what becomes of the field |
|---|---|
| **honoured** | the traffic follows it, or what the API answers elsewhere |
| **refused** | 400, so that nobody relies on it |
| **stored** | checked against Google's schema, kept and given back as it was set; without effect |
| **dropped** | checked against Google's schema; without effect, and not given back |
| **output** | the server's own; what a client sends there is ignored |

What holds for a field holds for all that is in it, unless that has a table of its own. Values that are not of the type,
enum or pattern that Google's discovery document says (revision {revision}) are 400 for every field; fields that are not
in it are ignored, and refused with `--strict`.

What to keep in mind:

- Traffic to backends is HTTP/2, whatever the protocol of the service.
- A rule of a URL map with a condition that the twin does not know takes no request, rather than every one.
  `GET /twin/v1/listeners` names such conditions under `ignored`.
- No headers are added or taken away, no cookies made, nothing is cached, compressed, mirrored or rewritten, and
  everyone is let in.
"""


def document() -> str:
    """docs/twin.md."""
    schemas = compute_v1()
    api = Api(Engine(Store(None), Settings()), Places(), lambda *_: {})
    lines = [_INTRODUCTION.format(revision=schemas.revision)]
    for kind in KINDS:
        lines += [f"## {kind.title}", ""]
        if kind is not ENDPOINT:
            lines += [*_methods(api, schemas, kind), ""]
        lines += _table(kind)
        for part, where in _parts(schemas, kind):
            stands = ", ".join(f"`{'.'.join(path)}`" for path in where)
            heading = f"### {kind.title.partition(' ')[0]}: {part.title}"
            lines += [heading, "", *wrap(stands, WIDTH), "", *_table(part)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _methods(api: Api, schemas: Document, kind: Table) -> Iterator[str]:
    (resource,) = (resource for resource in RESOURCES if resource.schema == kind.schema)
    own = [method for method in schemas.methods.values() if method.collection == resource.methods]
    there = [method.action for method in own if api.has(method)]
    absent = [method.action for method in own if not api.has(method)]
    yield from wrap(f"Methods: {_names(there)}.", WIDTH)
    if absent:
        yield from ("", *wrap(f"Not there, 501: {_names(absent)}.", WIDTH))


def _parts(schemas: Document, kind: Table) -> Iterator[tuple[Table, list[tuple[str, ...]]]]:
    """Tables below a kind's own, with the places where they stand."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for place in places(schemas, kind):
        if place.has_parts:
            found.setdefault(_schema_of(place), []).append(place.path)
    for schema, where in found.items():
        yield BY_SCHEMA[schema], where


def _schema_of(place: Place) -> str:
    schema = place.schema
    return str(schema["items"]["$ref"] if "items" in schema else schema["$ref"])


def _table(table: Table) -> Iterator[str]:
    rows: list[str] = []
    rest: dict[str, list[str]] = {}
    for name, handling, note in table.rows():
        told = _told(table, name, note)
        if told or handling in ("honoured", "refused"):
            rows.append(f"| `{name}` | {handling} | {told} |")
        else:
            rest.setdefault(handling, []).append(name)
    if rows:
        yield from ("| field | | |", "|---|---|---|", *rows, "")
    for what, names in rest.items():
        yield from (*wrap(f"{what.capitalize()}: {_names(names)}.", WIDTH, break_on_hyphens=False), "")


def _told(table: Table, name: str, note: str) -> str:
    taken = f"only {_names(table.only[name])}" if name in table.only else ""
    return "; ".join(filter(None, (taken, note)))


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def write(root: Path) -> None:
    """Renews the document under the root of the tree."""
    (root / "docs/twin.md").write_text(document())


if __name__ == "__main__":
    write(Path.cwd())
