"""Fields of URL maps and of all that is in them."""

from __future__ import annotations

from infra.twin.fields.table import FINGERPRINT, NAMED, SERVER, Table, plain

_NO_HEADERS = "no header is added or removed"
_NO_PAGES = "errors are answered as they are"
_NEVER = "the twin cannot compare it: a rule with one takes no request"

URL_MAP = Table(
    "UrlMap",
    "urlMaps",
    honoured={
        **NAMED,
        **FINGERPRINT,
        "defaultRouteAction": "",
        "defaultService": "",
        "defaultUrlRedirect": "",
        "hostRules": "exact names first, then the longest `*.suffix`, then `*`",
        "pathMatchers": "",
    },
    stored={
        "defaultCustomErrorResponsePolicy": _NO_PAGES,
        "description": "",
        "headerAction": _NO_HEADERS,
        "tests": "they are not run; the services that they name have to be there",
    },
    output={**SERVER, **plain("region status")},
)

PARTS = (
    Table(
        "HostRule",
        "which hosts go by which matcher",
        honoured={"hosts": "without ports; `*` alone or before a dot", "pathMatcher": ""},
        stored=plain("description"),
    ),
    Table(
        "PathMatcher",
        "where the requests of these hosts go",
        honoured={
            **plain("defaultRouteAction defaultService defaultUrlRedirect"),
            "name": "what host rules refer to it by",
            "pathRules": "exact paths first, then the longest prefix",
            "routeRules": "by their priority",
        },
        stored={"defaultCustomErrorResponsePolicy": _NO_PAGES, "description": "", "headerAction": _NO_HEADERS},
    ),
    Table(
        "PathRule",
        "by path",
        honoured=plain("paths routeAction service urlRedirect"),
        stored={"customErrorResponsePolicy": _NO_PAGES},
    ),
    Table(
        "HttpRouteRule",
        "by path and headers",
        honoured=plain("matchRules priority routeAction service urlRedirect"),
        stored={"customErrorResponsePolicy": _NO_PAGES, "description": "", "headerAction": _NO_HEADERS},
    ),
    Table(
        "HttpRouteRuleMatch",
        "one of these has to match",
        honoured={
            **plain("fullPathMatch headerMatches prefixMatch"),
            "metadataFilters": _NEVER,
            "pathTemplateMatch": _NEVER,
            "queryParameterMatches": _NEVER,
            "regexMatch": _NEVER,
        },
        stored={"ignoreCase": "paths are compared as they are"},
    ),
    Table(
        "HttpHeaderMatch",
        "all of these have to match",
        honoured={
            **plain("exactMatch headerName invertMatch prefixMatch presentMatch"),
            "rangeMatch": _NEVER,
            "regexMatch": _NEVER,
            "suffixMatch": _NEVER,
        },
    ),
    Table(
        "HttpRedirectAction",
        "an answer instead of a service",
        honoured=plain("hostRedirect httpsRedirect pathRedirect prefixRedirect redirectResponseCode stripQuery"),
    ),
    Table(
        "HttpRouteAction",
        "more than one service",
        honoured={
            "timeout": "of a whole call; without it the longest `timeoutSec` of the services",
            "weightedBackendServices": "",
        },
        stored={
            "cachePolicy": "nothing is cached",
            "corsPolicy": "preflight requests go to backends",
            "dynamicCompressionPolicy": "nothing is compressed",
            "faultInjectionPolicy": "no fault is injected",
            "imageOptimizationPolicy": "",
            "maxStreamDuration": "streams end with `timeout`, as calls do",
            "requestMirrorPolicy": "nothing is mirrored; the service has to be there",
            "retryPolicy": "the twin tries again what a backend has certainly not begun, and nothing else",
            "urlRewrite": "paths and hosts stay",
        },
    ),
    Table(
        "WeightedBackendService",
        "exact shares",
        honoured={"backendService": "", "weight": "0 to 1000"},
        stored={"headerAction": _NO_HEADERS},
    ),
)
