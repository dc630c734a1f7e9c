"""What only the whole configuration shows."""

from __future__ import annotations

from .command_line import Settings
from .flags import FLAGS
from .model import Access, GatewayConfig
from .problems import Place, Problems

_HOW_TO_GIVE_A_BACKEND = "give --backend=grpc://HOST:PORT"


def check_whole(config: GatewayConfig, has_service_config: bool, settings: Settings, problems: Problems) -> None:
    """Adds errors for what could not be served, and says what an operator may not expect."""
    _check_backends(config, settings, problems)
    _check_ports(config, settings, problems)
    _check_zone(config, settings, problems)
    _say_what_is_open(config, has_service_config, settings, problems)
    _suggest_userinfo(config, settings, problems)


def _place(settings: Settings, path: str, flag: str) -> Place:
    """Where something is to be put: in the gateway.yaml if there is one, else in a flag."""
    file = settings.text("config")
    return Place(file, 0, path) if file and flag not in settings else settings.place(flag)


def _check_backends(config: GatewayConfig, settings: Settings, problems: Problems) -> None:
    if config.routes or (problems.errors and "backend" in settings):
        return
    place = _place(settings, "spec.backends", "backend")
    homeless = [method.name for method in config.methods if method.backend is None]
    if not config.backends:
        problems.error(place, "is missing: calls have nowhere to go", _HOW_TO_GIVE_A_BACKEND)
    elif homeless:
        shown = ", ".join(homeless[:5]) + (" and more" if len(homeless) > 5 else "")
        problems.error(place, f"these methods have no backend: {shown}", f"{_HOW_TO_GIVE_A_BACKEND}, or routes")
    elif config.unknown_methods == "pass":
        problems.error(place, "there are several, and no routes to them", "give spec.routes")


def _check_ports(config: GatewayConfig, settings: Settings, problems: Problems) -> None:
    port = config.admin.port
    for listener in config.listeners:
        same = port and not listener.address.startswith("unix:") and listener.address.endswith(f":{port}")
        if same and "status_port" not in settings:
            problems.error(
                _place(settings, "spec.admin.port", "status_port"),
                f"port {port} is also that of listener {listener.name}",
                "choose another, or 0 for none",
            )


def _check_zone(config: GatewayConfig, settings: Settings, problems: Problems) -> None:
    local = [backend.name for backend in config.backends if backend.balance.prefer_local]
    if local and not config.zone:
        place = _place(settings, "spec.zone", "zone")
        problems.error(
            place,
            f"is missing: these backends prefer local endpoints: {', '.join(local[:5])}",
            "give it there, with --zone or in TIDEGATE_ZONE",
        )


def _restricts(access: Access) -> bool:
    return bool(access.requirements) or access.deny is not None


def _say_what_is_open(config: GatewayConfig, has_service_config: bool, settings: Settings, problems: Problems) -> None:
    methods = [_restricts(method.access) for method in config.methods]
    routes = [_restricts(route.access) for route in config.routes]
    if not any(methods) and not any(routes):
        if has_service_config:
            place = settings.place("service_json_path")
            problems.warning(place, "nothing is authenticated: no method of the service configuration asks for a token")
        else:
            problems.warning(
                _place(settings, "spec.authentication", "backend"),
                "nothing is authenticated: every request is passed on",
                "give a service configuration (--service_json_path) or authentication rules (--config) to change that",
            )
    elif config.unknown_methods == "pass" and not all(routes):
        problems.warning(
            _place(settings, "spec.authentication.rules", "backend"),
            "requests for methods that are not known are passed on without a token",
            'add a rule for "*", or set spec.api.unknownMethods: reject',
        )


def _suggest_userinfo(config: GatewayConfig, settings: Settings, problems: Problems) -> None:
    v1 = [flag.name for flag in FLAGS if flag.v1_only and flag.name in settings]
    if v1 and config.authentication.providers and "userinfo_format" not in settings and "config" not in settings:
        problems.note(
            Place("--userinfo_format"),
            f"is espv2, while --{v1[0]} is a flag of ESP v1, whose X-Endpoint-API-UserInfo has another form",
            "backends that read it as v1 sent it need --userinfo_format=espv1",
        )
