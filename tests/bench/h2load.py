"""A second opinion on the plain rows: nghttp2's h2load, which sends one fixed header set and looks only at HTTP
statuses."""

from __future__ import annotations

import re
import shutil
import subprocess

from tests.bench import kernel
from tests.bench.load import Load
from tests.bench.place import Place
from tests.bench.process import affinity

# api.EchoMessage with a content of 93 bytes (field 1, length-delimited) behind the gRPC prefix: 100 bytes.
BODY = b"\0" + (95).to_bytes(4, "big") + b"\x0a\x5d" + b"0" * 93


def installed() -> bool:
    return shutil.which("h2load") is not None


def cpu_per_call(pid: int, port: int, load: Load, place: Place) -> float | None:
    """CPU microseconds of the proxy `pid` per call under h2load; None if any call failed."""
    body = place.directory / "echo-body"
    body.write_bytes(BODY)
    before = kernel.usage(pid)
    command = [
        "h2load",
        f"--clients={load.connections}",
        f"--max-concurrent-streams={load.streams}",
        f"--duration={max(1, round(place.seconds))}",
        f"--data={body}",
        "--header=te: trailers",
        "--header=content-type: application/grpc",
        "--header=user-agent: grpc-go/1.60.0",
        f"http://127.0.0.1:{port}/api.Echo/Echo",
    ]
    with affinity(place.load_cpus):
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=place.seconds + 60)
    spent = (kernel.usage(pid) - before).total
    counts = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", run.stdout)
    if counts is None:
        return None
    done, succeeded = int(counts[1]), int(counts[2])
    return spent * 1e6 / done if done and done == succeeded else None
