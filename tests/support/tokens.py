"""An issuer of tokens whose key server can be watched and broken."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from infra.issuer.keys import Algorithm, SigningKey, generate_key, jwks
from infra.issuer.tokens import Fault, Order, mint

JWKS_PATH = "/jwks"
DISCOVERY_PATH = "/.well-known/openid-configuration"


class TokenIssuer:
    """`with TokenIssuer() as issuer`: keys at `issuer.jwks_uri`, tokens from `issuer.token()`.

    `fetches` counts requests for keys; a `failing` issuer answers 503; `rotate` replaces the keys.
    """

    def __init__(self, *algorithms: Algorithm, audience: str = "https://api.example") -> None:
        self.audience = audience
        self.fetches = 0
        self.failing = False
        self._algorithms: tuple[Algorithm, ...] = algorithms or ("RS256",)
        self.keys: tuple[SigningKey, ...] = ()
        self.rotate()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, document = issuer._answer(self.path)
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.jwks_uri = self.url + JWKS_PATH

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def rotate(self) -> None:
        self.keys = tuple(generate_key(algorithm) for algorithm in self._algorithms)

    def token(
        self,
        *faults: Fault,
        subject: str = "alice",
        lifetime: float = 3600.0,
        key: SigningKey | None = None,
        audiences: tuple[str, ...] = (),
        **claims: Any,
    ) -> str:
        """A token of the first key, unless another is given."""
        order = Order(self.url, audiences or (self.audience,), subject, lifetime, frozenset(faults), claims)
        return mint(order, key or self.keys[0], time.time())

    def _answer(self, path: str) -> tuple[int, dict[str, Any]]:
        if self.failing:
            return 503, {"error": "failing, as the test asked"}
        match path:
            case "/.well-known/openid-configuration":
                return 200, {"issuer": self.url, "jwks_uri": self.jwks_uri}
            case "/jwks":
                self.fetches += 1
                return 200, jwks(self.keys)
        return 404, {}
