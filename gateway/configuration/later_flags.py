"""Flags of ESP and ESPv2 that are known and not supported yet: they are refused by name, never silently ignored."""

from __future__ import annotations

from collections.abc import Iterable

from .flag import Flag


def _later(group: str, names: str) -> Iterable[Flag]:
    return (Flag(name, group, "text", "", status="not yet supported") for name in names.split())


LATER_FLAGS: tuple[Flag, ...] = (
    *_later(
        "CORS",
        "cors_preset cors_allow_origin cors_allow_origin_regex cors_allow_methods cors_allow_headers"
        " cors_expose_headers cors_allow_credentials cors_max_age",
    ),
    *_later(
        "Service Control and Google's APIs",
        "service_control_url service_control_url_override service_control_network_fail_policy"
        " service_control_network_fail_open service_control_check_timeout_ms service_control_quota_timeout_ms"
        " service_control_report_timeout_ms service_control_check_retries service_control_quota_retries"
        " service_control_report_retries service_control_enable_api_key_uid_reporting client_ip_from_forwarded_header"
        " client_ip_header client_ip_position log_request_headers log_response_headers log_jwt_payloads log_jwt_payload"
        " min_stream_report_interval_ms check_metadata management metadata http_request_timeout_s"
        " enable_application_default_credentials compute_platform_override on_serverless service_config_url",
    ),
    *_later(
        "Tracing",
        "enable_tracing disable_tracing tracing_project_id tracing_sample_rate tracing_incoming_context"
        " tracing_outgoing_context tracing_enable_verbose_annotations disable_cloud_trace_auto_sampling"
        " cloud_trace_url_override",
    ),
    *_later(
        "Transcoding",
        "transcoding_always_print_primitive_fields transcoding_always_print_enums_as_ints"
        " transcoding_stream_newline_delimited transcoding_case_insensitive_enum_parsing"
        " transcoding_preserve_proto_field_names transcoding_ignore_query_parameters"
        " transcoding_ignore_unknown_query_parameters transcoding_query_parameters_disable_unescape_plus"
        " transcoding_match_unregistered_custom_verb disallow_colon_in_wildcard_path_segment",
    ),
    *_later(
        "Headers, paths and bodies",
        "add_request_header append_request_header add_response_header append_response_header"
        " enable_operation_name_header generated_header_prefix underscores_in_headers allow_invalid_headers"
        " disable_normalize_path disable_merge_slashes_in_path disallow_escaped_slashes_in_path"
        " enable_response_compression enable_strict_transport_security enable_websocket enable_grpc_for_http1"
        " envoy_use_remote_address xff_trusted_proxy_list rewrite connection_buffer_limit_bytes"
        " envoy_connection_buffer_limit_bytes client_body_buffer_size large_client_header_buffers",
    ),
    *_later(
        "Backend",
        "backend_per_try_timeout backend_retry_on_status_codes"
        " enable_backend_address_override ssl_backend_client_cipher_suites backend_protocol health_check_grpc_backend"
        " health_check_grpc_backend_service health_check_grpc_backend_interval"
        " health_check_grpc_backend_no_traffic_interval",
    ),
    *_later(
        "JWT and TLS",
        "disable_jwks_async_fetch jwks_async_fetch_fast_listener jwks_fetch_retry_back_off_base_interval_ms"
        " jwks_fetch_retry_back_off_max_interval_ms jwt_pad_forward_payload_header generate_self_signed_cert",
    ),
    *_later("Observability", "access_log_format"),
    *_later(
        "NGINX",
        "nginx_config server_config_dir config_dir pid_file template server_config_template nginx nginx_debug"
        " generate_config_file_only server_config_generation_path experimental_enable_multiple_api_configs",
    ),
)

LATER_SHORT = {
    "-g": "management",
    "-m": "metadata",
    "-n": "nginx_config",
    "-c": "service_config_url",
    "-x": "xff_trusted_proxy_list",
}
"""ESP's one-letter flags among those that are not yet supported."""
