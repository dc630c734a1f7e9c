"""Reads kubeconfig files: several are merged as kubectl does it, the first that names something wins."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.discover.kubernetes.access import Access, NoAccess, read_text

REFUSED = {
    "exec": "an exec plugin starts a program; give a token file or a client certificate",
    "auth-provider": "auth providers left Kubernetes with 1.26; give a token file or a client certificate",
    "username": "passwords left Kubernetes with 1.19; give a token file or a client certificate",
    "as": "impersonation is not supported; use the credentials themselves",
}

Entry = tuple[Path, Mapping[str, Any]]
"""Where it stands, for names of files beside it, and what it says."""


def read_kubeconfig(paths: Sequence[Path], context: str = "") -> Access:
    """`context` "": the current one. Raises NoAccess."""
    documents = [(path, _load(path)) for path in paths if path.exists()]
    if not documents:
        raise NoAccess(f"There is no kubeconfig at {', '.join(map(str, paths))}.")
    where = ", ".join(str(path) for path, _ in documents)
    current = context or next((name for _, one in documents if (name := one.get("current-context"))), "")
    if not current:
        raise NoAccess(f"{where}: no current-context; set it, or write ?context=name behind the target.")
    _, chosen = _named(documents, "contexts", "context", str(current))
    cluster = _named(documents, "clusters", "cluster", str(chosen.get("cluster")))
    user = _named(documents, "users", "user", str(chosen["user"])) if chosen.get("user") else (cluster[0], {})
    for field, reason in REFUSED.items():
        if user[1].get(field):
            raise NoAccess(f"{user[0]}: the user {chosen.get('user')!r} has {field!r}: {reason}.")
    return Access(
        _server(*cluster),
        namespace=str(chosen.get("namespace") or "default"),
        ca=_content(*cluster, "certificate-authority"),
        client=_client(*user),
        token=str(user[1]["token"]) if user[1].get("token") else None,
        token_file=_beside(user[0], user[1]["tokenFile"]) if user[1].get("tokenFile") else None,
        server_name=str(cluster[1].get("tls-server-name") or "") or None,
        verify=cluster[1].get("insecure-skip-tls-verify") is not True,
    )


def _load(path: Path) -> Mapping[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        document = YAML(typ="safe", pure=True).load(read_text(path))
    except (YAMLError, ValueError, RecursionError):
        raise NoAccess(f"{path} is not YAML.") from None
    if not isinstance(document, dict):
        raise NoAccess(f"{path} is no kubeconfig.")
    return document


def _named(documents: Sequence[tuple[Path, Mapping[str, Any]]], plural: str, kind: str, name: str) -> Entry:
    for path, document in documents:
        entries = document.get(plural)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(kind), dict):
                return path, entry[kind]
    raise NoAccess(f"{', '.join(str(path) for path, _ in documents)}: there is no {kind} {name!r}.")


def _server(path: Path, cluster: Mapping[str, Any]) -> str:
    server = str(cluster.get("server") or "")
    try:
        parts = urlsplit(server)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.username
    except ValueError:
        usable = False
    if not usable:
        raise NoAccess(f"{path}: the server {server!r} is no https URL.")
    if cluster.get("proxy-url"):
        raise NoAccess(f"{path}: the cluster has 'proxy-url', which is not supported.")
    return server.rstrip("/")


def _client(path: Path, user: Mapping[str, Any]) -> bytes | None:
    certificate, key = _content(path, user, "client-certificate"), _content(path, user, "client-key")
    if (certificate is None) != (key is None):
        raise NoAccess(f"{path}: a client certificate and its key are needed together.")
    return None if certificate is None else f"{certificate}\n{key}\n".encode()


def _content(path: Path, holder: Mapping[str, Any], field: str) -> str | None:
    """Of `field-data` in base64, or of the file that `field` names."""
    if data := holder.get(f"{field}-data"):
        try:
            return base64.b64decode(str(data), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise NoAccess(f"{path}: {field}-data is not base64 of a PEM file.") from None
    return read_text(_beside(path, holder[field])) if holder.get(field) else None


def _beside(path: Path, name: object) -> Path:
    return path.parent / str(name)
