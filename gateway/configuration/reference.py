"""Reference documents that are made from the code's own tables; a test holds them equal.

python -m gateway.configuration.reference    writes them anew, from the root of the tree
"""

from __future__ import annotations

from pathlib import Path

from .flags import FLAGS
from .gateway_yaml import gateway_schema
from .service_config.fields import table

_MEANINGS = {
    "honoured": "honoured",
    "derived": "taken from descriptor sets",
    "described": "no effect, said at start",
    "ignored": "**not honoured**, warned of at start",
    "refused": "**refused**: the gateway does not start",
}
_FLAGS_INTRODUCTION = (
    "Made from the table in `gateway/configuration/flags.py`. `--flag=value` and `--flag value`, underscores and"
    " hyphens mean the same. A flag outranks its environment variable, which outranks `gateway.yaml`."
)
TABLE_BEGIN = "<!-- made by gateway.configuration.reference: begin -->\n"
TABLE_END = "<!-- made by gateway.configuration.reference: end -->\n"


def flags_document() -> str:
    """docs/reference/flags.md."""
    lines = [
        "# Flags of `tidegate gateway`",
        "",
        _FLAGS_INTRODUCTION,
    ]
    group = ""
    for flag in FLAGS:
        if flag.status == "not yet supported":
            continue
        if flag.group != group:
            group = flag.group
            lines += ["", f"## {group}", "", "| flag | meaning | default | variable |", "|---|---|---|---|"]
        names = ", ".join(
            f"`{name}`" for name in (flag.short, "--" + flag.name, *("--" + a for a in flag.aliases)) if name
        )
        value = f" *{flag.metavar}*".replace("|", "\\|") if flag.metavar else ""
        variables = ", ".join(f"`{name}`" for name in (flag.variable, *flag.extra_variables))
        repeatable = " May be given several times." if flag.repeatable else ""
        cells = (names + value, (flag.help + repeatable).replace("|", "\\|"), flag.default, variables)
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "## Not yet supported", "", "Known from ESP and ESPv2; the gateway does not start with them.", ""]
    lines += [f"- `--{flag.name}`" for flag in FLAGS if flag.status == "not yet supported"]
    return "\n".join(lines) + "\n"


def service_config_table() -> str:
    """The table of docs/guides/service-config.md."""
    rows = [f"| `{path}` | {_MEANINGS[handling]} | {reason} |" for path, handling, reason in table()]
    return "\n".join(["| field | what the gateway does | why |", "|---|---|---|", *rows]) + "\n"


def with_table(document: str) -> str:
    """A document with the table between its marks renewed. ValueError without the marks."""
    begin, end = document.index(TABLE_BEGIN) + len(TABLE_BEGIN), document.index(TABLE_END)
    return f"{document[:begin]}\n{service_config_table()}\n{document[end:]}"


def write(root: Path) -> None:
    """Renews the documents under the root of the tree."""
    (root / "docs/reference/flags.md").write_text(flags_document())
    (root / "docs/reference/gateway.schema.json").write_text(gateway_schema())
    guide = root / "docs/guides/service-config.md"
    guide.write_text(with_table(guide.read_text()))


if __name__ == "__main__":
    write(Path.cwd())
