"""Made-up traffic: samples of a gateway that serves so many requests in each step, so many of them badly."""

from collections.abc import Sequence

from gateway.incidents.sample import History, Sample

STEP = 5.0


def history(steps: Sequence[tuple[int, int]], rules: Sequence[int] = (), limited: bool = False) -> History:
    """Of a provider `p` and a team `t`: (served, failed) a step; `rules`: blocks of the rule `r` a step."""
    found = History()
    good = bad = blocks = 0
    for at in range(len(steps) + 1):
        if at:
            good, bad = good + steps[at - 1][0], bad + steps[at - 1][1]
            blocks += rules[at - 1] if rules else 0
        kind = "429" if limited else "5xx"
        found.add(
            Sample(
                at=100.0 + at * STEP,
                traffic={("t", "p", "ok"): good, ("t", "p", "upstream_status"): bad, ("t", "p", "client_left"): good},
                judged={("t", True): good, ("t", False): bad},
                attempts={("p", "2xx"): good, ("p", kind): bad},
                rules={("r", "block"): blocks} if rules else {},
            )
        )
    return found
