"""Where a measurement of its own command takes place: its options, its folder, its CPUs."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tests.bench.errors import BenchError
from tests.bench.process import raise_descriptor_limit
from tests.bench.report import Report
from tests.project.real_parts import PARTS, SYSTEM_PROGRAMS

ROOT = Path(__file__).parents[2]
DRIVER_DIRECTORY = ROOT / "tests/bench/driver/target/release"
PLAIN_WIDTH = 180


@dataclass(frozen=True, slots=True)
class Stage:
    """`directory` is for files of the run; `proxy_cpus` and `load_cpus` None: the kernel decides who runs where."""

    directory: Path
    driver: Path
    backend: Path
    output: Path
    tidegate: str | None
    quick: bool
    proxy_cpus: frozenset[int] | None
    load_cpus: frozenset[int] | None
    descriptors: int
    say: Callable[[str], None]

    def folder(self, name: str) -> Path:
        made = self.directory / name
        made.mkdir(parents=True, exist_ok=True)
        return made

    def keep(self, name: str, report: Report) -> None:
        """Writes `NAME.json` and shows the table."""
        path = self.output / f"{name}.json"
        report.write(path)
        console = Console()
        if not console.is_terminal:
            console = Console(width=PLAIN_WIDTH)
        report.show(console)
        console.print(str(path), markup=False, highlight=False)


@contextmanager
def stage(description: str | None) -> Iterator[Stage]:
    """Reads the command line. A BenchError inside ends the process with its message."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="less of it: a look, not a result")
    parser.add_argument(
        "--pin",
        action=argparse.BooleanOptionalAction,
        default=len(os.sched_getaffinity(0)) >= 2,
        help="proxies on one CPU, the others on the rest; by default with two CPUs or more",
    )
    parser.add_argument("--tidegate", metavar="COMMAND", help="how to call tidegate, if not by the installed command")
    parser.add_argument("--binaries", type=Path, default=DRIVER_DIRECTORY, help="folder of bench-driver, bench-backend")
    parser.add_argument("--output", type=Path, default=ROOT / "bench/results")
    options = parser.parse_args()
    for binary in ("bench-driver", "bench-backend"):
        if not (options.binaries / binary).exists():
            raise SystemExit(f"{options.binaries / binary} is not there: make bench-tools builds it")
    built = dict.fromkeys(str(part.place) for part in PARTS if part.module)
    os.environ["PATH"] = os.pathsep.join((*built, os.environ.get("PATH", os.defpath), SYSTEM_PROGRAMS))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    progress = Console(stderr=True, highlight=False)
    cpus = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as directory:
        try:
            yield Stage(
                directory=Path(directory),
                driver=options.binaries / "bench-driver",
                backend=options.binaries / "bench-backend",
                output=options.output,
                tidegate=options.tidegate,
                quick=options.quick,
                proxy_cpus=frozenset(cpus[-1:]) if options.pin else None,
                load_cpus=frozenset(cpus[:-1]) if options.pin else None,
                descriptors=raise_descriptor_limit(),
                say=lambda text: progress.print(text, markup=False),
            )
        except BenchError as error:
            raise SystemExit(f"bench: {error}") from error
