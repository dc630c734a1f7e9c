"""HAProxy with one thread, as an HTTP/2 proxy and as a plain TCP relay."""

from __future__ import annotations

from typing import Literal

from tests.bench.peers.base import Peer, Scenario

CONFIGURATION = """\
global
  nbthread 1
  maxconn 8000
  hard-stop-after 1s
defaults
  mode {mode}
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen bench
  bind 127.0.0.1:{listen} {bind}
{options}  balance roundrobin
{servers}
"""


class _Haproxy(Peer):
    program = "haproxy"
    package = "Debian haproxy"
    version_arguments = ("-v",)
    mode: Literal["http", "tcp"]

    def command(self, scenario: Scenario) -> list[str]:
        bind = server = ""
        options = ""
        if self.mode == "http":
            bind = server = "proto h2"
            options = "  http-reuse always\n"
        if scenario.kind == "tls":
            bind = f"ssl crt {scenario.certificates.pair} alpn h2"
            server = f"ssl verify required ca-file {scenario.certificates.ca} sni str(localhost) alpn h2"
        addresses = scenario.endpoints or (f"127.0.0.1:{scenario.backend}",)
        path = scenario.directory / "haproxy.cfg"
        path.write_text(
            CONFIGURATION.format(
                mode=self.mode,
                listen=scenario.listen,
                bind=bind,
                servers="\n".join(f"  server backend-{i} {address} {server}" for i, address in enumerate(addresses)),
                options=options,
            )
        )
        return [self.program_path(), "-db", "-f", str(path)]


class Haproxy(_Haproxy):
    name = "haproxy"
    title = "HAProxy"
    kinds = frozenset({"plain", "tls"})
    lacks = "no access log; no gRPC deadlines; no tokens; no transcoding"
    mode = "http"


class Relay(_Haproxy):
    name = "relay"
    title = "TCP relay (HAProxy)"
    kinds = frozenset({"plain", "jwt", "spread"})
    lacks = "moves bytes only: tokens are forwarded, not verified; no health checks"
    mode = "tcp"
