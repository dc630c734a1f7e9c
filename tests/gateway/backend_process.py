"""A gRPC server in a process of its own, which can be killed: `python -m tests.gateway.backend_process`.

It says its address on standard output and ends with its standard input. An answer goes out in one piece: no call
is killed between its response headers and its message.
"""

from __future__ import annotations

import asyncio
import sys

from tests.gateway.backends import Backend


async def main() -> None:
    async with Backend() as backend:
        sys.stdout.write(backend.address + "\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
