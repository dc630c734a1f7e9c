"""`/endpoints_status` as ESP's users know it: the process's resources and the service that it fronts.

The members are those of ESP's status message (`Status`, `ProcessStatus`, `EspStatus`); 64-bit numbers are text, as in
the JSON of protobuf. `status` is ours: SERVING, or NOT_SERVING while the process is not ready. The HTTP status is
always 200.
"""

from __future__ import annotations

import os
import resource
from datetime import UTC, datetime
from pathlib import Path

from gateway.admin.facts import Facts, is_ready
from gateway.core import Core


def endpoints_status(facts: Facts, core: Core, version: str) -> dict[str, object]:
    """The status document."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    virtual, resident = _memory()
    return {
        "status": "SERVING" if is_ready(facts) else "NOT_SERVING",
        "server": {
            "serverVersion": f"tidegate/{version}",
            "connections": {"active": str(core.active_connections())},
        },
        "processes": [
            {
                "processId": str(os.getpid()),
                "startedAt": datetime.fromtimestamp(facts.started_at, UTC).isoformat().replace("+00:00", "Z"),
                "memoryUsage": str(resident),
                "peakMemoryUsage": str(usage.ru_maxrss * 1024),
                "virtualSize": str(virtual),
                "userCpuTimeUs": str(int(usage.ru_utime * 1e6)),
                "systemCpuTimeUs": str(int(usage.ru_stime * 1e6)),
                "espStatus": [
                    {
                        "serviceName": facts.config.service_name or "",
                        "serviceConfigRollouts": {"percentages": {facts.version: 100.0}} if facts.version else {},
                    }
                ],
            }
        ],
    }


def _memory() -> tuple[int, int]:
    """Virtual and resident size in bytes (proc_pid_statm(5)); zeros where there is no such file."""
    try:
        virtual, resident = Path("/proc/self/statm").read_text(encoding="ascii").split()[:2]
    except OSError:
        return 0, 0
    page = resource.getpagesize()
    return int(virtual) * page, int(resident) * page
