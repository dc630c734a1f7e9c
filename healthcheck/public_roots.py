"""The certificates of public authorities that this machine trusts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Debian and distroless images, Fedora, older Red Hat, SUSE, Alpine."""


def bundle_path(environ: Mapping[str, str] | None = None) -> Path | None:
    """The file named by SSL_CERT_FILE, as OpenSSL has it, or the first bundle that is there."""
    chosen = (os.environ if environ is None else environ).get("SSL_CERT_FILE")
    if chosen:
        return Path(chosen)
    return next((path for path in map(Path, BUNDLES) if path.is_file()), None)
