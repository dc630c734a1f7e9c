"""A core that moves no bytes: it records what it is told, and says what a test puts into it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any

from gateway.configuration.model import Backend, GatewayConfig, Listener, Provider
from gateway.core import Core, CoreEndpoint, HealthState
from gateway.keys.fetcher import FetchError, KeyDocument

JWKS = json.dumps({"keys": [{"kid": "one"}]})


class SnapshotError(ValueError):
    """As the native module's."""


class FakeCore:
    """Knows the providers and backends of the snapshot that it was given last, as the native core does."""

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self.calls: list[tuple[str, ...]] = []
        self.snapshot: dict[str, Any] = {}
        self.refuse: Exception | None = None
        self.keys: dict[str, str] = {}
        self.endpoints: dict[str, list[CoreEndpoint]] = {}
        self.calls_ended: dict[str, list[tuple[str, int, int, int]]] = {}
        """What `tallies` answers by backend."""
        self.ended: dict[str, int] = {}
        self.streams = 0
        self.connections = 0
        self.answers: list[float | None] = [0.001] * workers
        self.stats_document: dict[str, Any] = {"counters": [], "gauges": [], "histograms": [], "help": {}}
        self.status_document: dict[str, Any] = {}
        self.stopped = False
        self._events: list[str] = []
        self._readable, self._writable = os.pipe()

    def emit(self, **event: Any) -> None:
        self._events.append(json.dumps(event))
        os.write(self._writable, b"!")

    def said(self, name: str) -> list[tuple[str, ...]]:
        """The arguments of each call of that name."""
        return [call[1:] for call in self.calls if call[0] == name]

    def apply(self, snapshot: bytes) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.snapshot = json.loads(snapshot)
        self.calls.append(("apply", self.snapshot["version"]))
        self.keys = {key: value for key, value in self.keys.items() if key in self.snapshot["providers"]}
        self.endpoints = {
            name: [tuple(endpoint) for endpoint in pairs] for name, pairs in self.snapshot["backends"].items()
        }

    def listeners(self) -> list[tuple[str, str]]:
        return [(name, address.replace(":0", ":4242")) for name, address in self.snapshot.get("listeners", {}).items()]

    def set_endpoints(self, backend: str, endpoints: list[CoreEndpoint]) -> None:
        if backend not in self.endpoints:
            raise KeyError(backend)
        self.calls.append(("set_endpoints", backend, *(address for address, *_ in endpoints)))
        self.endpoints[backend] = endpoints

    def change_endpoints(self, backend: str, changed: list[CoreEndpoint], removed: list[str]) -> None:
        if backend not in self.endpoints:
            raise KeyError(backend)
        added = (f"+{address}" for address, *_ in changed)
        self.calls.append(("change_endpoints", backend, *added, *(f"-{address}" for address in removed)))
        gone = {*removed, *(address for address, *_ in changed)}
        kept = [endpoint for endpoint in self.endpoints[backend] if endpoint[0] not in gone]
        self.endpoints[backend] = [*kept, *changed]

    def set_health(self, backend: str, states: list[tuple[str, HealthState]]) -> None:
        if backend not in self.endpoints:
            raise KeyError(backend)
        self.calls.append(("set_health", backend, *(f"{address} {state}" for address, state in states)))

    def tallies(self, backend: str) -> list[tuple[str, int, int, int]]:
        if backend not in self.endpoints:
            raise KeyError(backend)
        return self.calls_ended.get(backend, [])

    def set_keys(self, provider: str, jwks: str) -> int:
        self._known(provider)
        document = json.loads(jwks)
        if not isinstance(document, dict) or "keys" not in document:
            raise ValueError("it is neither a JWKS nor a map of certificates")
        self.calls.append(("set_keys", provider, jwks))
        self.keys[provider] = jwks
        return len(document["keys"])

    def fail_keys(self, provider: str) -> None:
        self._known(provider)
        self.calls.append(("fail_keys", provider))

    def drop_keys(self, provider: str) -> None:
        self._known(provider)
        self.calls.append(("drop_keys", provider))
        self.keys.pop(provider, None)

    def event_fd(self) -> int:
        return self._readable

    def poll_events(self) -> list[str]:
        os.read(self._readable, 4096)
        events, self._events = self._events, []
        return events

    def announce_drain(self) -> None:
        self.calls.append(("announce_drain",))

    def close_connections(self) -> None:
        self.calls.append(("close_connections",))

    def active_streams(self) -> int:
        return self.streams

    def active_connections(self) -> int:
        return self.connections

    def stop(self) -> None:
        self.stopped = True
        os.close(self._readable)
        os.close(self._writable)

    def ended_calls(self, backend: str) -> int:
        return self.ended.get(backend, 0)

    def beat(self, timeout: float) -> list[float | None]:
        return self.answers

    def stats(self) -> str:
        return json.dumps(self.stats_document)

    def status(self) -> str:
        return json.dumps(self.status_document)

    def clients(self) -> str:
        return json.dumps([{"peer": "127.0.0.1:5000"}])

    def _known(self, provider: str) -> None:
        if provider not in self.snapshot.get("providers", {}):
            raise KeyError(provider)


def serving(*providers: str) -> FakeCore:
    """A core that serves a snapshot with these providers."""
    core = FakeCore()
    core.snapshot = {"version": "0", "listeners": {}, "backends": {}, "providers": dict.fromkeys(providers, "issuer")}
    return core


_: type[Core] = FakeCore


def compile_fake(config: GatewayConfig, version: str, endpoints: Any) -> bytes:
    """What `FakeCore.apply` reads, in place of the real snapshot."""
    return json.dumps(
        {
            "version": version,
            "listeners": {listener.name: listener.address for listener in config.listeners},
            "backends": {name: list(pairs) for name, pairs in endpoints.items()},
            "providers": {provider.id: provider.issuer for provider in config.authentication.providers},
        }
    ).encode()


@dataclass
class ScriptedFetch:
    """Answers each fetch with the next outcome of the script, the last one for ever, and notes when it was asked."""

    outcomes: list[KeyDocument | Exception]
    times: list[float] = field(default_factory=list)
    validators: list[str | None] = field(default_factory=list)

    async def __call__(self, source: Any, validator: str | None) -> KeyDocument:
        import asyncio

        self.times.append(round(asyncio.get_running_loop().time(), 3))
        self.validators.append(validator)
        outcome = self.outcomes[0] if len(self.outcomes) == 1 else self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def failed(reason: str = "no answer") -> FetchError:
    return FetchError(reason)


def provider(name: str = "acme", issuer: str = "https://acme.example", *, jwks: str | None = None) -> Provider:
    return Provider(id=name, issuer=issuer, jwks=jwks or f"https://{name}.example/keys")


def plain_config(**changes: Any) -> GatewayConfig:
    """A listener and a backend on loopback, no admin server, no delay."""
    from dataclasses import replace

    from gateway.configuration.model import Admin

    config = GatewayConfig(
        listeners=(Listener("http", "127.0.0.1:0"),),
        backends=(Backend("app", ("127.0.0.1:50051",)),),
        admin=Admin(port=0),
        workers=1,
        drain_delay=0.0,
        drain_grace=5.0,
    )
    return replace(config, **changes)
