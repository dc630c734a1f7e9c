"""The request path. Python compiles what the operator wrote into a snapshot; the core moves the bytes.

Nothing else crosses this boundary. No call blocks longer than it says, and all may be called from any thread.
"""

from collections.abc import Callable
from typing import Literal, final

__all__ = [
    "Core",
    "ProbePlan",
    "Prober",
    "SnapshotError",
    "__version__",
    "check_key_pair",
    "check_snapshot",
    "describe_descriptors",
    "probe",
]

__version__: str

class SnapshotError(ValueError):
    """A snapshot is not self-consistent; the former one goes on serving.

    `args[0]` is a list of strings `path: message`, one for each fault.
    """

@final
class Core:
    """The workers, their listeners and the snapshot that they serve."""

    def __new__(cls, workers: int) -> Core:
        """Starts `workers` threads (>= 1), which serve nothing until `apply`."""

    def apply(self, snapshot: bytes) -> None:
        """Swaps to a snapshot: the JSON of `core/datapath/src/snapshot/document/`.

        Opens new listeners, closes those that are gone, keeps the others' connections.
        Raises SnapshotError for a bad document, OSError where an address cannot be bound; nothing has changed then.
        """

    def listeners(self) -> list[tuple[str, str]]:
        """(name, bound address) of each listener, ports filled in."""

    def set_endpoints(self, backend: str, endpoints: list[tuple[str, int, int, int]]) -> None:
        """Replaces a backend's endpoints: (address, weight, priority, distance). Open streams finish where they are.

        Priority 0 comes first; within a priority distance 0 is near, and what is farther takes what it cannot carry.
        KeyError: no such backend. ValueError: an address that is none.
        """

    def change_endpoints(self, backend: str, changed: list[tuple[str, int, int, int]], removed: list[str]) -> None:
        """As `set_endpoints`, for what is new or different and for the addresses that are gone; others stay.

        Costs what the change costs, not what the backend's size would. Raises as `set_endpoints`.
        """

    def set_health(self, backend: str, states: list[tuple[str, Literal["healthy", "unknown", "unhealthy"]]]) -> None:
        """Says what is known of some of a backend's endpoints, by address; of the others it stays as it was.

        KeyError: no such backend. ValueError: an address that is none.
        """

    def tallies(self, backend: str) -> list[tuple[str, int, int, int]]:
        """How calls ended since an endpoint was first known: (address, answered, erred, failed), over all workers.

        `failed`: no connection, no answer, UNAVAILABLE or 502 to 504, which also count as failures in a row. `erred`:
        UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, DATA_LOSS or another 5xx but 501. An endpoint that was gone and came back
        begins anew. Asks no worker; 10,000 endpoints take a few milliseconds. KeyError: no such backend.
        """

    def set_keys(self, provider: str, jwks: str) -> int:
        """Replaces a provider's keys by a JWKS or an x509 map {key id: PEM certificate}; returns how many are usable.

        Decides requests that waited for them. KeyError: no such provider. ValueError: no document of either kind,
        the former keys stay. Keys survive `apply` for providers of the same id and issuer.
        """

    def fail_keys(self, provider: str) -> None:
        """Says that a fetch failed: requests that waited for it are decided with the keys at hand."""

    def drop_keys(self, provider: str) -> None:
        """Forgets a provider's keys (older than `--jwks_max_stale`)."""

    def event_fd(self) -> int:
        """A descriptor that turns readable when `poll_events` has something."""

    def poll_events(self) -> list[str]:
        """Takes what the core has to say, as JSON objects, oldest first; never blocks.

        {"event": "keys-wanted", "provider": id, "kid": str | null}
        {"event": "outlier", "backend": name, "address": str, "consecutive": int}
        {"event": "endpoint-lost", "backend": name, "address": str}: it could not be connected to, or a connection to it
            ended; of those within 100 ms each worker tells one for a backend
        {"event": "log", "severity": "INFO" | "WARNING" | "ERROR", "message": str, ...}
        """

    def announce_drain(self) -> None:
        """From now on `/v1/health` and `--healthz` answer 503 (NOT_SERVING over gRPC); everything else is served."""

    def close_connections(self) -> None:
        """GOAWAY in two steps, `Connection: close`; accepts nothing new a second later."""

    def active_streams(self) -> int: ...
    def active_connections(self) -> int: ...
    def stop(self) -> None:
        """Ends all threads within a second, whatever is still open."""

    def beat(self, timeout: float) -> list[float | None]:
        """Seconds that each worker's loop took to answer; None for one that did not within `timeout` seconds."""

    def stats(self) -> str:
        """Counters and histograms since the start, merged over workers, as JSON (see observe/report.rs)."""

    def ended_calls(self, backend: str) -> int:
        """Calls of a backend that have ended since the start, over all workers; 0 for one that there is not."""

    def status(self) -> str:
        """Listeners, backends, endpoints, connections and workers as they are now, as JSON."""

    def clients(self) -> str:
        """The open client connections (bounded at 10,000) as JSON."""

