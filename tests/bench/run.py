"""Side by side: `python -m tests.bench.run`, or `make bench`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from tests.bench import certificates, descriptors, footprint, machine, measure, picture, screen, tokens
from tests.bench.errors import BenchError
from tests.bench.peers import Custom, Envoy, Haproxy, Nghttpx, Nginx, Peer, Relay, Tidegate
from tests.bench.place import Place
from tests.bench.process import raise_descriptor_limit
from tests.bench.results import Results
from tests.bench.rows import QUICK_SECONDS, ROWS, SECONDS, Row

ROOT = Path(__file__).parents[2]
DRIVER_DIRECTORY = ROOT / "tests/bench/driver/target/release"
ROUNDS, QUICK_ROUNDS = 5, 2
PLAIN_WIDTH = 180


def main() -> None:
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    progress = Console(stderr=True, highlight=False)
    rows = [row for row in ROWS if not options.rows or row.name in options.rows]
    peers: list[Peer] = [Tidegate(options.tidegate), Envoy(), Haproxy(), Nghttpx(), Nginx(), Relay()]
    also = [Custom(text) for text in options.also]
    if options.peers:
        peers = [peer for peer in peers if peer.name in options.peers]
    limit = raise_descriptor_limit()
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as directory:
        place = prepare(options, Path(directory), progress)
        present = [peer for peer in [*peers, *also] if peer.missing() is None]
        results = Results(
            machine=machine.describe(),
            options={
                "rounds": place.rounds,
                "seconds": place.seconds,
                "pinned": place.proxy_cpus is not None,
                "taken": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            },
            versions={peer.name: peer.version() for peer in present},
            titles={peer.name: peer.title for peer in present},
            lacks={peer.name: peer.lacks for peer in present},
        )
        for row in rows:
            progress.print(f"{row.name}: {row.title}")
            taking_part, skipped = select(row, peers, also)
            results.rows.append(measure.run(row, taking_part, skipped, place))
        if options.footprint:
            for peer in present:
                if peer.name in footprint.ROW.peers:
                    progress.print(f"start and memory: {peer.title}")
                    results.footprint[peer.name] = footprint.measure(peer, limit, place)
    results.write(options.output / "results.json")
    picture.draw(results, options.output / "cpu.svg")
    screen.show(results, console)
    console.print(f"{options.output / 'results.json'}, {options.output / 'cpu.svg'}")
    broken = [row.title for row in results.rows if any(figures.failed for figures in row.peers.values())]
    if broken:
        raise SystemExit(f"some figures do not count: {'; '.join(broken)}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    names = ", ".join(row.name for row in ROWS)
    parser.add_argument("--rows", type=words, default=[], help=f"only these, separated by commas: {names}")
    parser.add_argument(
        "--peers", type=words, default=[], help="only these: tidegate, envoy, haproxy, nghttpx, nginx, relay"
    )
    parser.add_argument("--rounds", type=int, help=f"rounds per row ({ROUNDS}; quick {QUICK_ROUNDS})")
    parser.add_argument("--seconds", type=float, help=f"length of one measurement ({SECONDS}; quick {QUICK_SECONDS})")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: a look, not a result")
    parser.add_argument(
        "--footprint", action=argparse.BooleanOptionalAction, default=True, help="start time and memory"
    )
    parser.add_argument(
        "--pin",
        action=argparse.BooleanOptionalAction,
        default=len(os.sched_getaffinity(0)) >= 2,
        help="proxies on one CPU, driver and backend on the others; by default with two CPUs or more",
    )
    parser.add_argument(
        "--also", action="append", default=[], metavar="NAME=COMMAND", help="one more proxy, plain rows"
    )
    parser.add_argument("--tidegate", metavar="COMMAND", help="how to call tidegate, if not by the installed command")
    parser.add_argument(
        "--binaries", type=Path, default=DRIVER_DIRECTORY, help="where bench-driver and bench-backend are"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "bench/results")
    options = parser.parse_args()
    unknown = set(options.rows) - {row.name for row in ROWS}
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {names}")
    return options


def words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def prepare(options: argparse.Namespace, directory: Path, progress: Console) -> Place:
    # Proxies that drop their privileges read their configuration here.
    directory.chmod(0o755)
    for binary in ("bench-driver", "bench-backend"):
        if not (options.binaries / binary).exists():
            raise SystemExit(f"{options.binaries / binary} is not there: make bench-tools builds it")
    cpus = sorted(os.sched_getaffinity(0))
    if options.pin:
        progress.print(f"proxies on CPU {cpus[-1]}, driver and backend on {cpus[:-1]}")
    return Place(
        directory=directory,
        driver=options.binaries / "bench-driver",
        backend=options.binaries / "bench-backend",
        certificates=certificates.make(directory / "tls"),
        issuer=tokens.make(directory / "tokens"),
        descriptors=descriptors.write(directory / "descriptors.pb"),
        rounds=options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS),
        seconds=options.seconds or (QUICK_SECONDS if options.quick else SECONDS),
        proxy_cpus=frozenset(cpus[-1:]) if options.pin else None,
        load_cpus=frozenset(cpus[:-1]) if options.pin else None,
        say=lambda text: progress.print(text, markup=False),
    )


def select(row: Row, peers: list[Peer], also: list[Custom]) -> tuple[list[Peer], dict[str, str]]:
    """Who takes part in `row`, and who does not although the row has a place for it, with the reason."""
    wanted = [peer for peer in peers if peer.name in row.peers]
    skipped = {peer.name: reason for peer in wanted if (reason := peer.missing()) is not None}
    present = [peer for peer in wanted if peer.name not in skipped]
    return [*present, *(peer for peer in also if row.kind in peer.kinds)], skipped


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        raise SystemExit(f"bench: {error}") from error
