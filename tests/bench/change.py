"""Endpoints that come and go under load: `python -m tests.bench.change`, or `make bench-change`."""

from __future__ import annotations

from tests.bench import churn, grow
from tests.bench.peers.tidegate import Tidegate
from tests.bench.stage import stage


def main() -> None:
    with stage(__doc__) as where:
        absent = Tidegate(where.tidegate).missing()
        if absent:
            raise SystemExit(f"bench: {absent}")
        where.keep("grow", grow.report(where))
        reason = churn.missing(where)
        if reason:
            where.say(f"skipped: {churn.ENDPOINTS:,} endpoints: {reason}")
        else:
            where.keep("churn", churn.report(where))


if __name__ == "__main__":
    main()
