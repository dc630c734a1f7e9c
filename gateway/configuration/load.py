"""From a command line and its environment to a configuration: where all the ways in meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .api.definition import ApiDefinition
from .api.descriptors import Describe, describe_all, native_describe, read_descriptors
from .api.resolve import resolve_methods
from .checks import check_whole
from .command_line import Settings, parse_settings
from .document import read_file
from .flag_backend import backend_from_flags, backend_tls, with_backend_flags
from .flag_listeners import TLS_FLAGS, listeners_from_flags, listeners_given
from .flag_values import (
    access_log_from_flags,
    admin_from_flags,
    authentication_from_flags,
    limits_from_flags,
    process_from_flags,
)
from .flags import DEFAULT_SERVICE_CONFIG
from .gateway_yaml import GatewayFile, check_guarded_routes, read_gateway_file
from .model import Access, Backend, GatewayConfig, Listener, Route
from .problems import Place, Problem, Problems
from .service_config import ServiceConfig, ServiceFile, read_service_config

CATCH_ALL = "default"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be served, and what its operator should know: warnings and notes."""

    config: GatewayConfig
    warnings: tuple[Problem, ...]


def load(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    *,
    describe: Describe = native_describe,
    default_service_config: Path = Path(DEFAULT_SERVICE_CONFIG),
) -> Loaded:
    """The configuration of `tidegate gateway` started so; its files are read anew each time.

    Raises ConfigurationError with every fault in flags, variables and files.
    """
    problems = Problems()
    settings = parse_settings(arguments, environ, problems)
    config = load_with(settings, problems, describe, default_service_config)
    problems.raise_errors()
    return Loaded(config, problems.warnings)


def load_file(path: Path, *, describe: Describe = native_describe) -> Loaded:
    """The configuration in a `gateway.yaml`. Raises ConfigurationError with every fault in it."""
    return load(["--config", str(path)], {}, describe=describe)


def load_with(
    settings: Settings,
    problems: Problems,
    describe: Describe = native_describe,
    default_service_config: Path = Path(DEFAULT_SERVICE_CONFIG),
) -> GatewayConfig:
    """As `load`; what is wrong goes to `problems`, and the result is then incomplete."""
    return _Loading(settings, problems, describe, default_service_config).config()


