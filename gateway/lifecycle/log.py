"""The process's own log: one JSON object a line on standard error, with the keys that Cloud Logging reads.

Source: https://cloud.google.com/logging/docs/structured-logging (`severity`, `message`, `time`).
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

FIELDS = "fields"
"""The attribute of a log record that holds further keys: `log.info("...", extra={FIELDS: {...}})`."""


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            **getattr(record, FIELDS, {}),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "severity": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_to_standard_error(level: int = logging.INFO) -> None:
    """Sends every record of this process there. For the command alone: a library leaves this to its host."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("aiohttp").setLevel(logging.WARNING)
