"""Names of TLS versions and cipher suites, in the spellings that operators use."""

from __future__ import annotations

from typing import Literal

TlsVersion = Literal["1.2", "1.3"]

_OLD = ("TLSV1", "TLSV1.0", "TLSV1.1", "1.0", "1.1", "SSLV3")

TLS13_SUITES = ("TLS13_AES_256_GCM_SHA384", "TLS13_AES_128_GCM_SHA256", "TLS13_CHACHA20_POLY1305_SHA256")
TLS12_SUITES = tuple(
    f"TLS_ECDHE_{key}_WITH_{cipher}"
    for key in ("ECDSA", "RSA")
    for cipher in ("AES_256_GCM_SHA384", "AES_128_GCM_SHA256", "CHACHA20_POLY1305_SHA256")
)
"""All with forward secrecy and authenticated encryption; rustls has no others."""


def _spellings() -> dict[str, str]:
    names = {suite: suite for suite in (*TLS13_SUITES, *TLS12_SUITES)}
    for suite in TLS13_SUITES:
        names[suite.replace("TLS13_", "TLS_", 1)] = suite
    for suite in TLS12_SUITES:
        key, _, cipher = suite.removeprefix("TLS_ECDHE_").partition("_WITH_")
        openssl = cipher.replace("AES_", "AES").replace("_SHA256", "-SHA256" if "AES" in cipher else "")
        names[f"ECDHE-{key}-{openssl.replace('_', '-')}"] = suite
    return names


_SUITES = _spellings()


def tls_version(text: str) -> TlsVersion | None:
    """`TLSv1.2`, `1.2` and the like; None for a version before 1.2. ValueError for anything else."""
    word = text.strip().upper()
    if word in ("TLSV1.2", "1.2"):
        return "1.2"
    if word in ("TLSV1.3", "1.3"):
        return "1.3"
    if word in _OLD:
        return None
    raise ValueError(f'"{text}" is none of TLSv1.2, TLSv1.3')


def cipher_suites(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """(suites by their IANA names, words that name none). Where none of TLS 1.3 is listed, all of its suites stay."""
    found = [_SUITES[word.upper()] for word in words if word.upper() in _SUITES]
    unknown = [word for word in words if word.upper() not in _SUITES]
    if found and not any(suite in TLS13_SUITES for suite in found):
        found += TLS13_SUITES
    return tuple(dict.fromkeys(found)), unknown
