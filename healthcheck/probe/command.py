"""The command line of `tidegate probe`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from healthcheck.probe.flags import Usage, parse
from healthcheck.probe.options import FLAGS, help_text
from healthcheck.probe.report import BAD_ARGUMENTS, NO_SPIFFE, SERVES, exit_status, line
from healthcheck.probe.targets import check, document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from healthcheck.probe.flags import Value


def main(argv: Sequence[str]) -> int:
    """Returns the exit status; KeyboardInterrupt ends a watch."""
    try:
        values, targets = parse(argv, FLAGS)
        if values["h"] or values["help"]:
            sys.stdout.write(f"{help_text()}\n")
            return SERVES
        if values["version"]:
            return _print_version()
        if values["addr"]:
            targets.insert(0, str(values["addr"]))
        for scheme, status in (("spiffe", NO_SPIFFE), ("alts", BAD_ARGUMENTS)):
            if values[scheme]:
                return _complain(f"-{scheme} is not supported; -tls-client-cert shows a certificate", status)
        check(values, targets)
        request = {"targets": [document(target, values, _read, _roots) for target in targets]}
    except Usage as error:
        return _complain(str(error), BAD_ARGUMENTS)
    return _probe(request, values)


def _probe(request: dict[str, Any], values: dict[str, Value]) -> int:
    import tidegate_core

    worst = SERVES
    named, watch = len(request["targets"]) > 1, bool(values["watch"])
    as_json, verbose = values["o"] == "json", bool(values["v"])

    def tell(text: str) -> None:
        nonlocal worst
        observation = json.loads(text)
        worst = max(worst, exit_status(observation))
        said = text if as_json else line(observation, named=named, timed=watch, verbose=verbose)
        sys.stdout.write(f"{said}\n")
        sys.stdout.flush()

    try:
        tidegate_core.probe(json.dumps(request).encode(), tell)
    except ValueError as error:
        return _complain(str(error), BAD_ARGUMENTS)
    return worst


def _complain(text: str, status: int) -> int:
    sys.stderr.write(f"tidegate probe: {text}\n")
    return status


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:  # noqa: PTH123 - pathlib takes 5 ms to import
            return file.read()
    except OSError as error:
        raise Usage(f"{path}: {error.strerror}") from None


def _roots() -> str:
    from healthcheck.public_roots import bundle_path

    path = bundle_path()
    if path is None:
        raise Usage("this machine has no public roots to trust: give -tls-ca-cert, or -tls-no-verify")
    return _read(str(path))


def _print_version() -> int:
    from tidegate_core import __version__

    sys.stdout.write(f"tidegate {__version__}\n")
    return SERVES
