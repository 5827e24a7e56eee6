"""What the machine's cores can hash with nothing else to do: the most logins that any program could answer."""

from __future__ import annotations

import json
import os
import statistics
import sys
import threading
import time

from auth_svc.infrastructure.argon2 import Argon2Hasher


def main(seconds: float) -> None:
    hasher = Argon2Hasher(lambda function, *arguments: function(*arguments))
    hashed = hasher.hash("SecurePass123!")
    times: list[float] = []
    end = time.monotonic() + seconds

    def work() -> None:
        while time.monotonic() < end:
            started = time.perf_counter()
            hasher.verify(hashed, "SecurePass123!")
            times.append((time.perf_counter() - started) * 1000)

    # argon2 releases the interpreter's lock, so threads are as good as processes here.
    threads = [threading.Thread(target=work) for _ in range(os.cpu_count() or 1)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - started
    quantiles = statistics.quantiles(times, n=100)
    figures = {"requests": len(times), "rate": len(times) / took, "p50": quantiles[49], "p99": quantiles[98]}
    print(json.dumps({**figures, "client": time.process_time()}))


if __name__ == "__main__":
    main(float(sys.argv[1]))