class _Loading:
    def __init__(self, settings: Settings, problems: Problems, describe: Describe, default_path: Path) -> None:
        self._settings = settings
        self._problems = problems
        self._describe = describe
        self._default_path = default_path
        self._sources: list[Path] = []

    def config(self) -> GatewayConfig:
        file = self._gateway_file()
        service = self._service_config(file)
        config = self._with_flags(file.config if file else GatewayConfig((), ()), service)
        config = self._with_api(config, file, service)
        check_whole(config, service is not None, self._settings, self._problems)
        return replace(config, sources=tuple(dict.fromkeys(self._sources)))

    @property
    def _config_flag(self) -> str:
        return self._settings.text("config") or "--config"

    def _gateway_file(self) -> GatewayFile | None:
        text = self._settings.text("config")
        if text is None:
            return None
        path = Path(text)
        self._sources.append(path)
        root = read_file(path, self._problems)
        return read_gateway_file(root, path, self._problems) if root else None

    def _service_config(self, file: GatewayFile | None) -> ServiceConfig | None:
        settings, problems = self._settings, self._problems
        paths = self._service_config_paths(file)
        if not paths:
            return None
        self._sources.extend(paths)
        if file and file.describes_api and file.service_config is None:
            place = settings.place("service_json_path")
            problems.error(place, f"{self._config_flag} describes an API of its own", "keep one of them")
        roots = [(path, read_file(path, problems)) for path in paths]
        files = [ServiceFile(str(path), root) for path, root in roots if root]
        if len(files) < len(paths):
            return None
        # What is wrong with the TLS flags is said where --backend is read.
        tls = backend_tls(settings, Problems())
        any_audience = settings.switch("disable_jwt_audience_service_name_check")
        service = read_service_config(files, problems, tls, any_audience)
        self._compare(service, files[0].name)
        return service

    def _service_config_paths(self, file: GatewayFile | None) -> list[Path]:
        settings = self._settings
        given = [Path(text) for text, _ in settings.texts("service_json_path")]
        if given:
            return given
        if "config" in settings:
            return [file.service_config] if file and file.service_config else []
        managed = settings.text("rollout_strategy") == "managed"
        wanted = next(
            (name for name in ("service", "version") if name in settings), "rollout_strategy" if managed else ""
        )
        if not wanted:
            return []
        if self._default_path.exists():
            return [self._default_path]
        self._problems.error(
            settings.place(wanted),
            "the service configuration is not fetched from Google yet, and there is no file of it",
            f"put it at {self._default_path}, or give --service_json_path or TIDEGATE_SERVICE_CONFIG,"
            " with TIDEGATE_PROTO_DESCRIPTOR for its descriptor set",
        )
        return []

    def _compare(self, service: ServiceConfig, path: str) -> None:
        settings, problems = self._settings, self._problems
        name, version = settings.text("service"), settings.text("version")
        managed = settings.text("rollout_strategy") == "managed"
        if name is not None and service.name and name != service.name:
            problems.warning(settings.place("service"), f'{path} is of "{service.name}", and that is served')
        if version is not None and managed:
            problems.error(settings.place("version"), "contradicts --rollout_strategy=managed", "keep one of them")
        elif version is not None and version != service.config_id:
            problems.warning(settings.place("version"), f'{path} has the id "{service.config_id}", and that is served')
        if managed:
            problems.note(
                settings.place("rollout_strategy"),
                f"roll-outs are not fetched yet: {path} is served, and read again when it changes",
            )

    def _with_flags(self, base: GatewayConfig, service: ServiceConfig | None) -> GatewayConfig:
        settings, problems = self._settings, self._problems
        backends = (*self._backends(base), *(service.backends if service else ()))
        config = replace(
            base,
            listeners=self._listeners(base),
            backends=tuple(with_backend_flags(backend, settings, problems) for backend in backends),
            limits=limits_from_flags(base.limits, settings, problems),
            authentication=authentication_from_flags(base.authentication, settings),
            access_log=access_log_from_flags(base.access_log, settings),
            admin=admin_from_flags(base.admin, settings, problems),
        )
        if service:
            authentication = replace(config.authentication, providers=service.providers)
            config = replace(config, authentication=authentication, unknown_methods="reject", service_name=service.name)
        return process_from_flags(config, settings, problems)

    def _listeners(self, base: GatewayConfig) -> tuple[Listener, ...]:
        if not base.listeners or listeners_given(self._settings):
            return listeners_from_flags(self._settings, self._problems)
        for name in (*TLS_FLAGS, "listener_address"):
            if name in self._settings:
                message = f"does not apply to the listeners of {self._config_flag}"
                self._problems.error(self._settings.place(name), message, "change them there")
        return base.listeners

    def _backends(self, base: GatewayConfig) -> tuple[Backend, ...]:
        given = backend_from_flags(self._settings, self._problems)
        if given is None:
            return base.backends
        if len(base.backends) > 1:
            place = self._settings.place("backend")
            self._problems.error(place, f"{self._config_flag} has several backends", "change it there")
        return (replace(given, name=base.backends[0].name) if base.backends else given,)

    def _with_api(
        self, config: GatewayConfig, file: GatewayFile | None, service: ServiceConfig | None
    ) -> GatewayConfig:
        settings, problems = self._settings, self._problems
        paths = [(Path(text), place) for text, place in settings.texts("proto_descriptor")]
        if not paths and file:
            paths = [(path, Place(self._config_flag)) for path in config.descriptors]
        self._sources.extend(path for path, _ in paths)
        sets = [found for path, place in paths if (found := read_descriptors(path, place, problems))]
        embedded = service.api.descriptors if service else ()
        described = describe_all((*sets, *embedded), self._describe, problems)
        definition = service.api if service else file.api if file else ApiDefinition()
        methods = resolve_methods(definition, described, service.usage_place if service else Place(""), problems)
        if file and not service:
            check_guarded_routes(file, [method.name for method in methods], problems)
        return replace(
            config,
            routes=config.routes or self._catch_all(config, file, service),
            methods=methods,
            descriptors=tuple(path for path, _ in paths),
            embedded_descriptors=tuple(found.data for found in embedded),
        )

    def _catch_all(
        self, config: GatewayConfig, file: GatewayFile | None, service: ServiceConfig | None
    ) -> tuple[Route, ...]:
        """Everything goes to the one backend that no rule of the service configuration brought in, if it is one."""
        own = config.backends[: len(config.backends) - (len(service.backends) if service else 0)]
        access = file.default_access if file else Access()
        return (Route(CATCH_ALL, ((own[0].name, 1),), access=access),) if len(own) == 1 else ()