@final
class ProbePlan:
    """How servers are probed: checked, and certificates read, once for all of them."""

    def __new__(cls, request: bytes) -> ProbePlan:
        """`request` is as for `probe`, with one target; its name and address stand for those of every server.

        ValueError: a bad request.
        """

    def counts(self) -> dict[str, int]:
        """How many probes of its servers ended how, by outcome; what a Watch says is one each time."""

@final
class Prober:
    """A thread that probes thousands of servers, each at its interval or through `Watch`. It ends with the object."""

    def __new__(cls) -> Prober: ...
    def set(self, server: int, plan: ProbePlan, address: str, healthy: int, unhealthy: int) -> None:
        """Begins to probe a server, or changes how. `server` is a number that events call it by.

        `healthy` and `unhealthy` are the streaks that are told although nothing has changed.
        ValueError: no address, or a name that would have to be looked up.
        """

    def remove(self, server: int) -> None:
        """Probes it no longer; what has been found before may still be told."""

    def set_quiet(self, plan: ProbePlan, quiet: bool) -> None:
        """Whether there are no calls for this plan's servers: who passes is then probed every `quiet_interval_ms` only.

        No longer quiet: their next probe is due within an interval.
        """

    def event_fd(self) -> int:
        """A descriptor that turns readable when `poll_events` has something."""

    def poll_events(self) -> list[tuple[int, int, bool, str]]:
        """(server, streak, watched, observation as JSON) of what is new, the oldest first; never blocks.

        `streak`: how many times in a row the server passed, or did not. It passes where it is healthy, or has no
        `grpc.health.v1` at all (gRFC A17). `watched`: `Watch` said so, and will not repeat it. Told is each finding
        that differs from the one before, and the one that completes a streak of `set`'s.
        """

def describe_descriptors(data: bytes) -> str:
    """The services of a FileDescriptorSet, as JSON.

    {"services": [{"name": "pkg.Service", "methods": [{"name", "client_streaming", "server_streaming",
    "input", "output", "http": [{"verb", "template", "body", "response_body"}]}]}]}
    `http` holds the google.api.http annotations. ValueError: not a descriptor set.
    """

def check_snapshot(snapshot: bytes) -> list[str]:
    """What `Core.apply` would refuse of a snapshot, as `path: message`; addresses are not bound, nothing is served."""

def check_key_pair(chain_pem: str, key_pem: str) -> str:
    """Facts of a certificate as JSON {"names": [...], "not_after": unix seconds, "fingerprint": hex}.

    ValueError: no certificate, no key, or a key that is not the certificate's.
    """

def probe(request: bytes, tell: Callable[[str], object]) -> None:
    """Probes the health of some targets at once: `request` is the JSON of `core/datapath/src/probe/document.rs`.

    `tell` gets each observation as JSON (`core/datapath/src/probe/observation.rs`): one for each target, or for a
    watched one every change. Blocks, without the GIL, until all that are not watched have been observed.
    ValueError: a bad request. What `tell` or a signal's handler raises ends it and is raised.
    """
