"""The state of the twin and the one way to change it: an operation that is written down before it is answered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from infra.twin.operation import Failure, Operation
from infra.twin.refused import not_ready
from infra.twin.resources.key import Key
from infra.twin.store import MOST_REQUESTS, Store
from infra.twin.world import Change, World

Moment = Literal["before", "during", "after"]


@dataclass(slots=True)
class Settings:
    """`operation_time`: seconds that an operation takes; at 0 it is DONE in the answer to its request."""

    operation_time: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    """Of the next operations, one each."""
    interrupt: Callable[[int, Moment], None] = lambda *_: None
    """Called around the commit of every mutation, by its number; what it raises or ends is as if the machine had."""


class Engine:
    """`numbers`: ids of resources and operations, none twice."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.settings = settings
        self._store = store
        self.world: World = store.world()
        self.watchers: list[Callable[[Change], None]] = []
        """Told of every change once it is made."""
        self.operations: OrderedDict[str, Operation] = OrderedDict()
        self.mutations = store.counter("mutations")
        self._numbers = store.counter("numbers") or 1_000_000_000_000_000_000
        self._waiting: dict[Key, Operation] = {}
        self._by_request: dict[tuple[str, str], str] = {}
        for operation, applied in store.operations():
            self._remember(operation)
            if not applied:
                self._waiting[operation.target] = operation

    def number(self) -> int:
        """A number that was never given before; it is written with the mutation that it belongs to."""
        self._numbers += 1
        return self._numbers

    def repeated(self, project: str, request_id: str) -> Operation | None:
        """The operation that a request of that id began."""
        name = self._by_request.get((project, request_id)) if request_id else None
        return self.operations.get(name) if name else None

    def check_ready(self, key: Key) -> None:
        """Refused: an operation on the resource is under way."""
        if key in self._waiting:
            raise not_ready(key)

    def under_way(self) -> list[Change]:
        """Changes that will be made, and are not yet."""
        return [operation.change for operation in self._waiting.values() if operation.failure is None]

    def submit(self, kind: str, change: Change, now: float, request_id: str = "") -> Operation:
        """Begins an operation, and ends it if it takes no time; both are on disk when this returns. StoreError."""
        self.check_ready(change.key)
        number = self.number()
        before = self.world.resources.get(change.key, {})
        failure = next(iter(self.settings.failures), None)
        operation = Operation(
            name=f"operation-{int(now * 1000)}-{number % 2**48:012x}",
            number=number,
            kind=kind,
            target=change.key,
            target_id=str((change.after or before).get("id", "0")),
            started=now,
            due=now + self.settings.operation_time,
            change=change,
            failure=failure,
            request_id=request_id,
        )
        self.mutations += 1
        self.settings.interrupt(self.mutations, "before")
        done = operation.is_done(now)
        with self._store.transaction() as transaction:
            transaction.count("mutations", self.mutations)
            transaction.count("numbers", self._numbers)
            transaction.operation(operation, applied=done)
            if done and failure is None:
                transaction.make(change)
            self.settings.interrupt(self.mutations, "during")
        del self.settings.failures[:1]
        self._remember(operation)
        if done:
            self._made(operation)
        else:
            self._waiting[change.key] = operation
        self.settings.interrupt(self.mutations, "after")
        return operation

    def make(self, change: Change) -> None:
        """A change of the twin's own, for which there is no operation; it is on disk when this returns."""
        with self._store.transaction() as transaction:
            transaction.make(change)
        self._apply(change)

    def advance(self, now: float) -> float | None:
        """Ends the operations whose time has come; returns when the next one's comes. StoreError."""
        for operation in sorted(self._waiting.values(), key=lambda waiting: waiting.due):
            if not operation.is_done(now):
                return operation.due
            with self._store.transaction() as transaction:
                if operation.failure is None:
                    transaction.make(operation.change)
                transaction.operation(operation, applied=True)
            del self._waiting[operation.target]
            self._made(operation)
        return None

    def _made(self, operation: Operation) -> None:
        if operation.failure is None:
            self._apply(operation.change)
        # Its change is in the world; an operation that is only looked at needs none.
        self.operations[operation.name] = replace(operation, change=Change(operation.target, None))

    def _apply(self, change: Change) -> None:
        self.world.apply(change)
        for watcher in self.watchers:
            watcher(change)

    def _remember(self, operation: Operation) -> None:
        self.operations[operation.name] = operation
        if operation.request_id:
            self._by_request[operation.target.project, operation.request_id] = operation.name
        while len(self.operations) > MOST_REQUESTS:
            _, oldest = self.operations.popitem(last=False)
            self._by_request.pop((oldest.target.project, oldest.request_id), None)
