"""Where the twin's state survives: one SQLite file, written in one transaction for each mutation."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from infra.certificates import KeyPair
from infra.twin.operation import Failure, Operation
from infra.twin.resources.key import Key
from infra.twin.world import Change, Endpoint, World, load

log = logging.getLogger("tidegate.twin")

MOST_REQUESTS = 10_000
"""Lines of the log of requests that are kept, and operations that are done."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resource (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS endpoint (
    position INTEGER PRIMARY KEY,
    key TEXT NOT NULL, ip_address TEXT NOT NULL, port INTEGER NOT NULL, instance TEXT NOT NULL,
    UNIQUE (key, ip_address, port, instance)
);
CREATE TABLE IF NOT EXISTS operation (
    number INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, body TEXT NOT NULL, applied INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS request (number INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS authority (
    number INTEGER PRIMARY KEY CHECK (number = 1), chain TEXT NOT NULL, key TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
_ATTACH = "INSERT OR IGNORE INTO endpoint (key, ip_address, port, instance) VALUES (?, ?, ?, ?)"
_DETACH = "DELETE FROM endpoint WHERE key = ? AND ip_address = ? AND port = ? AND instance = ?"
_FORGET = """
DELETE FROM operation WHERE applied AND number IN (SELECT number FROM operation ORDER BY number DESC LIMIT -1 OFFSET ?)
"""


VERSION = 1
"""Of what the file holds; SQLite's `user_version`. Files from before there was a number are of the first."""

LONGEST_LOCKED = 2.0
"""Seconds that a start waits for a twin that is about to end."""


class StoreError(OSError):
    """The file cannot be written; nothing has changed then."""


class Store:
    """Synchronous; a mutation takes a fraction of a millisecond. Transactions raise StoreError."""

    def __init__(self, path: Path | None) -> None:
        """Opens or makes the file, which holds private keys, and keeps others away; None keeps everything in memory.

        OSError: it cannot be used.
        """
        self._database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        if path is None:
            self._database.executescript(_SCHEMA)
            return
        try:
            path.touch(mode=0o600)
            self._database = sqlite3.connect(
                path, timeout=LONGEST_LOCKED, isolation_level=None, check_same_thread=False
            )
            version = self._open()
        except (OSError, sqlite3.Error) as error:
            self._database.close()
            hint = " Is it another twin's?" if "locked" in str(error) else ""
            raise OSError(f"{path}: the twin's state cannot be kept there: {error}.{hint}") from error
        if version not in (0, VERSION):
            self._database.close()
            raise OSError(
                f"{path}: the twin's state is of version {version}, and this one knows {VERSION}: give it another file."
            )

    def _open(self) -> int:
        """Returns the version that the file had, and leaves one alone that is not known."""
        # A world in memory and a file that two write do not stay together.
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        version = int(self._database.execute("PRAGMA user_version").fetchone()[0])
        if version in (0, VERSION):
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_SCHEMA)
            self._database.execute(f"PRAGMA user_version = {VERSION}")
        return version

    def close(self) -> None:
        """Nothing is lost without it."""
        self._database.close()

    def world(self) -> World:
        """The resources as they were committed."""
        resources = self._database.execute("SELECT key, body FROM resource")
        endpoints = self._database.execute("SELECT key, ip_address, port, instance FROM endpoint ORDER BY position")
        return load(
            ((_key(key), json.loads(body)) for key, body in resources),
            ((_key(key), Endpoint(address, port, instance)) for key, address, port, instance in endpoints),
        )

    def authority(self, make: Callable[[], KeyPair]) -> KeyPair:
        """Whoever signs managed certificates; `make` is called where there is none yet."""
        with self.transaction():
            found = self._database.execute("SELECT chain, key FROM authority").fetchone()
            if found is None:
                made = make()
                self._database.execute("INSERT INTO authority VALUES (1, ?, ?)", (made.chain, made.key))
                return made
        return KeyPair(*found)

    def operations(self) -> Iterator[tuple[Operation, bool]]:
        """(operation, whether its change is made), the oldest first."""
        for body, applied in self._database.execute("SELECT body, applied FROM operation ORDER BY number"):
            yield _operation(json.loads(body)), bool(applied)

    def counter(self, name: str) -> int:
        """0 where it never was written."""
        found = self._database.execute("SELECT value FROM counter WHERE name = ?", (name,)).fetchone()
        return int(found[0]) if found else 0

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Everything or nothing."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield Transaction(self._database)
            self._database.execute("COMMIT")
        except BaseException as error:
            # After some errors SQLite has rolled back by itself.
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise StoreError(f"The twin's state cannot be written: {error}.") from error
            raise

    def log(self, body: dict[str, Any]) -> None:
        """Adds a request to the log; the oldest go. What has been answered stays so where there is no room for it."""
        try:
            cursor = self._database.execute("INSERT INTO request (body) VALUES (?)", (json.dumps(body),))
            if cursor.lastrowid and cursor.lastrowid % 100 == 0:
                self._database.execute("DELETE FROM request WHERE number <= ?", (cursor.lastrowid - MOST_REQUESTS,))
        except sqlite3.Error as error:
            log.warning("A request is missing in the twin's log: %s.", error)

    def requests(self, after: int, most: int) -> list[dict[str, Any]]:
        """The log from a number on, the oldest first."""
        found = self._database.execute(
            "SELECT number, body FROM request WHERE number > ? ORDER BY number LIMIT ?", (after, most)
        )
        return [{"number": number, **json.loads(body)} for number, body in found]


class Transaction:
    """What can be written in one."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def make(self, change: Change) -> None:
        """Writes what a change leaves."""
        key = str(change.key)
        if change.after is None:
            self._database.execute("DELETE FROM resource WHERE key = ?", (key,))
            self._database.execute("DELETE FROM endpoint WHERE key = ?", (key,))
            return
        self._database.execute("INSERT OR REPLACE INTO resource VALUES (?, ?)", (key, json.dumps(change.after)))
        self._many(_DETACH, key, change.detached)
        self._many(_ATTACH, key, change.attached)

    def _many(self, statement: str, key: str, endpoints: Iterable[Endpoint]) -> None:
        rows = [(key, endpoint.ip_address, endpoint.port, endpoint.instance) for endpoint in endpoints]
        self._database.executemany(statement, rows)

    def operation(self, operation: Operation, *, applied: bool) -> None:
        """Writes an operation, or that its change is made, which it need not hold from then on; the oldest that are
        done go."""
        kept = replace(operation, change=Change(operation.target, None)) if applied else operation
        row = (operation.number, operation.name, json.dumps(_body(kept)), applied)
        self._database.execute("INSERT OR REPLACE INTO operation VALUES (?, ?, ?, ?)", row)
        # An insert takes two numbers, so that its operation may have every odd one and no even one.
        if operation.number % 100 < 2:
            self._database.execute(_FORGET, (MOST_REQUESTS,))

    def count(self, name: str, value: int) -> None:
        """Sets a counter."""
        self._database.execute("INSERT OR REPLACE INTO counter VALUES (?, ?)", (name, value))


def _key(text: str) -> Key:
    _, project, *scope, collection, name = text.split("/")
    return Key(project, "/".join(scope), collection, name)


def _body(operation: Operation) -> dict[str, Any]:
    change = operation.change
    return {
        "name": operation.name,
        "number": operation.number,
        "kind": operation.kind,
        "target": str(operation.target),
        "target_id": operation.target_id,
        "started": operation.started,
        "due": operation.due,
        "after": change.after,
        "attached": [asdict(endpoint) for endpoint in change.attached],
        "detached": [asdict(endpoint) for endpoint in change.detached],
        "failure": asdict(operation.failure) if operation.failure else None,
        "request_id": operation.request_id,
    }


def _operation(body: dict[str, Any]) -> Operation:
    target = _key(body["target"])

    def endpoints(name: str) -> tuple[Endpoint, ...]:
        return tuple(Endpoint(**entry) for entry in body[name])

    return Operation(
        name=body["name"],
        number=body["number"],
        kind=body["kind"],
        target=target,
        target_id=body["target_id"],
        started=body["started"],
        due=body["due"],
        change=Change(target, body["after"], endpoints("attached"), endpoints("detached")),
        failure=Failure(**body["failure"]) if body["failure"] else None,
        request_id=body["request_id"],
    )
