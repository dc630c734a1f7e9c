"""Every field of google.api.Service, and what the gateway does with it: the table behind docs/guides/service-config.md.

Fields are those of google/api/service.proto and the files that it imports, with the ones that former versions had.
Those marked `refused` restrict something that the gateway cannot check yet: ignoring them would serve what they forbid.
"""

from __future__ import annotations

import base64
import binascii

from ..api.bindings import check_http_method, check_template
from ..selectors import check_full_name, check_selector, check_short_name
from ..shape import Anything, Field, Flag, Handling, Listing, Number, Record, Shape, Text

_NO_KEYS = "API keys are not supported yet"
_NO_CONTROL = "nothing is reported to Service Control yet"


def _described(reason: str, shape: Shape | None = None) -> Field:
    return Field(shape or Anything(), reason, "described")


def _derived(shape: Shape | None = None) -> Field:
    return Field(shape or Anything(), "descriptor sets say the same, and they count", "derived")


def _ignored(reason: str, shape: Shape | None = None) -> Field:
    return Field(shape or Anything(), reason, "ignored")


def _refused(reason: str) -> Field:
    return Field(Anything(), reason, "refused")


def _required(shape: Shape, reason: str = "") -> Field:
    return Field(shape, reason, required=True)


def _record(**fields: Field) -> Record:
    return Record(fields, proto_names=True)


