"""A certificate authority for one test run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class KeyPairFiles:
    chain: Path
    key: Path


class Authority:
    """Issues certificates into a folder; `ca` is the file to trust."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.ca))

    def issue(self, *names: str, stem: str = "tls", folder: Path | None = None) -> KeyPairFiles:
        """A certificate for host names and addresses, as `STEM.crt` and `STEM.key`."""
        target = folder or self._folder
        target.mkdir(parents=True, exist_ok=True)
        leaf = self._authority.issue_cert(*names)
        files = KeyPairFiles(target / f"{stem}.crt", target / f"{stem}.key")
        files.chain.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(str(files.key))
        return files
