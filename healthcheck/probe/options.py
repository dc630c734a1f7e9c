"""The flags of `tidegate probe`. Those of grpc_health_probe mean the same here."""

from __future__ import annotations

from healthcheck.probe.flags import Flag

FLAGS = (
    Flag("addr", "text", "", "ADDRESS", "a target, as is each argument that is no flag"),
    Flag("service", "text", "", "NAME", "ask for this service; without it for the server as a whole"),
    Flag("connect-timeout", "duration", 1.0, "TIME", "for looking up, connecting, TLS and the start of HTTP/2 (1s)"),
    Flag("rpc-timeout", "duration", 1.0, "TIME", "from the question to the answer (1s)"),
    Flag("rpc-header", "list", None, "'NAME: VALUE'", "send a header; may be given repeatedly"),
    Flag("user-agent", "text", "tidegate-probe", "TEXT", "say this in user-agent (tidegate-probe)"),
    Flag("authority", "text", "", "HOST", "say this in :authority or Host (the target's host and port)"),
    Flag("gzip", "switch", False, "", "compress the gRPC question, and take a compressed answer"),
    Flag("expect", "text", "200-399", "STATUSES", "HTTP statuses that are healthy, as in 200,301-308 (200-399)"),
    Flag("tls", "switch", False, "", "use TLS for gRPC targets that do not say it themselves"),
    Flag("tls-no-verify", "switch", False, "", "take any certificate of the server (insecure)"),
    Flag("tls-ca-cert", "text", "", "FILE", "certificates to trust (those of this machine)"),
    Flag("tls-client-cert", "text", "", "FILE", "show this certificate; needs -tls-client-key"),
    Flag("tls-client-key", "text", "", "FILE", "its key"),
    Flag("tls-server-name", "text", "", "NAME", "verify the server's certificate for this name (the target's host)"),
    Flag("watch", "switch", False, "", "go on, and print every change; gRPC servers tell by Watch where they have it"),
    Flag("interval", "duration", 1.0, "TIME", "with -watch: ask so often what cannot be watched (1s)"),
    Flag("o", "text", "text", "text|json", "json: each observation as one JSON object on its line"),
    Flag("v", "switch", False, "", "tell also the address and how long it took"),
    Flag("alts", "switch", False, "", "not supported: ends with status 1"),
    Flag("spiffe", "switch", False, "", "not supported: ends with status 20"),
    Flag("version", "switch", False, "", "print the version"),
    Flag("h", "switch", False, "", "print this text; so does -help"),
    Flag("help", "switch", False, "", ""),
)

HEAD = """\
Usage: tidegate probe [FLAGS] ADDRESS...

Ask servers for their health. Flags are those of grpc_health_probe, with one dash or two, and some more.

Targets:
  host:port, unix:/path            gRPC (grpc.health.v1), with -tls over TLS
  grpc://host:port/service         gRPC; grpcs:// over TLS. The service is optional
  http://host/path, https://...    GET over HTTP/1.1, or over TLS what the server prefers
  h2c://host:port/path, h2://...   GET over HTTP/2 in cleartext, over TLS
  tcp://host:port, tls://...       a connection is enough

Flags:
"""

TAIL = """
Exit status: 0 all serve; 1 bad arguments; 2 no connection; 3 no answer, or the call failed; 4 the server says that it
does not serve; of several targets the highest.

Example: tidegate probe -addr=:50051 -service=shop.Orders
"""


def help_text() -> str:
    shown = [flag for flag in FLAGS if flag.help]
    left = [f"-{flag.name} {flag.metavar}".rstrip() for flag in shown]
    lines = [f"  {name:<26} {flag.help}" for name, flag in zip(left, shown, strict=True)]
    return HEAD + "\n".join(lines) + "\n" + TAIL.rstrip("\n")
