"""Google's other end points that a client needs before it gets to Compute: tokens, the metadata server, permissions.

Tokens are opaque and known only to the twin that gave them. Each end point can be told to refuse, and tokens to live as
short as one likes, so that what a client does then is tried over HTTP and not by a mock.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from pydantic import BaseModel, ValidationError

from infra.twin.intake import BODY, refusal
from infra.twin.read_json import read_json

MOST_TOKENS = 10_000
MOST_FIELDS = 20
"""Of a grant."""
EMAIL = "twin@example.iam.gserviceaccount.com"
SERVICES = ("compute.googleapis.com", "gkehub.googleapis.com", "multiclusteringress.googleapis.com")

Json = dict[str, Any]


@dataclass(slots=True)
class Tokens:
    """`lifetime` in seconds. `refuse`: the names of end points that refuse from now on."""

    lifetime: float = 3600.0
    refuse: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()
    """Permissions that `testIamPermissions` leaves out."""
    required: bool = False
    """Whether the Compute API wants a token."""
    now: Callable[[], float] = time.time
    _given: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def give(self, lifetime: float | None = None) -> tuple[str, float]:
        """(token, seconds that it lives)."""
        token, seconds = f"ya29.{secrets.token_urlsafe(24)}", self.lifetime if lifetime is None else lifetime
        self._given[token] = self.now() + seconds
        while len(self._given) > MOST_TOKENS:
            self._given.popitem(last=False)
        return token, seconds

    def is_good(self, authorization: str) -> bool:
        """Whether a header holds a token that was given here and lives."""
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and self._given.get(token.strip(), 0.0) > self.now()


def routes(tokens: Tokens, project: str) -> list[web.RouteDef]:
    """The end points; `project` is that of the metadata server."""
    pages = _Pages(tokens, project)
    metadata = "/computeMetadata/v1"
    return [
        web.post("/token", pages.oauth),
        web.get("/", pages.metadata_root),
        web.get(f"{metadata}/project/project-id", pages.metadata_project),
        web.get(f"{metadata}/universe/universe-domain", pages.metadata_universe),
        web.get(f"{metadata}/instance/service-accounts/{{account}}/", pages.metadata_account),
        web.get(f"{metadata}/instance/service-accounts/{{account}}/email", pages.metadata_email),
        web.get(f"{metadata}/instance/service-accounts/{{account}}/token", pages.metadata_token),
        web.post("/v1/projects/-/serviceAccounts/{account}:generateAccessToken", pages.generate_access_token),
        web.post("/v1/projects/{project}:testIamPermissions", pages.permissions),
        web.get("/v1/projects/{project}/services", pages.services),
    ]


@dataclass(frozen=True, slots=True)
class _Pages:
    tokens: Tokens
    project: str

    def _refuses(self, name: str) -> bool:
        return name in self.tokens.refuse

    async def oauth(self, request: web.Request) -> web.Response:
        form = _form(request[BODY], request.content_type)
        known = ("refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer")
        if form.get("grant_type") not in known or self._refuses("oauth"):
            body = {"error": "invalid_grant", "error_description": "The twin refuses this grant."}
            return web.json_response(body, status=400)
        token, seconds = self.tokens.give()
        return web.json_response({"access_token": token, "expires_in": int(seconds), "token_type": "Bearer"})

    def _metadata(self, request: web.Request, body: str | Json) -> web.Response:
        if request.headers.get("Metadata-Flavor") != "Google" or self._refuses("metadata"):
            return web.Response(status=403, text="Missing Metadata-Flavor:Google header.\n")
        headers = {"Metadata-Flavor": "Google", "Server": "Metadata Server for VM"}
        if isinstance(body, str):
            return web.Response(text=body, headers=headers)
        return web.json_response(body, headers=headers)

    async def metadata_root(self, request: web.Request) -> web.Response:
        return self._metadata(request, "computeMetadata/\n")

    async def metadata_project(self, request: web.Request) -> web.Response:
        return self._metadata(request, self.project)

    async def metadata_universe(self, request: web.Request) -> web.Response:
        return self._metadata(request, "googleapis.com")

    async def metadata_account(self, request: web.Request) -> web.Response:
        scopes = ["https://www.googleapis.com/auth/cloud-platform"]
        return self._metadata(request, {"email": EMAIL, "scopes": scopes, "aliases": ["default"]})

    async def metadata_email(self, request: web.Request) -> web.Response:
        return self._metadata(request, EMAIL)

    async def metadata_token(self, request: web.Request) -> web.Response:
        token, seconds = self.tokens.give()
        return self._metadata(request, {"access_token": token, "expires_in": int(seconds), "token_type": "Bearer"})

    async def generate_access_token(self, request: web.Request) -> web.Response:
        if not self.tokens.is_good(request.headers.get("Authorization", "")) or self._refuses("iamcredentials"):
            return _denied("iam.serviceAccounts.getAccessToken")
        token, seconds = self.tokens.give()
        expiry = datetime.fromtimestamp(self.tokens.now() + seconds, UTC)
        return web.json_response({"accessToken": token, "expireTime": expiry.isoformat().replace("+00:00", "Z")})

    async def permissions(self, request: web.Request) -> web.Response:
        if self._refuses("iam"):
            return _denied("resourcemanager.projects.get")
        try:
            wanted = Permissions.model_validate_json(request[BODY]).permissions
        except ValidationError:
            return refusal(400, "invalid", 'The body has to be JSON: {"permissions": ["..."]}.')
        return web.json_response({"permissions": [name for name in wanted if name not in self.tokens.denied]})

    async def services(self, request: web.Request) -> web.Response:
        if self._refuses("serviceusage"):
            return _denied("serviceusage.services.list")
        project = request.match_info["project"]
        listed = [
            {"name": f"projects/{project}/services/{name}", "config": {"name": name}, "state": "ENABLED"}
            for name in SERVICES
        ]
        return web.json_response({"services": listed})


class Permissions(BaseModel):
    """The body of `testIamPermissions`."""

    permissions: list[str] = []


def _form(body: bytes, content_type: str) -> dict[str, str]:
    """Google takes the fields of a grant as a form or as JSON; of anything else there are none."""
    try:
        if content_type != "application/json":
            return dict(parse_qsl(body.decode(), max_num_fields=MOST_FIELDS))
        fields = read_json(body)
    except ValueError:
        return {}
    return {name: value for name, value in fields.items() if isinstance(value, str)} if isinstance(fields, dict) else {}


def _denied(permission: str) -> web.Response:
    message = f"Permission '{permission}' denied."
    return web.json_response({"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED"}}, status=403)
