"""The state of health of an endpoint: observations in, events out; no clock and no I/O of its own.

`advance` is the machine, `Policy` what it goes by, `Schedule` says when the next probe is due.
"""

from __future__ import annotations

from healthcheck.state.damping import Damping
from healthcheck.state.event import Change, Event
from healthcheck.state.health import Admin, Health, Observed, Verdict
from healthcheck.state.input import Administered, Ejected, Input, Observation, Outcome, Tick
from healthcheck.state.machine import Policy, advance
from healthcheck.state.schedule import Schedule

__all__ = [
    "Admin",
    "Administered",
    "Change",
    "Damping",
    "Ejected",
    "Event",
    "Health",
    "Input",
    "Observation",
    "Observed",
    "Outcome",
    "Policy",
    "Schedule",
    "Tick",
    "Verdict",
    "advance",
]
