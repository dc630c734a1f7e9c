"""Durations, sizes and network addresses as operators write them."""

from __future__ import annotations

import ipaddress
import re

_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_PLAIN_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_SIZE_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SIZE = re.compile(r"(\d+)(?:([kmg])(?:i?b)?|b)?", re.ASCII | re.IGNORECASE)
_SCHEME = re.compile(r"static:|[a-z][a-z0-9+.-]*://", re.ASCII)
_HOST_NAME = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?"
)

LONGEST_DURATION = 10 * 365 * 86400.0
"""Ten years: more is a slip of the keyboard, and milliseconds of it still fit 64 bits by far."""

HIGHEST_WEIGHT = 65535
"""Of an endpoint's weight and priority; those of SRV records reach as far (RFC 2782)."""

LONGEST_UNIX_PATH = 107
"""`sun_path` holds 108 bytes with its closing zero (unix(7))."""


def parse_duration(text: str) -> float:
    """Seconds of `30s`, `1h30m`, `500ms` or a plain number of seconds. ValueError says what is expected."""
    stripped = text.strip()
    if _PLAIN_NUMBER.fullmatch(stripped):
        seconds = float(stripped)
    else:
        parts = _DURATION_PART.findall(stripped)
        if not parts or "".join(number + unit for number, unit in parts) != stripped:
            raise ValueError(f'"{text}" is not a duration such as 30s, 1h30m or 500ms')
        seconds = sum(float(number) * _DURATION_UNITS[unit] for number, unit in parts)
    if seconds > LONGEST_DURATION:
        raise ValueError(f'"{text}" is longer than ten years')
    return round(seconds, 3)


def format_duration(seconds: float) -> str:
    """The shortest spelling that `parse_duration` reads back: `1h30m`, `30s`, `500ms`."""
    milliseconds = round(seconds * 1000)
    if milliseconds == 0:
        return "0s"
    text = ""
    for unit, length in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, length)
        text += f"{count}{unit}" if count else ""
    return text


def parse_size(text: str) -> int:
    """Bytes of `65536`, `64k`, `64KiB`, `4m` or `1GiB` (all powers of 1024). ValueError says what is expected."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or len(match[1]) > 15:
        raise ValueError(f'"{text}" is not a size such as 65536, 64KiB or 4MiB')
    return int(match[1]) * _SIZE_UNITS[(match[2] or "").lower()]


def format_size(size: int) -> str:
    """The shortest spelling that `parse_size` reads back."""
    for suffix, unit in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size and size % unit == 0:
            return f"{size // unit}{suffix}"
    return str(size)


def split_host_port(address: str, default_port: int | None = None) -> tuple[str, int]:
    """(host without brackets, port) of `host:port` or `[v6]:port`. ValueError says what is wrong."""
    host, port_text = address, ""
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f'"{address}" is not [IPv6 address]:port')
        host, port_text = _ipv6(host, address), rest[1:]
    elif address.count(":") > 1:
        raise ValueError(f'"{address}": an IPv6 address stands in brackets, as in [::1]:8080')
    else:
        host, _, port_text = address.partition(":")
        if not _HOST_NAME.fullmatch(host):
            raise ValueError(f'"{address}": "{host}" is not a host name or an IP address')
    if not port_text and default_port is not None:
        return host, default_port
    return host, parse_port(port_text)


def _ipv6(host: str, address: str) -> str:
    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError:
        raise ValueError(f'"{address}": "{host}" is not an IPv6 address') from None


def parse_port(text: str) -> int:
    """0 to 65535. ValueError says what is expected."""
    if re.fullmatch(r"\d{1,5}", text, re.ASCII) and int(text) <= 65535:
        return int(text)
    raise ValueError(f'"{text}" is not a port (0 to 65535)' if text else "a port is missing")


def join_host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_listen_address(text: str) -> str:
    """`host:port`, `[v6]:port` or `unix:///path`, as given. ValueError says what is wrong."""
    if text.startswith("unix:"):
        return _unix(text)
    host, port = split_host_port(text)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f'"{text}": a listener needs an IP address, as in 0.0.0.0:8080 or [::]:8080') from None
    return join_host_port(host, port)


def has_scheme(text: str) -> bool:
    """Whether a target is a name of some registry or a static list, and no address."""
    return not text.startswith("unix:") and _SCHEME.match(text) is not None


def in_registry(text: str) -> bool:
    """Whether a text begins with a scheme that discovery knows."""
    return has_scheme(text) and text.partition(":")[0] in schemes()


def schemes() -> tuple[str, ...]:
    """The schemes that discovery knows."""
    from gateway.discover.schemes import SCHEMES

    return tuple(sorted(SCHEMES))


def server_name_of(target: str) -> str:
    """The name that the certificates of a target's servers should have; "" where it does not say. ValueError as
    `check_target`."""
    from gateway.discover.schemes import server_name

    return server_name(target)


def check_target(text: str) -> str:
    """Where a backend listens: `host:port`, `[v6]:port`, `unix:///path`, or a name that discovery knows how to look up
    (`dns:///app:50051`, `k8s:///app:grpc`). ValueError says what is wrong."""
    if text.startswith("unix:"):
        return _unix(text)
    if has_scheme(text):
        from gateway.discover.schemes import check

        check(text)
        return text
    host, port = split_host_port(text)
    if port == 0:
        raise ValueError(f'"{text}": a backend cannot listen on port 0')
    return join_host_port(host, port)


def _unix(text: str) -> str:
    path = text.removeprefix("unix://")
    if not text.startswith("unix:///") or len(path) < 2 or "\0" in path:
        raise ValueError(f'"{text}" is not unix:///absolute/path')
    if len(path.encode()) > LONGEST_UNIX_PATH:
        raise ValueError(f'"{text}": a Unix socket\'s path has at most {LONGEST_UNIX_PATH} bytes')
    return text
