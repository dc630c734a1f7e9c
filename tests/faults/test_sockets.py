"""The kernel's tables of sockets, held against sockets of our own."""

from __future__ import annotations

import os
import socket

import pytest

from infra.faults.sockets import Address, sockets_of


@pytest.mark.parametrize(
    ("family", "bound", "seen"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET, "127.10.1.2", "127.10.1.2"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET6, "::ffff:127.10.1.2", "127.10.1.2"),
        (socket.AF_INET6, "::", "::"),
    ],
)
def test_sockets_are_found_with_their_addresses(family: socket.AddressFamily, bound: str, seen: str) -> None:
    with socket.socket(family) as listener:
        listener.bind((bound, 0))
        listener.listen()
        host, port = ("::1", listener.getsockname()[1]) if bound == "::" else (bound, listener.getsockname()[1])
        found = {entry.descriptor: entry for entry in sockets_of(os.getpid())}
        assert found[listener.fileno()].local == Address(seen, port)
        assert found[listener.fileno()].listens
        with socket.create_connection((host, port)) as client:
            entries = sockets_of(os.getpid())
            (ours,) = [entry for entry in entries if entry.descriptor == client.fileno()]
            assert ours.remote.port == port
            assert not ours.listens
            assert ours.remote.is_of({Address(seen, port)})
            (waiting,) = [entry for entry in entries if not entry.inode and entry.local.port == port]
            assert waiting.remote.port == client.getsockname()[1]
            accepted, _ = listener.accept()
            with accepted:
                entries = sockets_of(os.getpid())
                assert not [entry for entry in entries if not entry.inode and entry.local.port == port]
                assert accepted.fileno() in {entry.descriptor for entry in entries}


def test_an_address_is_of_a_listener_of_any_address() -> None:
    assert Address("127.0.0.1", 80).is_of({Address("0.0.0.0", 80)})
    assert not Address("127.0.0.1", 80).is_of({Address("0.0.0.0", 81), Address("127.0.0.2", 80)})
