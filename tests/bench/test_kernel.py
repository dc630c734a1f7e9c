"""The figures stand on the kernel's account of a process: threads that have ended and children belong to it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.bench import kernel

SPENT = 0.2

BURN_IN_A_THREAD = f"""
import sys, threading, time
def burn():
    while time.process_time() < {SPENT}:
        pass
thread = threading.Thread(target=burn)
thread.start()
thread.join()
print("burnt", flush=True)
sys.stdin.read()
"""

PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN_IN_A_THREAD!r}])"


@pytest.fixture(params=["itself", "by a child"])
def burnt(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A process that has spent SPENT seconds in a thread that has ended, or whose child has."""
    program = BURN_IN_A_THREAD if request.param == "itself" else PARENT
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "burnt\n"
        yield process
        assert process.stdin is not None
        process.stdin.close()


def test_ended_threads_and_children_count(burnt: subprocess.Popen[str]) -> None:
    assert kernel.usage(burnt.pid).total >= SPENT


def test_memory_is_that_of_the_whole_tree(burnt: subprocess.Popen[str]) -> None:
    each = [kernel.resident_bytes(pid) for pid in kernel.descendants(burnt.pid)]
    assert kernel.resident_bytes(burnt.pid) >= max(each) > 0


def test_a_process_that_has_ended_has_no_figures() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    with pytest.raises(ProcessLookupError):
        kernel.usage(process.pid)


def test_the_machine_used_more_than_one_of_its_processes(burnt: subprocess.Popen[str]) -> None:
    assert kernel.machine_usage() > kernel.usage(burnt.pid).total
