"""What is wrong with a configuration, and where: collected, so that an operator sees everything at once."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written: a file with a line (from 1; 0 is the whole file), or a flag or variable by its name.

    `path` is the way to the value inside the file, as in `authentication.rules[0].selector`.
    """

    file: str
    line: int = 0
    path: str = ""

    def __str__(self) -> str:
        parts = [self.file if self.line == 0 else f"{self.file}:{self.line}"]
        if self.path:
            parts.append(self.path)
        return ": ".join(parts)


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault. `file` is a path, `--flag` or a variable's name; `suggestion` says what to do, or is empty."""

    file: str
    line: int
    path: str
    message: str
    suggestion: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        text = f"{Place(self.file, self.line, self.path)}: {self.message}"
        return f"{text} ({self.suggestion})" if self.suggestion else text

    def as_dict(self) -> dict[str, str | int]:
        return {
            "severity": self.severity,
            "file": self.file,
            "line": self.line,
            "path": self.path,
            "message": self.message,
            "suggestion": self.suggestion,
        }


MOST_PROBLEMS = 1000
TOO_MANY = Problem("", 0, "", f"there are more than {MOST_PROBLEMS} problems; the others are not shown")


class ConfigurationError(Exception):
    """A configuration that cannot be served. `problems` holds every fault that was found, in the order of the files."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def as_json(self) -> str:
        return problems_as_json(self.problems)


def problems_as_json(problems: Iterable[Problem]) -> str:
    """`{"problems": [{severity, file, line, path, message, suggestion}]}`."""
    return json.dumps({"problems": [problem.as_dict() for problem in problems]}, indent=2)


class Problems:
    """Collects faults, warnings and notes while a configuration is read."""

    def __init__(self) -> None:
        self._all: dict[Problem, None] = {}

    def error(self, place: Place, message: str, suggestion: str = "") -> None:
        self._add(place, message, suggestion, "error")

    def warning(self, place: Place, message: str, suggestion: str = "") -> None:
        self._add(place, message, suggestion, "warning")

    def note(self, place: Place, message: str, suggestion: str = "") -> None:
        self._add(place, message, suggestion, "note")

    def take(self, problems: Iterable[Problem]) -> None:
        """Adds errors that were found elsewhere."""
        for problem in problems:
            self.error(Place(problem.file, problem.line, problem.path), problem.message, problem.suggestion)

    def _add(self, place: Place, message: str, suggestion: str, severity: Severity) -> None:
        if self.full and severity != "error":
            return
        problem = Problem(place.file, place.line, place.path, message, suggestion, severity)
        if not self.full:
            self._all[problem] = None
        elif problem not in self._all:
            self._all[TOO_MANY] = None

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._all)

    @property
    def full(self) -> bool:
        """Whether no more problems are kept; TOO_MANY then stands for the rest."""
        return len(self._all) >= MOST_PROBLEMS

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self._all if problem.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Warnings and notes."""
        return tuple(problem for problem in self._all if problem.severity != "error")

    def raise_errors(self) -> None:
        """Raises ConfigurationError when there is at least one error."""
        if self.errors:
            raise ConfigurationError(self.errors)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean "x"?` for the known word that is nearest to a mistyped one, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'did you mean "{near[0]}"?' if near else ""
