"""Ends a process group when whoever started it is gone, however it went: Ctrl-C, an exception or `kill -9`.

The guard leads the group that all children of a world are put into, and reads a pipe whose only writer is `up`. The
kernel closes that pipe with its writer, so end of file cannot be missed. Then the group, grandchildren included, gets
SIGTERM and a second later SIGKILL. No process has to cooperate, no process id is remembered that could be reused, and
there is no moment in which a child exists that nobody would end: it joins the group before its program starts.

Run as a plain file, isolated: it imports nothing of this project and starts in a few milliseconds.
"""

from __future__ import annotations

import os
import signal
import sys
import time

GRACE_SECONDS = 1.0


def main() -> None:
    if os.getpgrp() != os.getpid():
        sys.exit("the guard must lead a process group of its own")
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.killpg(os.getpgrp(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
