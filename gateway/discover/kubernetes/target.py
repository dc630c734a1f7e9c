"""What stands in a `k8s:` target."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
"""An RFC 1123 label, which names of Services, namespaces and Service ports are."""
_OPTIONS = ("context", "kubeconfig", "zone")
_FORM = "k8s:///service[.namespace][:port number or port name]"


@dataclass(frozen=True, slots=True)
class Target:
    """`port`: a number is the Service's, a text is a port's name, None looks for the one that speaks gRPC.

    `namespace` "": that of the credentials. `zone`: where this gateway runs, for topology hints.
    """

    text: str
    service: str
    namespace: str = ""
    port: int | str | None = None
    kubeconfig: str = ""
    context: str = ""
    zone: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """ValueError: it has another form than it should; says which."""
        if not text.startswith("k8s:///"):
            raise ValueError(f"{text!r}: write {_FORM}; the cluster comes from the kubeconfig or the pod.")
        path, _, query = text.removeprefix("k8s:///").partition("?")
        name, colon, port = path.partition(":")
        service, dot, namespace = name.partition(".")
        for label in (service, *([namespace] if dot else [])):
            if not _LABEL.fullmatch(label):
                raise ValueError(f"{text!r}: {label!r} is no name of a Service or a namespace; write {_FORM}.")
        if colon and not _LABEL.fullmatch(port):
            raise ValueError(f"{text!r}: {port!r} is neither a port nor the name of one; write {_FORM}.")
        return cls(text, service, namespace, _port(text, port) if colon else None, **_options(text, query))


def _port(text: str, port: str) -> int | str:
    if not port.isdigit():
        return port
    if not 0 < int(port) < 65536:
        raise ValueError(f"{text!r}: {port} is not a port (1 to 65535).")
    return int(port)


def _options(text: str, query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise ValueError(f"{text!r}: {query!r} is no query; write ?name=value.") from None
    options = dict(pairs)
    for name, value in pairs:
        if name not in _OPTIONS:
            raise ValueError(f"{text!r}: no option {name!r}; there are {', '.join(_OPTIONS)}.")
        if not value:
            raise ValueError(f"{text!r}: the option {name!r} is empty.")
    if len(options) != len(pairs):
        raise ValueError(f"{text!r}: an option is there twice.")
    return options
