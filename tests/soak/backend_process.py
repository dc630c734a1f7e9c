"""A gRPC server in a process of its own, which can be killed: `python -m tests.soak.backend_process PORT`.

It ends with its standard input.
"""

from __future__ import annotations

import select
import sys

from tests.support.backends import GrpcBackend


def main() -> None:
    with GrpcBackend(address=f"127.0.0.1:{sys.argv[1]}") as backend:
        backend.set_serving(True)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while not select.select([sys.stdin], [], [], 1.0)[0]:
            backend.calls.clear()


if __name__ == "__main__":
    main()
