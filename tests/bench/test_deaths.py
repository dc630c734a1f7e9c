"""From the times of failed calls to what is said of a backend's death."""

from __future__ import annotations

from tests.bench.deaths import CLOSING_SECONDS, Death, Deaths
from tests.bench.kill import verdicts
from tests.bench.load import Failure, Outcome

KILLED = 100.0
GONE = 100.004


def outcome(*failures: tuple[float, float]) -> Outcome:
    """Of 1,000 calls; each failure is (sent, ended)."""
    kinds = {"grpc_status_14": len(failures)} if failures else {}
    return Outcome(
        sent=1000,
        ok=1000 - len(failures),
        failed=kinds,
        bytes=0,
        elapsed_seconds=1.0,
        per_second=1000.0,
        latency_us={},
        warm_up_failed=0,
        failures=tuple(Failure(sent, ended, "grpc_status_14") for sent, ended in failures),
        windows=(),
    )


def test_calls_that_were_open_are_not_late() -> None:
    death = Death.of(outcome((99.99, 100.01), (100.003, 100.02)), open_calls=1, killed=KILLED, gone=GONE)
    assert (death.failed, death.open, death.late) == (2, 2, 0)
    assert round(death.seconds, 6) == 0.02


def test_a_call_that_was_sent_to_a_dead_backend_is_late() -> None:
    death = Death.of(outcome((100.5, 100.6)), open_calls=0, killed=KILLED, gone=GONE)
    assert (death.failed, death.open, death.late) == (1, 0, 1)


def test_an_end_that_is_seen_late_excuses_nothing() -> None:
    sent = KILLED + CLOSING_SECONDS + 0.001
    death = Death.of(outcome((sent, sent + 0.1)), open_calls=0, killed=KILLED, gone=KILLED + 10)
    assert (death.open, death.late) == (0, 1)


def test_without_failures_nothing_takes_time() -> None:
    assert Death.of(outcome(), open_calls=13, killed=KILLED, gone=GONE).seconds == 0.0


def deaths(name: str, *failed_of_open: tuple[int, int]) -> Deaths:
    return Deaths(name, name, tuple(Death(1000, failed, there, 0, 0.1, {}) for failed, there in failed_of_open))


def test_one_failed_call_with_a_policy_misses_the_goal() -> None:
    found = verdicts([deaths("tidegate-policy", (0, 13), (1, 13), (0, 12))])
    assert [(one.measured, one.reached) for one in found] == [("1", False)]


def test_more_failures_than_open_calls_in_any_repetition_miss_the_goal() -> None:
    (reached,) = verdicts([deaths("tidegate", (13, 13), (12, 12))])
    (missed,) = verdicts([deaths("tidegate", (13, 20), (15, 14))])
    assert reached.reached is True
    assert missed.reached is False
    assert missed.measured == "13 of 20, 15 of 14"


def test_calls_that_the_proxy_lost_with_the_connection_were_open_too() -> None:
    """What was on its way to the backend when it died is not in the backend's count."""
    death = Death.of(outcome((99.99, 100.01), (99.999, 100.01)), open_calls=1, killed=KILLED, gone=GONE, cut=2)
    (found,) = verdicts([Deaths("tidegate", "tidegate", (death,))])
    assert (found.measured, found.reached) == ("2 of 2", True)


def test_the_row_has_medians_and_the_worst() -> None:
    row = deaths("tidegate", (1, 5), (2, 5), (9, 9)).row()
    assert row[1:6] == ["2 / 9", "5 / 9", "-", "0 / 0", "100 / 100 ms"]
