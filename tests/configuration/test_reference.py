"""Documents that are made from tables are as the tables are.

`python -m gateway.configuration.reference` renews them.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from gateway.configuration.flags import BY_NAME
from gateway.configuration.gateway_yaml import gateway_schema
from gateway.configuration.reference import flags_document, with_table

ROOT = Path(__file__).parents[2]


def test_the_reference_of_flags() -> None:
    assert (ROOT / "docs/reference/flags.md").read_text() == flags_document()


def test_the_schema() -> None:
    assert (ROOT / "docs/reference/gateway.schema.json").read_text() == gateway_schema()


def test_the_table_of_service_configurations() -> None:
    guide = (ROOT / "docs/guides/service-config.md").read_text()
    assert guide == with_table(guide)


def test_guides_name_flags_that_exist() -> None:
    for path in (ROOT / "docs/guides/configuration.md", ROOT / "docs/guides/service-config.md"):
        text = path.read_text()
        for name in re.findall(r"`(?:tidegate gateway )?--([a-z0-9_]+)", text):
            assert name in (*BY_NAME, "help"), f"{path.name} names --{name}"


def test_help_and_errors_import_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from gateway.configuration import load, ConfigurationError\n"
        "from gateway.configuration.help import render_help\n"
        "render_help()\n"
        "try:\n    load(['--backnd=x'], {})\nexcept ConfigurationError:\n    pass\n"
        "heavy = {'ruamel.yaml', 'pydantic', 'aiohttp', 'rich', 'tidegate_core', 'asyncio', 'ssl'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
