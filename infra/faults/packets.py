"""Sockets of other processes, and how they lose every packet that comes in.

No root is needed for it. A process may take copies of the sockets of those that it has started (pidfd_getfd(2): as a
debugger may, ptrace(2)), and a socket can be told to drop packets that have come too far: whose time to live is below a
least one (IP_MINTTL, ip(7); meant for routing protocols, RFC 5082). Packets on this machine arrive with 64, so that 255
drops them all, before TCP sees them: a listener answers no SYN, a connection acknowledges nothing. Nothing is closed or
reset; both ends go on waiting, as they do when a cable is cut.

A packet filter (SO_ATTACH_FILTER) would do the same, but newer kernels keep it on TCP to CAP_NET_ADMIN.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Self

from infra.faults.target import FaultError

if TYPE_CHECKING:
    from infra.faults.sockets import TcpSocket

PIDFD_GETFD = 438
"""The same on every architecture (include/uapi/asm-generic/unistd.h)."""
IP_MINTTL, IPV6_MINHOPCOUNT = 21, 73
"""linux/in.h, linux/in6.h"""
TOO_FAR = 255
DEFAULT_TTL = Path("/proc/sys/net/ipv4/ip_default_ttl")

_libc = ctypes.CDLL(None, use_errno=True)


class Sockets:
    """`with Sockets(process) as sockets`: those of one process. FaultError: it has ended, or the kernel forbids it."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._handle = -1

    def __enter__(self) -> Self:
        try:
            self._handle = os.pidfd_open(self._process)
        except OSError as error:
            raise _refused(self._process, error) from None
        return self

    def __exit__(self, *exc_info: object) -> None:
        os.close(self._handle)

    def cut(self, entry: TcpSocket) -> None:
        """No packet comes in any more. FaultError."""
        self._set_least_ttl(entry, TOO_FAR)

    def mend(self, entry: TcpSocket) -> None:
        """Packets come in again. FaultError."""
        self._set_least_ttl(entry, 0)

    def _set_least_ttl(self, entry: TcpSocket, least: int) -> None:
        copy = self._copy(entry)
        if copy is None:
            return
        with copy:
            if copy.family == socket.AF_INET6:
                copy.setsockopt(socket.IPPROTO_IPV6, IPV6_MINHOPCOUNT, least)
            # Sockets of IPv6 carry IPv4 as well.
            copy.setsockopt(socket.IPPROTO_IP, IP_MINTTL, least)

    def _copy(self, entry: TcpSocket) -> socket.socket | None:
        """None: the process has closed it."""
        descriptor = _libc.syscall(PIDFD_GETFD, self._handle, entry.descriptor, 0)
        if descriptor < 0:
            number = ctypes.get_errno()
            if number == errno.EBADF:
                return None
            raise _refused(self._process, OSError(number, os.strerror(number)))
        # The number may stand for something else by now.
        if os.fstat(descriptor).st_ino != entry.inode:
            os.close(descriptor)
            return None
        return socket.socket(fileno=descriptor)


def check() -> None:
    """FaultError: packets do not lose any of their time to live here, so that none ever comes from too far."""
    with contextlib.suppress(OSError, ValueError):
        if int(DEFAULT_TTL.read_text()) >= TOO_FAR:
            raise FaultError(f"partition needs net.ipv4.ip_default_ttl below {TOO_FAR}; it is 64 by default")


def _refused(process: int, error: OSError) -> FaultError:
    match error.errno:
        case errno.ESRCH:
            return FaultError(f"process {process} has ended")
        case errno.ENOSYS:
            return FaultError("partition needs Linux 5.6 or newer (pidfd_getfd)")
        case errno.EPERM | errno.EACCES:
            return FaultError(f"the kernel does not let us take the sockets of process {process}: {_reason()}")
    return FaultError(f"the sockets of process {process} cannot be had: {error.strerror}")


def _reason() -> str:
    try:
        scope = int(Path("/proc/sys/kernel/yama/ptrace_scope").read_text())
    except (OSError, ValueError):
        scope = 0
    if scope > 1:
        return f"kernel.yama.ptrace_scope is {scope}, and partition needs 0 or 1"
    return "in a container, add the capability SYS_PTRACE; else run as the user that started it"
