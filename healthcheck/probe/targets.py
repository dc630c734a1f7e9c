"""From the command line to what the core is asked: `core/datapath/src/probe/document.rs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from healthcheck.probe.flags import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from healthcheck.probe.flags import Value

    Json = dict[str, Any]


class Scheme(NamedTuple):
    """`port`: that of a target which names none; 0: it has to."""

    kind: str
    tls: bool
    port: int


SCHEMES = {
    "grpc": Scheme("grpc", tls=False, port=443),
    "grpcs": Scheme("grpc", tls=True, port=443),
    "http": Scheme("http", tls=False, port=80),
    "https": Scheme("http", tls=True, port=443),
    "h2c": Scheme("http2", tls=False, port=80),
    "h2": Scheme("http2", tls=True, port=443),
    "tcp": Scheme("tcp", tls=False, port=0),
    "tls": Scheme("tcp", tls=True, port=443),
}
GRPC = SCHEMES["grpc"]
RESOLVERS = ("dns:///", "passthrough:///", "dns:", "ipv4:", "ipv6:")
"""What gRPC writes before an address and what makes no difference here."""


class Parts(NamedTuple):
    """A target taken apart. `port` 0: a Unix socket, whose path is `host`."""

    scheme: Scheme
    host: str
    port: int
    path: str


def split(text: str) -> Parts:
    """Raises Usage."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:").removeprefix("//")
        if not path.startswith("/"):
            raise Usage(f"{text}: the path of a Unix socket is absolute, as in unix:///run/app.sock")
        return Parts(GRPC, path, 0, "")
    scheme, rest = GRPC, text
    name, separator, after = text.partition("://")
    if separator and name in SCHEMES:
        scheme, rest = SCHEMES[name], after
    elif prefix := next((prefix for prefix in RESOLVERS if text.startswith(prefix)), ""):
        rest = text.removeprefix(prefix)
    elif separator:
        raise Usage(f"{text}: there is no scheme {name}; there are {', '.join(SCHEMES)} and unix")
    end = next((at for at, character in enumerate(rest) if character in "/?"), len(rest))
    authority, path = rest[:end], rest[end:]
    host, port = _host_and_port(text, authority, scheme.port)
    return Parts(scheme, host, port, path)


def _host_and_port(text: str, authority: str, default: int) -> tuple[str, int]:
    host, colon, port = authority.rpartition(":")
    bracketed = authority.startswith("[") and authority.endswith("]")
    if not colon or bracketed:
        host, port = authority, str(default or "")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise Usage(f"{text}: give a port from 1 to 65535, as in {host or 'localhost'}:50051")
    # Go takes an address without a host for this machine.
    return host or "localhost", int(port)


def document(text: str, values: Mapping[str, Value], read: Callable[[str], str], roots: Callable[[], str]) -> Json:
    """One target of the request. `read` reads a PEM file, `roots` those that this machine trusts. Raises Usage."""
    parts = split(text)
    scheme = parts.scheme
    tls = scheme.tls or bool(values["tls"])
    if values["tls"] and scheme.kind != "grpc" and not scheme.tls:
        raise Usage(f"{text}: -tls is for gRPC; say https://, h2:// or tls:// instead")
    server_name = str(values["tls-server-name"]) or (parts.host.strip("[]") if parts.port else "localhost")
    target: Json = {
        "name": text,
        "kind": scheme.kind,
        "address": f"{parts.host}:{parts.port}" if parts.port else f"unix://{parts.host}",
        "authority": _authority(parts, values, tls),
        "service": values["service"],
        "headers": [_header(line) for line in _list(values["rpc-header"])],
        "user_agent": values["user-agent"],
        "expected_statuses": _statuses(str(values["expect"])),
        "gzip": values["gzip"],
        "connect_timeout_ms": _milliseconds(values["connect-timeout"]),
        "answer_timeout_ms": _milliseconds(values["rpc-timeout"]),
        "watch": values["watch"],
        "interval_ms": _milliseconds(values["interval"]),
    }
    if scheme.kind == "grpc" and parts.path.strip("/"):
        target["service"] = parts.path.strip("/")
    elif scheme.kind in ("http", "http2"):
        target["path"] = parts.path if parts.path.startswith("/") else f"/{parts.path}"
    elif parts.path.strip("/"):
        raise Usage(f"{text}: a path is for HTTP")
    if tls:
        target["tls"] = {**_tls(values, read, roots), "server_name": server_name}
    return target


def check(values: Mapping[str, Value], targets: Sequence[str]) -> None:
    """Flags that do not go together. Raises Usage."""
    if not targets:
        raise Usage("which server? Give its address, as in `tidegate probe localhost:50051`")
    has_tls = bool(values["tls"]) or any(split(target).scheme.tls for target in targets)
    for name in ("tls-no-verify", "tls-ca-cert", "tls-client-cert", "tls-client-key", "tls-server-name"):
        if values[name] and not has_tls:
            raise Usage(f"-{name} is of no use without -tls")
    if values["tls-no-verify"] and values["tls-ca-cert"]:
        raise Usage("-tls-ca-cert would not be used with -tls-no-verify")
    for given, missing in (("tls-client-cert", "tls-client-key"), ("tls-client-key", "tls-client-cert")):
        if values[given] and not values[missing]:
            raise Usage(f"-{given} needs -{missing}")
    if values["o"] not in ("text", "json"):
        raise Usage(f'-o: "{values["o"]}" is neither text nor json')


def _authority(parts: Parts, values: Mapping[str, Value], tls: bool) -> str:
    given = values["authority"] or (tls and values["tls-server-name"])
    if given:
        return str(given)
    if not parts.port:
        return "localhost"
    is_usual = parts.scheme.kind.startswith("http") and parts.port == parts.scheme.port
    return parts.host if is_usual else f"{parts.host}:{parts.port}"


def _tls(values: Mapping[str, Value], read: Callable[[str], str], roots: Callable[[], str]) -> Json:
    tls: Json = {"verify": not values["tls-no-verify"]}
    if not values["tls-no-verify"]:
        tls["ca_pem"] = read(str(values["tls-ca-cert"])) if values["tls-ca-cert"] else roots()
    if values["tls-client-cert"]:
        chain, key = read(str(values["tls-client-cert"])), read(str(values["tls-client-key"]))
        tls["client"] = {"chain_pem": chain, "key_pem": key}
    return tls


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise Usage(f"-rpc-header: \"{line}\" is not 'NAME: VALUE'")
    return name.strip(), value.strip()


def _statuses(text: str) -> list[tuple[int, int]]:
    ranges = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        if not (first.isascii() and first.isdigit() and last.isascii() and last.isdigit()):
            raise Usage(f'-expect: "{text}" is no list of statuses, as in 200,301-308')
        ranges.append((int(first), int(last)))
    if not all(100 <= first <= last <= 999 for first, last in ranges):
        raise Usage(f"-expect: {text}: statuses lie between 100 and 999, the lower one first")
    return ranges


def _milliseconds(seconds: Value) -> int:
    return max(1, round(seconds * 1000)) if isinstance(seconds, float) else 1


def _list(value: Value) -> list[str]:
    return value if isinstance(value, list) else []
