"""What the benchmark must know of a proxy."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.bench.certificates import Certificates
from tests.bench.tokens import Issuer

Kind = Literal["plain", "tls", "jwt", "health", "spread"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One proxy's place in one row.

    It listens on `listen`, its backend on `backend` (both 127.0.0.1, with TLS in rows of kind "tls"). In rows of kind
    "spread" the backend has the `endpoints` (host:port). Its configuration is written into `directory`, which is its
    own.
    """

    kind: Kind
    listen: int
    backend: int
    directory: Path
    certificates: Certificates
    issuer: Issuer
    descriptors: Path
    endpoints: tuple[str, ...] = ()


class Peer:
    """A proxy that runs with one worker. `lacks` names what it does not do on a request's way and Tidegate does."""

    name: str
    title: str
    program: str
    package: str
    kinds: frozenset[Kind]
    lacks: str = ""
    version_arguments: tuple[str, ...] = ("--version",)

    def executable(self) -> str | None:
        """Beside the running Python first: what the project's own environment installed."""
        beside = Path(sys.executable).with_name(self.program)
        if beside.exists():
            return str(beside)
        return shutil.which(self.program) or shutil.which(self.program, path="/usr/sbin:/usr/local/sbin")

    def missing(self) -> str | None:
        """Why the peer cannot take part, or None."""
        return None if self.executable() else f"{self.program} is not installed ({self.package})"

    def version(self) -> str:
        """Version number, or "unknown"."""
        executable = self.executable()
        if executable is None:
            return "unknown"
        run = subprocess.run(
            [executable, *self.version_arguments], capture_output=True, text=True, check=False, timeout=30
        )
        found = re.search(r"\d+\.\d+(\.\d+)?", run.stdout + run.stderr)
        return found.group() if found else "unknown"

    def command(self, scenario: Scenario) -> list[str]:
        """The command line for `scenario`; writes its configuration into `scenario.directory`."""
        raise NotImplementedError

    def program_path(self) -> str:
        executable = self.executable()
        if executable is None:
            raise FileNotFoundError(self.missing())
        return executable
