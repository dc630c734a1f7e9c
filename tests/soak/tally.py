from __future__ import annotations

import threading
from collections import Counter


class Tally:
    """What happened, by who and what; `wrong` is what must never happen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self.wrong: list[str] = []

    def count(self, who: str, what: str) -> None:
        with self._lock:
            self._counts[who, what] += 1

    def check(self, who: str, expected: object, answer: object) -> None:
        """Counts an answer, which has to be the expected one."""
        self.count(who, "answered")
        if answer != expected:
            self.fault(who, f"{answer!r:.200} instead of {expected!r:.200}")

    def fault(self, who: str, what: str) -> None:
        with self._lock:
            self.wrong.append(f"{who}: {what}")

    def of(self, who: str, what: str = "answered") -> int:
        with self._lock:
            return self._counts[who, what]

    def table(self) -> str:
        with self._lock:
            rows = sorted(self._counts.items())
        width = max((len(who) for (who, _), _ in rows), default=0)
        return "\n".join(f"  {who:<{width}}  {count:>8}  {what}" for (who, what), count in rows)
