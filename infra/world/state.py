"""`.tidegate/`: who runs a world there, and `up.json`, which tells every address of it to whoever asks."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from infra.world.errors import WorldError

DEFAULT_DIRECTORY = Path(".tidegate")
STATE_FILE = "up.json"
LOCK_FILE = "up.lock"


class DirectoryInUseError(WorldError):
    """Another `up` runs in the directory; the message names its process."""


class NotRunningError(Exception):
    """No `up` runs in the directory; the message says what to do."""


@dataclass(frozen=True, slots=True)
class PodState:
    """`address` is its gateway's, over TLS; `admin` a URL. Process ids change when it is started anew."""

    name: str
    region: str
    zone: str
    address: str
    app: str
    admin: str
    gateway_pid: int
    app_pid: int


@dataclass(frozen=True, slots=True)
class IssuerState:
    """`url` is the tokens' `iss`, `audience` the `aud` that gateways want."""

    url: str
    jwks_uri: str
    audience: str
    pid: int


@dataclass(frozen=True, slots=True)
class TwinState:
    """`api` is the URL of the project in the Compute API, `url` of the twin itself."""

    url: str
    api: str
    project: str
    pid: int


@dataclass(frozen=True, slots=True)
class ListenerState:
    """Port `port` of the virtual `address`, for clients in a region, is `listen` on this machine, over TLS."""

    client_region: str
    address: str
    port: int
    listen: str


@dataclass(frozen=True, slots=True)
class WorldState:
    """What `up.json` holds. `pid` is `tidegate up` itself; `host` is the name in the certificate that `authority`
    signed. Paths are absolute."""

    pid: int
    started: str
    host: str
    authority: str
    listeners: tuple[ListenerState, ...]
    pods: tuple[PodState, ...]
    twin: TwinState
    issuer: IssuerState
    descriptors: str
    control: str
    logs: str

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


class WorldDirectory:
    """`with WorldDirectory(path) as directory` owns it until the end of the block, or of the process.

    The kernel holds the lock for the open file, so that a killed `up` blocks nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: int | None = None

    def __enter__(self) -> Self:
        """Makes the directory, locks it and removes what a killed `up` left. WorldError, OSError."""
        lock = self._open_lock()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 20, 0).decode(errors="replace").strip()
            os.close(lock)
            raise DirectoryInUseError(
                f"another one runs in {self.path}"
                + (f" (process {owner}): stop it with `kill {owner}`, or" if owner.isdigit() else ":")
                + " give this one another --directory"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock
        self._remove_state()
        ignore = self.path / ".gitignore"
        if not ignore.exists():
            ignore.write_text("# Private keys and logs: nothing here belongs into a repository.\n*\n")
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._remove_state()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def write(self, state: WorldState) -> None:
        """Puts `up.json` in place at once: a reader sees the whole of it or none."""
        draft = self.path / f".{STATE_FILE}.{secrets.token_hex(8)}"
        draft.write_text(state.to_json())
        draft.replace(self.path / STATE_FILE)

    def _open_lock(self) -> int:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self.path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
            raise WorldError(f"{self.path} cannot be the world's folder ({reason}): name another --directory") from None

    def _remove_state(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self.path / STATE_FILE).unlink()
        for draft in self.path.glob(f".{STATE_FILE}.*"):
            draft.unlink(missing_ok=True)


def read_issuer(directory: Path) -> IssuerState:
    """The issuer of the world that runs in `directory`. NotRunningError."""
    path = directory / STATE_FILE
    try:
        document: dict[str, Any] = json.loads(path.read_text())
        issuer = IssuerState(**document["issuer"])
        alive = _alive(int(document["pid"]))
    except FileNotFoundError:
        raise NotRunningError(f"there is no {path}: start `tidegate up` first") from None
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise NotRunningError(f"{path} cannot be read ({error}): start `tidegate up` again") from None
    if not alive:
        raise NotRunningError(f"{path} is of a `tidegate up` that is gone: start it again")
    return issuer


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
