"""Listeners and their TLS, as the flags of ESP and ESPv2 give them."""

from __future__ import annotations

import re
from pathlib import Path

from .command_line import Settings
from .flags import DEFAULT_CERTIFICATES, DEFAULT_PORT
from .model import CertificateSource, Listener, ListenerTls
from .problems import Place, Problems
from .quantities import check_listen_address, join_host_port
from .tls_names import TlsVersion, cipher_suites, tls_version

_PORTS = ("listener_port", "http_port", "http2_port", "ssl_port")
TLS_FLAGS = (
    "ssl_server_cert_path",
    "ssl_server_root_cert_path",
    "ssl_client_certificate",
    "ssl_minimum_protocol",
    "ssl_maximum_protocol",
    "ssl_protocols",
    "ssl_server_cipher_suites",
)


def listeners_given(settings: Settings) -> bool:
    return any(name in settings for name in (*_PORTS, "listener"))


def listeners_from_flags(settings: Settings, problems: Problems) -> tuple[Listener, ...]:
    """One listener for each port and address; port 8080 where none is given."""
    host = settings.text("listener_address") or "0.0.0.0"
    ports = [(name, port) for name in _PORTS if (port := settings.whole(name)) is not None]
    if not ports and "listener" not in settings:
        ports = [("listener_port", DEFAULT_PORT)]
    _check_ports(ports, settings, problems)
    over_tls = _ports_over_tls(settings, [name for name, _ in ports], problems)
    tls = _tls(settings, problems) if over_tls else None
    listeners = []
    for name, port in ports:
        try:
            address = check_listen_address(join_host_port(host.strip("[]"), port))
        except ValueError as error:
            problems.error(settings.place("listener_address"), str(error))
            break
        listeners.append(Listener(name, address, tls if name in over_tls else None))
    for index, (address, _) in enumerate(settings.texts("listener"), 1):
        listeners.append(Listener(f"listener_{index}", address))
    return tuple(listeners)


def _check_ports(ports: list[tuple[str, int]], settings: Settings, problems: Problems) -> None:
    used = {port: "status_port" for port in (settings.whole("status_port"),) if port}
    for name, port in ports:
        if port and port in used:
            problems.error(settings.place(name), f"port {port} is used more than once (also --{used[port]})")
        used.setdefault(port, name)


def _ports_over_tls(settings: Settings, ports: list[str], problems: Problems) -> tuple[str, ...]:
    if "ssl_port" in ports:
        if "listener_port" in ports and "ssl_server_cert_path" in settings:
            problems.error(
                settings.place("listener_port"),
                "is over TLS with --ssl_server_cert_path alone, and cleartext beside --ssl_port",
                "write --http_port for a cleartext port, or leave out --ssl_port",
            )
        return ("ssl_port",)
    if "listener_port" in ports and "ssl_server_cert_path" in settings:
        return ("listener_port",)
    for name in TLS_FLAGS:
        if name in settings:
            problems.error(settings.place(name), "no port is over TLS", "add --ssl_port=443")
    return ()


def _tls(settings: Settings, problems: Problems) -> ListenerTls:
    directories = [Path(text) for text, _ in settings.texts("ssl_server_cert_path")] or [Path(DEFAULT_CERTIFICATES)]
    root = settings.text("ssl_server_root_cert_path")
    mode = settings.text("ssl_client_certificate") or ("required" if root else "none")
    if mode != "none" and root is None:
        problems.error(settings.place("ssl_client_certificate"), "needs --ssl_server_root_cert_path to check them with")
    if mode == "none" and root is not None:
        problems.error(settings.place("ssl_client_certificate"), "none contradicts --ssl_server_root_cert_path")
    minimum, maximum = _versions(settings, problems)
    return ListenerTls(
        tuple(CertificateSource(directory=directory) for directory in directories),
        client_ca=Path(root) if root else None,
        client_certificate="required" if mode == "required" else "optional" if mode == "optional" else "none",
        minimum_version=minimum,
        maximum_version=maximum,
        cipher_suites=_suites(settings, problems),
    )


def _versions(settings: Settings, problems: Problems) -> tuple[TlsVersion, TlsVersion]:
    minimum = _version(settings, "ssl_minimum_protocol", problems) or "1.2"
    maximum = _version(settings, "ssl_maximum_protocol", problems) or "1.3"
    if minimum > maximum:
        message = f"TLS {maximum} is older than the minimum, TLS {minimum}"
        problems.error(settings.place("ssl_maximum_protocol"), message)
    listed = [word for text, _ in settings.texts("ssl_protocols") for word in re.split(r"[\s,]+", text) if word]
    if not listed:
        return minimum, maximum
    place = settings.place("ssl_protocols")
    versions = [version for word in listed if (version := _checked(word, place, problems)) is not None]
    if not versions:
        problems.error(place, "names no version that is supported: TLSv1.2, TLSv1.3")
        return minimum, maximum
    return min(versions), max(versions)


def _version(settings: Settings, name: str, problems: Problems) -> TlsVersion | None:
    text = settings.text(name)
    if text is None:
        return None
    version = _checked(text, settings.place(name), problems)
    if version is None and name == "ssl_maximum_protocol" and not _unknown(text):
        problems.error(settings.place(name), f"{text} is not supported: TLS 1.2 is the oldest")
    return version


def _checked(text: str, place: Place, problems: Problems) -> TlsVersion | None:
    try:
        version = tls_version(text)
    except ValueError as error:
        problems.error(place, str(error))
        return None
    if version is None:
        problems.warning(place, f"{text} is not supported: TLS 1.2 is the oldest")
    return version


def _unknown(text: str) -> bool:
    try:
        tls_version(text)
    except ValueError:
        return True
    return False


def _suites(settings: Settings, problems: Problems) -> tuple[str, ...]:
    text = settings.text("ssl_server_cipher_suites")
    if text is None:
        return ()
    place = settings.place("ssl_server_cipher_suites")
    suites, unknown = cipher_suites([word for word in re.split(r"[\s,:]+", text) if word])
    if not suites:
        problems.error(place, "names no cipher suite that is supported", "see docs/reference/flags.md")
    elif unknown:
        problems.warning(place, f"not supported and left out: {', '.join(unknown)}")
    return suites
