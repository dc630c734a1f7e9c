"""google.api.Service as teams write it for `gcloud endpoints services deploy`, or as Google's API returns it."""

from __future__ import annotations

from .read import ServiceConfig, ServiceFile, read_service_config

__all__ = ["ServiceConfig", "ServiceFile", "read_service_config"]
