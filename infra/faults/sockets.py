"""The TCP sockets of a process, as /proc tells them (proc_pid_net(5))."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

ESTABLISHED, LISTEN = 0x01, 0x0A
"""include/net/tcp_states.h"""


class Address(NamedTuple):
    host: str
    port: int

    def is_of(self, listeners: Collection[Address]) -> bool:
        """Whether one of them takes connections to it, in its own name or in that of any address."""
        return any(Address(host, self.port) in listeners for host in (self.host, "0.0.0.0", "::"))


class TcpSocket(NamedTuple):
    """`descriptor` is the process's own. A connection that it has not accepted yet has inode 0 and descriptor -1."""

    inode: int
    descriptor: int
    local: Address
    remote: Address
    state: int

    @property
    def listens(self) -> bool:
        return self.state == LISTEN


def sockets_of(process: int) -> list[TcpSocket]:
    """Its TCP sockets, and the connections to them that wait to be accepted. OSError: no such process, or another's."""
    # The tables first: what is accepted in between is still waiting in them, so that whoever asks will ask again.
    tables = _tables(process)
    descriptors = dict(_descriptors(process))
    own = [
        entry._replace(descriptor=descriptors[entry.inode])
        for table in tables
        for entry in read_table(table, lambda line: line.inode in descriptors)
    ]
    listeners = {entry.local for entry in own if entry.listens}
    ports = {address.port for address in listeners}
    waiting = [
        entry
        for table in tables
        for entry in read_table(table, lambda line: not line.inode and line.local_port in ports)
        if entry.state == ESTABLISHED and entry.local.is_of(listeners)
    ]
    return own + waiting


def other_ends(entries: Collection[TcpSocket]) -> dict[int, list[TcpSocket]]:
    """The other ends of connections, and all that go to listeners, where processes hold them that we may look at.

    By process. A connection to a listener is found even if this side of it is closed.
    """
    listeners = {entry.local for entry in entries if entry.listens}
    turned = {(entry.remote, entry.local) for entry in entries if not entry.listens}
    ports = {address.port for address in listeners} | {remote.port for _, remote in turned}
    ends = {
        entry.inode: entry
        for table in _tables("self")
        for entry in read_table(table, lambda line: line.inode and line.remote_port in ports)
        if (entry.local, entry.remote) in turned or entry.remote.is_of(listeners)
    }
    found: dict[int, list[TcpSocket]] = {}
    for folder in Path("/proc").iterdir():
        if not ends:
            break
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                for inode, descriptor in _descriptors(folder.name):
                    if end := ends.pop(inode, None):
                        found.setdefault(int(folder.name), []).append(end._replace(descriptor=descriptor))
    return found


class Line:
    """A line of /proc/net/tcp or tcp6, of which there may be very many: what is not asked for is not read."""

    __slots__ = ("_fields",)

    def __init__(self, text: str) -> None:
        self._fields = text.split(maxsplit=10)

    @property
    def inode(self) -> int:
        """0: of no process yet, or no longer."""
        return int(self._fields[9])

    @property
    def local_port(self) -> int:
        return int(self._fields[1][-4:], base=16)

    @property
    def remote_port(self) -> int:
        return int(self._fields[2][-4:], base=16)

    def socket(self) -> TcpSocket:
        local, remote = _address(self._fields[1]), _address(self._fields[2])
        return TcpSocket(self.inode, -1, local, remote, int(self._fields[3], base=16))


def read_table(text: str, wanted: Callable[[Line], object]) -> Iterator[TcpSocket]:
    """Those of its lines that are wanted."""
    for text_line in text.splitlines()[1:]:
        line = Line(text_line)
        if wanted(line):
            yield line.socket()


def _tables(process: int | str) -> list[str]:
    """Of the network that the process lives in; without IPv6 there is no tcp6."""
    files = [Path(f"/proc/{process}/net/{name}") for name in ("tcp", "tcp6")]
    return [file.read_text() for file in files if file.exists()]


def _descriptors(process: int | str) -> Iterator[tuple[int, int]]:
    """(inode, descriptor) of its sockets of any kind. OSError."""
    with os.scandir(f"/proc/{process}/fd") as entries:
        for entry in entries:
            try:
                status = entry.stat()
            except FileNotFoundError:
                continue
            if stat.S_ISSOCK(status.st_mode):
                yield status.st_ino, int(entry.name)


def _address(text: str) -> Address:
    """`0100007F:1F90`: each 32 bits of the address in the order of this machine's bytes."""
    digits, _, port = text.partition(":")
    words = [int(digits[at : at + 8], base=16).to_bytes(4, sys.byteorder) for at in range(0, len(digits), 8)]
    packed = b"".join(words)
    if len(packed) == 16 and packed.startswith(bytes(10) + b"\xff\xff"):
        packed = packed[12:]
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    return Address(socket.inet_ntop(family, packed), int(port, base=16))
