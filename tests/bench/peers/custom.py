"""A proxy that the operator names on the command line: another build of the gateway, for instance."""

from __future__ import annotations

import shlex

from tests.bench.errors import BenchError
from tests.bench.peers.base import Peer, Scenario


class Custom(Peer):
    """`text` is NAME=COMMAND; in COMMAND, `{listen}` and `{backend}` stand for the ports on 127.0.0.1."""

    program = ""
    package = ""
    kinds = frozenset({"plain"})
    lacks = "not described"

    def __init__(self, text: str) -> None:
        name, separator, command = text.partition("=")
        if not separator or "{listen}" not in command or "{backend}" not in command:
            raise BenchError(f"--also takes NAME=COMMAND with {{listen}} and {{backend}} in it, not {text!r}")
        self.name = name
        self.title = name
        self._command = shlex.split(command)

    def executable(self) -> str:
        return self._command[0]

    def version(self) -> str:
        return "unknown"

    def command(self, scenario: Scenario) -> list[str]:
        ports = {"{listen}": str(scenario.listen), "{backend}": str(scenario.backend)}
        words = self._command
        for mark, port in ports.items():
            words = [word.replace(mark, port) for word in words]
        return words
