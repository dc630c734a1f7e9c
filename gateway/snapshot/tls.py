"""TLS parts of a snapshot: certificates and keys read from where the configuration says they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.configuration.model import BackendTls, CertificateSource, ListenerTls
from gateway.configuration.problems import Place, Problems
from healthcheck.public_roots import bundle_path

from .files import CLIENT_PAIR_NAMES, PAIR_NAMES, ReadFile, find_pair, pinned

CheckPair = Callable[[str, str], str]
"""`tidegate_core.check_key_pair`: ValueError for a key that is not the certificate's."""

Json = dict[str, Any]


def native_check_pair(chain_pem: str, key_pem: str) -> str:
    """`tidegate_core.check_key_pair`, imported when it is first needed."""
    from tidegate_core import check_key_pair

    return check_key_pair(chain_pem, key_pem)


class TlsReader:
    """Reads each file once for a snapshot; what cannot be read goes to `problems`."""

    def __init__(self, read: ReadFile, check_pair: CheckPair, problems: Problems) -> None:
        self._read = read
        self._check_pair = check_pair
        self._problems = problems
        self._texts: dict[Path, str | None] = {}

    def server(self, tls: ListenerTls) -> Json:
        pairs = [pair for source in tls.certificates if (pair := self._pair(source, PAIR_NAMES))]
        return {
            "certificates": pairs,
            "client_ca_pem": self._pem(tls.client_ca) if tls.client_ca else None,
            "client_certificate": tls.client_certificate,
            "minimum_version": tls.minimum_version,
            "maximum_version": tls.maximum_version,
            "cipher_suites": list(tls.cipher_suites),
        }

    def client(self, tls: BackendTls, backend: str) -> Json:
        ca = (tls.ca or bundle_path()) if tls.verify else None
        if ca is None and tls.verify:
            place = Place(f"backend {backend}")
            self._problems.error(place, "this machine has no public roots to trust", "give the CA's certificate")
        return {
            "ca_pem": self._pem(ca) if ca else None,
            "client": self._pair(tls.client, CLIENT_PAIR_NAMES) if tls.client else None,
            "server_name": tls.server_name,
            "verify": tls.verify,
        }

    def _pair(self, source: CertificateSource, names: tuple[str, ...]) -> Json | None:
        paths = find_pair(source, names, self._problems)
        if paths is None:
            return None
        chain, key = (self._pem(path) for path in paths)
        if chain is None or key is None:
            return None
        try:
            self._check_pair(chain, key)
        except ValueError as error:
            self._problems.error(Place(str(source.directory or source.chain)), str(error))
            return None
        return {"chain_pem": chain, "key_pem": key}

    def _pem(self, path: Path) -> str | None:
        if path not in self._texts:
            self._texts[path] = self._read_pem(path)
        return self._texts[path]

    def _read_pem(self, path: Path) -> str | None:
        place = Place(str(path))
        try:
            text = self._read(pinned(path)).decode("ascii", errors="replace")
        except OSError as error:
            self._problems.error(place, f"cannot be read: {error.strerror or error}")
            return None
        if "-----BEGIN " not in text:
            self._problems.error(place, "holds no PEM block (-----BEGIN ...)")
            return None
        return text
