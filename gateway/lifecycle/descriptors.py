"""Every connection is a descriptor, so the process takes as many as it is allowed."""

from __future__ import annotations

import resource


def raise_descriptor_limit() -> int:
    """Raises the soft limit on open descriptors to the hard one; returns the limit that then holds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            return soft
    return hard
