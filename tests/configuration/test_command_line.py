"""Flags and environment variables, as operators and their manifests write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.configuration import ConfigurationError, load
from gateway.configuration.flags import BY_NAME, FLAGS
from gateway.configuration.help import answer_help, render_help
from gateway.configuration.later_flags import LATER_SHORT
from tests.configuration.helpers import BACKEND, FIXTURES, describe, errors_of, said

KAGGLE = (
    "--ssl_port=443",
    "--http_port=9000",
    "--service=predictor.endpoints.example-project.cloud.goog",
    "--rollout_strategy=managed",
    "--backend=grpc://127.0.0.1:8091",
)
ESP_V2 = (
    "--listener_port=9000",
    "--service=predictor.endpoints.example-project.cloud.goog",
    "--rollout_strategy=managed",
    "--backend=grpc://127.0.0.1:8091",
)
ESP_SPACED = (
    "-P",
    "9000",
    "-s",
    "predictor.endpoints.example-project.cloud.goog",
    "-R",
    "managed",
    "-a",
    "grpc://127.0.0.1:8091",
)


@pytest.mark.parametrize("arguments", [KAGGLE, ESP_V2, ESP_SPACED])
@pytest.mark.parametrize("way", ["variable", "default file"])
def test_the_argument_lists_of_the_tutorials_start_untouched(arguments: tuple[str, ...], way: str) -> None:
    article = FIXTURES / "article.yaml"
    environ = {"TIDEGATE_SERVICE_CONFIG": str(article)} if way == "variable" else {}
    loaded = load(arguments, environ, describe=describe, default_service_config=article)
    assert loaded.config.service_name == "predictor.endpoints.example-project.cloud.goog"
    assert loaded.config.backends[0].targets == ("127.0.0.1:8091",)
    assert loaded.config.unknown_methods == "reject"
    assert article in loaded.config.sources


def test_esp_v1_ports_become_listeners_side_by_side() -> None:
    config = load(KAGGLE, {}, describe=describe, default_service_config=FIXTURES / "article.yaml").config
    cleartext, tls = config.listeners
    assert (cleartext.address, cleartext.tls) == ("0.0.0.0:9000", None)
    assert tls.address == "0.0.0.0:443"
    assert tls.tls is not None
    assert tls.tls.certificates[0].directory == Path("/etc/nginx/ssl")


def test_without_a_service_configuration_the_message_says_what_to_give() -> None:
    (error,) = errors_of(KAGGLE)
    assert error.startswith("--service: ")
    for way in (
        "TIDEGATE_SERVICE_CONFIG",
        "--service_json_path",
        "TIDEGATE_PROTO_DESCRIPTOR",
        "/nonexistent/service.yaml",
    ):
        assert way in error


def test_esp_v1_flags_suggest_the_userinfo_format_of_v1() -> None:
    environ = {"TIDEGATE_SERVICE_CONFIG": str(FIXTURES / "article.yaml")}
    assert "--userinfo_format=espv1" in said(load(KAGGLE, environ, describe=describe))
    assert "espv1" not in said(load(ESP_V2, environ, describe=describe))
    chosen = load([*KAGGLE, "--userinfo_format=espv1"], environ, describe=describe)
    assert chosen.config.authentication.userinfo_format == "espv1"
    assert "--userinfo_format:" not in said(chosen)


def test_a_plain_proxy_says_that_nothing_is_authenticated() -> None:
    loaded = load(["--http2_port=8080", BACKEND], {})
    assert "nothing is authenticated" in said(loaded)
    assert loaded.config.unknown_methods == "pass"
    assert loaded.config.methods == ()
    assert loaded.config.routes[0].backends == (("default", 1),)
    assert loaded.config.admin.port == 8090


@pytest.mark.parametrize(
    "arguments",
    [
        ["--http2_port=9000", "--backend", "grpc://127.0.0.1:50051"],
        ["--http2-port", "9000", BACKEND],
        ["-P", "9000", "-a", "grpc://127.0.0.1:50051"],
        ["-P9000", "-a=grpc://127.0.0.1:50051"],
        ["--http2_port=1", "--http2_port=9000", BACKEND],
    ],
)
def test_spellings_mean_the_same(arguments: list[str]) -> None:
    config = load(arguments, {}).config
    assert [listener.address for listener in config.listeners] == ["0.0.0.0:9000"]
    assert config.backends[0].targets == ("127.0.0.1:50051",)


def test_a_flag_outranks_its_variable() -> None:
    environ = {"TIDEGATE_HTTP2_PORT": "7000", "TIDEGATE_BACKEND": "grpc://10.0.0.1:1", "TIDEGATE_ENABLE_DEBUG": "yes"}
    config = load(["--http2_port=9000"], environ).config
    assert config.listeners[0].address == "0.0.0.0:9000"
    assert config.backends[0].targets == ("10.0.0.1:1",)
    assert config.debug


def test_port_8080_is_the_default_and_ports_given_replace_it() -> None:
    assert [listener.address for listener in load([BACKEND], {}).config.listeners] == ["0.0.0.0:8080"]
    config = load([BACKEND, "--listener=unix:///run/gateway.sock", "--listener=[::1]:9000"], {}).config
    assert [listener.address for listener in config.listeners] == ["unix:///run/gateway.sock", "[::1]:9000"]
    config = load([BACKEND, "--http_port=80", "--listener_address=::"], {}).config
    assert [listener.address for listener in config.listeners] == ["[::]:80"]


def test_all_faults_are_reported_at_once() -> None:
    errors = errors_of(
        [
            "--htp_port=1",
            "--cors_preset",
            "basic",
            "--backend=localhost:1",
            "--drain_delay=soon",
            "extra",
            "--http_port=70000",
        ],
        {"TIDEGATE_JWT_CACHE_SIZE": "many"},
    )
    assert len(errors) == 7
    text = "\n".join(errors)
    assert '--htp_port: unknown flag (did you mean "--http_port"?)' in text
    assert "--cors_preset: is not yet supported" in text
    assert "--backend: " in text
    assert "grpc://localhost:1" in text
    assert '--drain_delay: "soon" is not a duration' in text
    assert "extra: is no flag" in text
    assert '--http_port: "70000" is not a port' in text
    assert 'TIDEGATE_JWT_CACHE_SIZE: "many" is not a whole number' in text


@pytest.mark.parametrize("flag", [flag.name for flag in FLAGS if flag.status == "not yet supported"])
def test_flags_of_later_are_refused_by_name(flag: str) -> None:
    assert errors_of([f"--{flag}=x", BACKEND]) == [f"--{flag}: is not yet supported"]
    assert errors_of([f"--{flag}", BACKEND]) == [f"--{flag}: is not yet supported"]
    assert errors_of([BACKEND], {f"TIDEGATE_{flag.upper()}": "x"}) == [f"TIDEGATE_{flag.upper()}: is not yet supported"]


@pytest.mark.parametrize("letter", LATER_SHORT)
def test_letters_of_later_flags_are_refused(letter: str) -> None:
    assert errors_of([letter, "x", BACKEND]) == [f"{letter}: is not yet supported"]


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        ("127.0.0.1:8082", "grpc://127.0.0.1:8082"),
        ("http://127.0.0.1:8082", "grpc://127.0.0.1:8082"),
        ("https://app.example.com", "grpcs://app.example.com"),
        ("ftp://x:1", "none of grpc, grpcs, unix"),
        ("grpc://x:1/path", "no path"),
        ("grpc://user:secret@x:1", "no user name or password"),
        ("grpc://::1:50051", "brackets"),
        ("grpc://x:0", "port 0"),
        ("grpc://", "not a host name"),
        ("unix://relative", "unix:///"),
        ("unix:///" + "x" * 120, "107 bytes"),
    ],
)
def test_backends_that_cannot_be_served_say_what_to_write(backend: str, expected: str) -> None:
    (error,) = errors_of([f"--backend={backend}"])
    assert expected in error
    assert "secret" not in error


@pytest.mark.parametrize(
    ("backend", "target", "server_name"),
    [
        ("grpc://app:50051", "app:50051", None),
        ("grpc://app", "app:80", None),
        ("grpcs://app.example.com", "app.example.com:443", "app.example.com"),
        ("grpcs://[::1]:8443", "[::1]:8443", "::1"),
        ("unix:///run/app.sock", "unix:///run/app.sock", None),
    ],
)
def test_backends(backend: str, target: str, server_name: str | None) -> None:
    (found,) = load([f"--backend={backend}"], {}).config.backends
    assert found.targets == (target,)
    assert (found.tls.server_name if found.tls else None) == server_name


def test_backend_flags() -> None:
    config = load(
        [
            "--backend=grpcs://app:1",
            "--backend_retry_ons=connect-failure,reset",
            "--backend_retry_num=0",
            "--ssl_backend_client_root_certs_file=/etc/ca.pem",
            "--ssl_client_cert_path=/etc/client",
            "--backend_connect_timeout=500ms",
            "--backend_dns_lookup_family=v6only",
        ],
        {},
    ).config
    (backend,) = config.backends
    assert backend.retry.on == ("connect-failure", "reset")
    assert backend.retry.attempts == 0
    assert backend.connect_timeout == 0.5
    assert backend.lookup_family == "v6only"
    assert backend.tls is not None
    assert backend.tls.ca == Path("/etc/ca.pem")
    assert backend.tls.client is not None
    assert backend.tls.client.directory == Path("/etc/client")
    (error,) = errors_of([BACKEND, "--backend_retry_ons=refused_stream"])
    assert 'did you mean "refused-stream"?' in error
    (error,) = errors_of([BACKEND, "--backend_dns_lookup_family=v4_only"])
    assert 'did you mean "v4only"?' in error


def test_tls_flags() -> None:
    config = load(
        [
            BACKEND,
            "--listener_port=8443",
            "--ssl_server_cert_path=/etc/one",
            "--ssl_server_cert_path=/etc/two",
            "--ssl_server_root_cert_path=/etc/ca.pem",
            "--ssl_minimum_protocol=TLSv1.3",
            "--ssl_server_cipher_suites=ECDHE-RSA-AES128-GCM-SHA256,RC4-MD5",
        ],
        {},
    )
    tls = config.config.listeners[0].tls
    assert tls is not None
    assert [source.directory for source in tls.certificates] == [Path("/etc/one"), Path("/etc/two")]
    assert tls.client_certificate == "required"
    assert (tls.minimum_version, tls.maximum_version) == ("1.3", "1.3")
    assert "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" in tls.cipher_suites
    assert "TLS13_AES_128_GCM_SHA256" in tls.cipher_suites
    assert "RC4-MD5" in said(config)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--ssl_minimum_protocol=TLSv1.3"], "no port is over TLS"),
        (["--ssl_server_root_cert_path=/ca.pem", "--http2_port=1"], "no port is over TLS"),
        (["--ssl_port=443", "--ssl_client_certificate=required"], "needs --ssl_server_root_cert_path"),
        (["--ssl_port=1", "--ssl_client_certificate=none", "--ssl_server_root_cert_path=/a"], "contradicts"),
        (["--ssl_port=443", "--ssl_maximum_protocol=TLSv1.1"], "TLS 1.2 is the oldest"),
        (["--ssl_port=443", "--ssl_minimum_protocol=1.3", "--ssl_maximum_protocol=1.2"], "older than the minimum"),
        (["--ssl_port=443", "--ssl_server_cipher_suites=RC4-MD5"], "names no cipher suite"),
        (["--ssl_port=443", "--listener_port=80", "--ssl_server_cert_path=/a"], "--http_port"),
        (["--http_port=8080", "--http2_port=8080"], "more than once"),
        (["--http_port=8080", "--status_port=8080"], "more than once"),
        (["--http_port=8090"], "also that of listener"),
        (["--listener_address=localhost"], "needs an IP address"),
        (["--admin_address=localhost"], "not an IP address"),
        (["--healthz=/"], "plain path"),
        (["--workers=0"], "from 1 to 1024"),
        (["--stream_window=3GiB"], "is more than"),
        (["--max_headers=1"], "is less than 8"),
        (["--http_port"], "needs a value"),
        (["--enable_debug=perhaps"], "neither true nor false"),
        (["--rollout_strategy=manged"], 'did you mean "managed"?'),
        (["--grpc_backend_ssl_cert_chain_file=/a"], "given together"),
        (["--backend_connect_timeout=0"], "needs some time"),
    ],
)
def test_contradictions(arguments: list[str], expected: str) -> None:
    errors = errors_of([BACKEND, *arguments])
    assert any(expected in error for error in errors), errors
    assert all(error.startswith("--") for error in errors)


def test_values_reach_the_model() -> None:
    config = load(
        [
            BACKEND,
            "--max_buffer_bytes=64MiB",
            "--stream_window=128k",
            "--client_max_body_size=32m",
            "--max_connection_age=1h30m",
            "--keepalive_time=30",
            "--jwks_cache_duration_in_s=300",
            "--jwks_max_stale=48h",
            "--access_log=off",
            "--access_log_rate=0",
            "--envoy_xff_num_trusted_hops=2",
            "-z",
            "healthz",
            "--worker_processes=4",
            "-N0",
            "--drain_delay=250ms",
        ],
        {},
    ).config
    assert config.limits.max_buffer_bytes == 64 << 20
    assert config.limits.stream_window_bytes == 128 << 10
    assert config.limits.max_body_bytes == 32 << 20
    assert config.limits.max_connection_age == 5400
    assert config.limits.keepalive_time == 30
    assert config.authentication.jwks_cache_duration == 300
    assert config.authentication.jwks_max_stale == 172800
    assert (config.access_log.path, config.access_log.success_rate) == ("", 0)
    assert config.xff_trusted_hops == 2
    assert config.healthz_path == "/healthz"
    assert config.workers == 4
    assert config.admin.port == 0
    assert config.drain_delay == 0.25


def test_variables_that_kubernetes_sets_for_services_do_no_harm() -> None:
    environ = {
        "TIDEGATE_PORT": "tcp://10.0.0.1:443",
        "TIDEGATE_SERVICE_HOST": "10.0.0.1",
        "TIDEGATE_SERVICE_PORT": "443",
        "TIDEGATE_PORT_443_TCP_ADDR": "10.0.0.1",
        "TIDEGATE_HTTP_PORT": "tcp://10.0.0.2:80",
    }
    loaded = load([BACKEND], environ)
    assert loaded.config.listeners[0].address == "0.0.0.0:8080"
    assert "TIDEGATE_HTTP_PORT: is Kubernetes' link" in said(loaded)
    assert "TIDEGATE_SERVICE_PORT" not in said(loaded)


def test_a_mistyped_variable_is_pointed_at() -> None:
    assert 'TIDEGATE_BAKCEND: is not read (did you mean "TIDEGATE_BACKEND"?)' in said(
        load([BACKEND], {"TIDEGATE_BAKCEND": "x"})
    )


def test_two_variables_for_one_flag_are_refused() -> None:
    errors = errors_of([BACKEND], {"TIDEGATE_SERVICE_CONFIG": "a", "TIDEGATE_SERVICE_JSON_PATH": "b"})
    assert any("says the same as" in error for error in errors)


def test_flags_without_effect_are_said() -> None:
    text = said(load([BACKEND, "--non_gcp", "--service_account_key=/key.json"], {}))
    assert "--non_gcp: has no effect" in text
    assert "--service_account_key: has no effect" in text


def test_a_missing_backend_is_an_error() -> None:
    (error,) = errors_of(["--http2_port=8080"])
    assert "--backend=grpc://HOST:PORT" in error


def test_version_and_managed_contradict_each_other(tmp_path: Path) -> None:
    arguments = [BACKEND, f"--service_json_path={FIXTURES / 'article.yaml'}", "--version=2024-01-01r0"]
    assert any("contradicts" in error for error in errors_of([*arguments, "--rollout_strategy=managed"]))
    assert 'has the id ""' in said(load(arguments, {}, describe=describe))


def test_another_service_name_is_pointed_at() -> None:
    arguments = [BACKEND, f"--service_json_path={FIXTURES / 'article.yaml'}", "--service=other.example.com"]
    assert 'is of "predictor.endpoints.example-project.cloud.goog"' in said(load(arguments, {}, describe=describe))


def test_errors_carry_their_parts() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(["--backend=localhost:1"], {})
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.path, problem.severity) == ("--backend", 0, "", "error")
    assert '"problems"' in caught.value.as_json()


def test_the_table_is_sound() -> None:
    names = [name for flag in FLAGS for name in (flag.name, *flag.aliases)]
    assert len(names) == len(set(names)) == len(BY_NAME)
    shorts = [flag.short for flag in FLAGS if flag.short]
    assert len(shorts) == len(set(shorts))
    assert not set(shorts) & set(LATER_SHORT)
    variables = [variable for flag in FLAGS for variable in flag.variables]
    assert len(variables) == len(set(variables))
    for flag in FLAGS:
        assert flag.status == "not yet supported" or flag.help.endswith("."), flag.name


def test_help_names_every_flag_with_its_variable_and_default() -> None:
    text = render_help(width=100)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 110
    for flag in FLAGS:
        if flag.status != "not yet supported":
            assert f"--{flag.name}" in text
            assert flag.variable in text
    assert "default: 8090" in text
    assert "\x1b[1m" in render_help(colour=True)


def test_help_is_answered_wherever_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert not answer_help([BACKEND])
    assert capsys.readouterr().out == ""
    assert answer_help(["--htp_port=1", "--help"])
    assert capsys.readouterr().out == render_help()
