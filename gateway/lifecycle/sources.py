"""Notices when files that the configuration was read from change.

Files are looked at, not listened to: notification does not work on every kind of volume, and a stat of a few paths a
second costs nothing. A stamp follows symbolic links, so that Kubernetes' way to change a volume shows (a new directory,
then `..data` renamed over the old link), and it has the inode, so that a file renamed over an old one shows whatever
its times are. A directory's stamp has those of its files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path

Stamp = tuple[object, ...]
Stamps = Mapping[Path, Stamp]

MAX_ENTRIES = 1000
"""Files of one directory that are looked at."""

CLOCK_GRAIN_NS = 100_000_000
"""How far a file system's clock may lag behind the system's."""


def stamps(paths: Iterable[Path]) -> Stamps:
    """What identifies the present content of each path, without reading it. A path that is absent has a stamp too."""
    return {path: _stamp(path) for path in paths}


def stamps_since(paths: Iterable[Path], since: float) -> Stamps:
    """Stamps of content that was read at `since` (Unix seconds).

    A path that changed later gets one that never matches.
    """
    moment = since * 1e9 - CLOCK_GRAIN_NS
    return {path: () if _changed_at(path) >= moment else _stamp(path) for path in paths}


def _stamp(path: Path) -> Stamp:
    return (*_of(path), *((entry.name, *_of(entry)) for entry in _entries(path)))


def _entries(path: Path) -> list[Path]:
    """The files of a directory, in order; none for anything else."""
    try:
        return sorted(islice(path.iterdir(), MAX_ENTRIES)) if path.is_dir() else []
    except OSError:
        return []


def _of(path: Path) -> Stamp:
    try:
        facts = path.stat()
    except OSError as error:
        return (error.errno,)
    return (facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size)


def _changed_at(path: Path) -> int:
    """Nanoseconds; for a file in a Kubernetes volume also when `..data` was renamed over its predecessor."""
    volume = (path if path.is_dir() else path.parent) / "..data"
    try:
        link = [volume.lstat().st_ctime_ns] if volume.is_symlink() else []
        return max([*link, *(entry.stat().st_ctime_ns for entry in (path, *_entries(path)))])
    except OSError:
        return 0