def _base64(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64") from None
    return text


_WORD = Field(Text(empty=True))
_SELECTOR = _required(Text(parse=check_selector, what="a selector"))
_TEMPLATE = Field(Text(parse=check_template, what="a path template"))

_PATTERNS = ("get", "put", "post", "delete", "patch", "custom")
_BINDING = {
    **dict.fromkeys(_PATTERNS[:-1], _TEMPLATE),
    "custom": Field(
        _record(
            kind=_required(Text(parse=check_http_method, what="an HTTP method")),
            path=_required(Text(parse=check_template, what="a path template")),
        )
    ),
    "body": _WORD,
    "response_body": _WORD,
}
_ADDITIONAL = Record(_BINDING, proto_names=True, one_of=_PATTERNS, one_needed=True)
_HTTP_RULE = Record(
    {"selector": _SELECTOR, **_BINDING, "additional_bindings": Field(Listing(_ADDITIONAL))},
    proto_names=True,
    one_of=_PATTERNS,
    one_needed=True,
)

_JWT_LOCATION = Record(
    {"header": Field(Text()), "query": Field(Text()), "cookie": Field(Text()), "value_prefix": _WORD},
    proto_names=True,
    one_of=("header", "query", "cookie"),
    one_needed=True,
)

_PROVIDER = _record(
    id=_required(Text()),
    issuer=_required(Text()),
    jwks_uri=_WORD,
    audiences=_WORD,
    jwt_locations=Field(Listing(_JWT_LOCATION)),
    authorization_url=_described("clients are not redirected to a log-in page"),
)

_REQUIREMENT = _record(provider_id=_required(Text()), audiences=_WORD)

_AUTHENTICATION = _record(
    providers=Field(Listing(_PROVIDER)),
    rules=Field(
        Listing(
            _record(
                selector=_SELECTOR,
                requirements=Field(Listing(_REQUIREMENT)),
                allow_without_credential=Field(Flag()),
                oauth=_refused("OAuth scopes are not checked; name a provider in requirements"),
                custom_auth=_refused("custom authentication is not supported; name a provider in requirements"),
            )
        )
    ),
)

_USAGE = _record(
    rules=Field(
        Listing(
            _record(
                selector=_SELECTOR,
                allow_unregistered_calls=Field(Flag()),
                skip_service_control=Field(Flag(), "as allow_unregistered_calls: such a method needs no API key"),
                service_identity=_ignored("consumers get no service identity"),
            )
        )
    ),
    requirements=_refused(f"what consumers must have agreed to is checked with their API keys, and {_NO_KEYS}"),
    service_access=_refused(f"it restricts consumers by their API keys, and {_NO_KEYS}"),
    producer_notification_channel=_described("it is for Google's service management"),
    depends_on_services=_described("it is for Google's service management"),
    activation_hooks=_described("it is for Google's service management"),
    deactivation_hooks=_described("it is for Google's service management"),
)

_BACKEND = _record(
    rules=Field(
        Listing(
            _record(
                selector=_SELECTOR,
                address=_WORD,
                deadline=Field(Number(least=-1e9, most=86_400 * 365, fractions=True)),
                protocol=Field(Text(choices=("h2", "http/1.1"), empty=True)),
                path_translation=Field(
                    Text(choices=("PATH_TRANSLATION_UNSPECIFIED", "CONSTANT_ADDRESS", "APPEND_PATH_TO_ADDRESS"))
                ),
                disable_auth=Field(Flag()),
                jwt_audience=_refused("the gateway has no identity token of its own; set disable_auth: true"),
                overrides_by_request_protocol=_refused("a backend by request protocol is not supported yet"),
                rename_to=_refused("methods are not renamed on their way to the backend"),
                load_balancing_policy=_ignored("calls go round-robin"),
                min_deadline=_ignored("clients may set any deadline"),
                operation_deadline=_ignored("long-running operations are not followed"),
            )
        )
    )
)

_METHOD = _record(
    name=_required(Text(parse=check_short_name, what="a name")),
    request_type_url=_derived(_WORD.shape),
    response_type_url=_derived(_WORD.shape),
    request_streaming=_derived(Flag()),
    response_streaming=_derived(Flag()),
    options=_derived(),
    syntax=_derived(),
    edition=_derived(),
)

_API = _record(
    name=_required(Text(parse=check_full_name, what="a full name")),
    methods=Field(Listing(_METHOD)),
    version=_described("calls are not reported by version", _WORD.shape),
    options=_derived(),
    source_context=_derived(),
    syntax=_derived(),
    edition=_derived(),
    mixins=_ignored("the methods of mixed-in interfaces answer 404; list the interface in apis"),
)

_ENDPOINT = _record(
    name=_required(Text()),
    target=_described("it is for the name server, which the gateway is not"),
    allow_cors=_ignored("CORS is not supported yet, so browsers' preflight requests are refused"),
    aliases=_described("every host name is served"),
    features=_described("it is for Google's service management"),
)

_CONFIG_FILE = Record(
    {
        "@type": _WORD,
        "file_path": Field(_WORD.shape, "it only names the file", "derived"),
        "file_contents": Field(Text(parse=_base64, what="base64")),
        "file_type": Field(Anything(), "descriptor sets are used, other files are not"),
    },
    proto_names=True,
)

_SOURCE_INFO = _record(source_files=Field(Listing(_CONFIG_FILE), "descriptor sets in them are used"))

_QUOTA = _ignored("calls are not counted, so no quota is enforced: it limits how often consumers call, not who may")

SERVICE = _record(
    type=Field(Text(choices=("google.api.Service",)), "says what the file is"),
    config_version=Field(Number(most=3), "3 is the only version there is"),
    name=Field(Text(), "also the audience of tokens, as https://<name>, where a provider gives none"),
    id=Field(Text(empty=True), "compared with --version"),
    title=_described("it is for people"),
    producer_project_id=_described("it is for Google's service management"),
    apis=Field(Listing(_API, least=1)),
    types=_derived(),
    enums=_derived(),
    http=Field(
        _record(
            rules=Field(Listing(_HTTP_RULE)),
            fully_decode_reserved_expansion=_ignored("reserved characters in {name=**} stay percent-encoded"),
        )
    ),
    authentication=Field(_AUTHENTICATION),
    usage=Field(_USAGE),
    backend=Field(_BACKEND),
    endpoints=Field(Listing(_ENDPOINT)),
    source_info=Field(_SOURCE_INFO),
    quota=_QUOTA,
    system_parameters=_ignored(f"it says where API keys stand, and {_NO_KEYS}"),
    control=Field(
        _record(
            environment=_ignored(_NO_CONTROL),
            method_policies=_refused("policies on request fields are not checked"),
        )
    ),
    context=_ignored("contexts are passed on as they come"),
    logs=_ignored("the access log has its own form"),
    logging=_ignored(_NO_CONTROL),
    metrics=_ignored("metrics are served on the admin port in their own form"),
    monitored_resources=_ignored(_NO_CONTROL),
    monitoring=_ignored(_NO_CONTROL),
    billing=_ignored(_NO_CONTROL),
    documentation=_described("it is for people"),
    publishing=_described("it is for client libraries"),
    aspects=_described("it is for Google's service management"),
    system_types=_derived(),
    project_properties=_described("it is for Google's service management"),
    custom_error=_ignored("errors keep their own form"),
    visibility=_refused("visibility labels are not checked"),
)


def table() -> list[tuple[str, Handling, str]]:
    """(path, handling, reason) of every field, for the documentation; `[]` marks lists."""
    return list(_rows(SERVICE, ""))


def _rows(shape: Shape, prefix: str) -> list[tuple[str, Handling, str]]:
    rows: list[tuple[str, Handling, str]] = []
    if isinstance(shape, Listing):
        return _rows(shape.item, prefix + "[]")
    if not isinstance(shape, Record):
        return rows
    for name, known in shape.fields.items():
        path = f"{prefix}.{name}" if prefix else name
        deeper = _rows(known.shape, path)
        if not deeper or known.reason:
            rows.append((path, known.handling, known.reason))
        rows.extend(deeper)
    return rows
