"""A process with greenlets that gives more work to `lib.offload` than its threads can do; prints what came of it."""

import warnings

warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
import eventlet  # noqa: E402

eventlet.monkey_patch()

from lib import hub  # noqa: E402

hub.use()

import json  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections import Counter  # noqa: E402

from eventlet import patcher  # noqa: E402

from lib import metrics  # noqa: E402
from lib.offload import Overloaded, offload  # noqa: E402

rounds: list[float] = []
let_go_by = hub._sleep


def note_round(seconds: float) -> None:
    rounds.append(seconds)
    let_go_by(seconds)


hub._sleep = note_round
wait_in_the_thread = patcher.original("time").sleep
running, most_running = [], 0


def work(seconds: float) -> str:
    """Keep a thread busy; appending to a list and looking at it needs no lock."""
    global most_running
    running.append(1)
    most_running = max(most_running, len(running))
    wait_in_the_thread(seconds)
    running.pop()
    return "done"


def fail(error: BaseException) -> None:
    raise error


def look_like_an_exception() -> tuple[type, Exception, None]:
    return ValueError, ValueError("x"), None


def outcome(function, *args) -> str:
    try:
        result = offload(function, *args)
    except Overloaded as exc:
        return f"overloaded:{exc.details['retry_after']}"
    except BaseException as exc:
        return type(exc).__name__
    return result if isinstance(result, str) else type(result).__name__


def main(jobs: int, seconds: float) -> None:
    longest_gap, over = 0.0, False

    def tick() -> None:
        nonlocal longest_gap
        while not over:
            before = time.monotonic()
            eventlet.sleep(0.005)
            longest_gap = max(longest_gap, time.monotonic() - before)

    ticking = eventlet.spawn(tick)
    offload.limit(wait=1.0)
    outcome(work, seconds)  # now it is known how long one takes
    started = time.monotonic()
    waits = []

    def job() -> str:
        found = outcome(work, seconds)
        waits.append(time.monotonic() - started)
        return found

    given = [eventlet.spawn(job) for _ in range(jobs)]
    eventlet.sleep(0)
    at_work = metrics.OFFLOAD_JOBS._value.get()
    outcomes = Counter(each.wait() for each in given)
    over = True
    ticking.wait()
    strange = [outcome(fail, error) for error in (ValueError("x"), SystemExit(1), eventlet.Timeout(None))]
    strange.append(outcome(look_like_an_exception))
    found = {
        "strange": strange,
        "outcomes": outcomes,
        "longest": max(waits),
        "most_running": most_running,
        "at_work": at_work,
        "again": outcome(work, 0.01),
        "left": metrics.OFFLOAD_JOBS._value.get(),
        "longest_gap": longest_gap,
        "rounds": len(rounds),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
