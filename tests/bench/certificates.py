"""A certificate authority and one server certificate, for the rows with TLS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class Certificates:
    """`directory` holds `tls.crt` and `tls.key`; `pair` is both in one file, as HAProxy reads them."""

    directory: Path
    ca: Path
    certificate: Path
    key: Path
    pair: Path


def make(directory: Path) -> Certificates:
    """ECDSA P-256 throughout, for `localhost` and 127.0.0.1."""
    directory.mkdir(parents=True, exist_ok=True)
    made = Certificates(
        directory=directory,
        ca=directory / "ca.pem",
        certificate=directory / "tls.crt",
        key=directory / "tls.key",
        pair=directory / "pair.pem",
    )
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    issued = authority.issue_cert("localhost", "127.0.0.1", key_type=trustme.KeyType.ECDSA)
    authority.cert_pem.write_to_path(made.ca)
    for certificate in issued.cert_chain_pems:
        certificate.write_to_path(made.certificate, append=True)
    issued.private_key_pem.write_to_path(made.key)
    issued.private_key_and_cert_chain_pem.write_to_path(made.pair)
    return made
