"""nghttpx, nghttp2's own proxy, with one worker."""

from __future__ import annotations

from tests.bench.peers.base import Peer, Scenario


class Nghttpx(Peer):
    name = "nghttpx"
    title = "nghttpx"
    program = "nghttpx"
    package = "Debian nghttp2-proxy"
    kinds = frozenset({"plain", "tls"})
    lacks = "no access log; no gRPC deadlines; no tokens; no transcoding"

    def command(self, scenario: Scenario) -> list[str]:
        frontend, backend = (
            f"--frontend=127.0.0.1,{scenario.listen}",
            f"--backend=127.0.0.1,{scenario.backend};;proto=h2",
        )
        command = [self.program_path(), "--conf=/dev/null", "--workers=1", "--errorlog-file=/dev/stderr"]
        if scenario.kind != "tls":
            return [*command, f"{frontend};no-tls", f"{backend};no-tls"]
        certificates = scenario.certificates
        return [
            *command,
            frontend,
            f"{backend};tls;sni=localhost",
            f"--cacert={certificates.ca}",
            str(certificates.key),
            str(certificates.certificate),
        ]
