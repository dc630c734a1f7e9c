"""Whether a port can be listened on."""

from __future__ import annotations

import errno
import socket


def is_free(host: str, port: int) -> bool:
    """Whether nobody has the port and this process may. OSError: `host` is no address of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return bind(probe, host, port)


def bind(one: socket.socket, host: str, port: int) -> bool:
    """False: somebody has the port, or it is root's. OSError."""
    try:
        one.bind((host, port))
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            return False
        raise
    return True
