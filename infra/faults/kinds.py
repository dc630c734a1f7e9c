"""The faults by name. Light to import: `tidegate fault --help` reads them."""

from __future__ import annotations

KILL = "kill"
HANG = "hang"
NOT_SERVING = "not-serving"
PARTITION = "partition"
SLOW = "slow"
OVERLOAD = "overload"
HEAL = "heal"

FAULTS = {
    KILL: "the processes end at once (SIGKILL); heal starts them anew",
    HANG: "the processes stand still (SIGSTOP) with their connections open",
    NOT_SERVING: "the app says NOT_SERVING and goes on answering",
    PARTITION: "the network drops every packet to and from the pod, and tells nobody",
    SLOW: "each call takes 1 s longer",
    OVERLOAD: "the app serves 2 calls at a time, for 200 ms each; the others wait",
}
"""What each does to a pod."""

SLOW_SECONDS = 1.0
OVERLOAD_CAPACITY = 2
OVERLOAD_SECONDS = 0.2
"""Ten calls a second: less than a pod's part of any load worth the name."""
