"""The native core alone in a process: `python -m tests.soak.core_process WORKERS`.

It is told what to do by lines of JSON, [method, argument ...], and answers each with [error, result].
"""

from __future__ import annotations

import json
import sys
from typing import Any

from tidegate_core import Core


def main() -> None:
    core = Core(int(sys.argv[1]))
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        sys.stdout.write(json.dumps(_answer(core, method, arguments)) + "\n")
        sys.stdout.flush()
    core.stop()


def _answer(core: Core, method: str, arguments: list[Any]) -> tuple[str | None, Any]:
    if method == "apply":
        arguments = [json.dumps(arguments[0]).encode()]
    elif method == "set_endpoints":
        arguments[1] = [tuple(endpoint) for endpoint in arguments[1]]
    try:
        return None, getattr(core, method)(*arguments)
    except (ValueError, OSError, KeyError) as error:
        return f"{type(error).__name__}: {error}", None


if __name__ == "__main__":
    main()
