"""nginx with grpc_pass, one worker."""

from __future__ import annotations

from tests.bench.peers.base import Peer, Scenario

CONFIGURATION = """\
daemon off;
worker_processes 1;
user {user};
pid {directory}/nginx.pid;
error_log stderr error;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  upstream backend {{
    server 127.0.0.1:{backend};
    keepalive 1024;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{listen} {listen_options} backlog=4096;
    http2_max_concurrent_streams 1000;
{tls}    location / {{ grpc_pass {scheme}://backend; }}
  }}
}}
"""

TLS = """\
    ssl_certificate {certificates.certificate};
    ssl_certificate_key {certificates.key};
    grpc_ssl_trusted_certificate {certificates.ca};
    grpc_ssl_verify on;
    grpc_ssl_name localhost;
"""


class Nginx(Peer):
    name = "nginx"
    title = "nginx"
    program = "nginx"
    package = "Debian nginx-light"
    kinds = frozenset({"plain", "tls"})
    lacks = "no access log; one upstream connection per call in flight; no gRPC deadlines; no tokens; no transcoding"
    version_arguments = ("-v",)

    def command(self, scenario: Scenario) -> list[str]:
        tls = scenario.kind == "tls"
        path = scenario.directory / "nginx.conf"
        path.write_text(
            CONFIGURATION.format(
                user=scenario.directory.owner(),
                directory=scenario.directory,
                backend=scenario.backend,
                listen=scenario.listen,
                listen_options="ssl http2" if tls else "http2",
                tls=TLS.format(certificates=scenario.certificates) if tls else "",
                scheme="grpcs" if tls else "grpc",
            )
        )
        return [self.program_path(), "-c", str(path), "-p", str(scenario.directory)]
