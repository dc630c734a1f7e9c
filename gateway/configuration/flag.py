"""What there is to know about one flag of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "path", "port", "count", "duration", "size", "switch", "address"]
Status = Literal["supported", "without effect", "not yet supported"]


@dataclass(frozen=True, slots=True)
class Flag:
    """`default` is what applies without it, as shown. `v1_only` marks what only ESP, not ESPv2, is started with."""

    name: str
    group: str
    kind: Kind
    help: str
    default: str = ""
    short: str = ""
    aliases: tuple[str, ...] = ()
    extra_variables: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    repeatable: bool = False
    v1_only: bool = False
    status: Status = "supported"

    @property
    def variable(self) -> str:
        return "TIDEGATE_" + self.name.upper()

    @property
    def variables(self) -> tuple[str, ...]:
        return (self.variable, *self.extra_variables, *("TIDEGATE_" + alias.upper() for alias in self.aliases))

    @property
    def metavar(self) -> str:
        if self.choices:
            return "|".join(self.choices)
        return {
            "text": "TEXT",
            "path": "PATH",
            "port": "PORT",
            "count": "N",
            "duration": "TIME",
            "size": "BYTES",
            "switch": "",
            "address": "ADDRESS",
        }[self.kind]
