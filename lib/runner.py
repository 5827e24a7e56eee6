"""Start one service: ``python -m lib.runner users_svc``.

What ``nameko run`` leaves open is closed here: a bad module or configuration ends the process with one line and a
non-zero code; SIGTERM drains and ends with 0, at the latest after ``DRAIN_TIMEOUT``; a second SIGTERM is ignored.
"""

# Eventlet has to replace the blocking parts of the standard library before anything imports them.
import warnings

warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
import eventlet  # noqa: E402

eventlet.monkey_patch()

from lib import hub  # noqa: E402

# Before there is anything that waits: on the hub of before it would do so for ever.
hub.use()

import contextlib  # noqa: E402
import gc  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from typing import Any  # noqa: E402

from amqp.exceptions import AMQPError  # noqa: E402
from nameko.containers import get_service_name  # noqa: E402
from nameko.exceptions import CommandError, ConfigurationError  # noqa: E402
from nameko.runners import ServiceRunner  # noqa: E402

from lib import config as configuration  # noqa: E402
from lib import logs, topology  # noqa: E402
from lib.services import rules_of, service_class  # noqa: E402

log = logging.getLogger("lib.runner")

EXIT_CONFIG = 78  # EX_CONFIG of sysexits.h


def serve(name: str, config: dict[str, Any]) -> int:
    """Run the service until SIGTERM or SIGINT, and return the exit code."""
    cls = service_class(name)
    for number in (signal.SIGTERM, signal.SIGINT):
        # Nothing is running yet that would have to be finished.
        signal.signal(number, lambda *_: os._exit(0))
    # Looked at first, because Nameko's threads would add their tracebacks to what is wrong with a queue.
    with contextlib.suppress(OSError, AMQPError):
        topology.declare_service(cls, config)
    try:
        runner = ServiceRunner(config)
    except ImportError as exc:
        raise ConfigurationError(f"SERVICE_CONTAINER_CLS: {exc}") from exc
    runner.add_service(cls)
    state = {"stopping": False}

    def drain() -> None:
        log.info("draining: finishing what is running")
        runner.stop()

    def too_long() -> None:
        log.error("draining took longer than DRAIN_TIMEOUT; ending now, the broker hands out again what is left")
        logging.shutdown()
        # A stop that was asked for is no failure; the line above is for whoever wants to know.
        os._exit(0)

    def on_signal(_number: int, _frame: Any) -> None:
        # Handlers run in the main loop, where nothing may wait; and once is enough.
        if not state["stopping"]:
            state["stopping"] = True
            eventlet.spawn_n(drain)
            eventlet.spawn_after(float(config["DRAIN_TIMEOUT"]), too_long)

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    # What is there now stays: the garbage collector need not go through all of it again while calls wait.
    gc.collect()
    gc.freeze()
    for container in runner.containers:
        # Not by the runner, in a greenlet: what goes wrong comes out here, without the hub's tracebacks before it.
        container.start()
    log.info("%s is ready", name)
    waiter = eventlet.spawn(runner.wait)
    while True:
        try:
            waiter.wait()
        except InterruptedError:
            # A signal that arrives while the hub waits for a socket comes out here.
            continue
        except ConfigurationError as exc:
            return fail(str(exc))
        except Exception:
            log.exception("%s died", name)
            return 1
        return 0


def fail(reason: str) -> int:
    """Print the one line that says why there is no start."""
    print(f"error: {reason}", file=sys.stderr, flush=True)
    return EXIT_CONFIG


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        return fail("usage: python -m lib.runner <service>")
    sys.path.insert(0, os.getcwd())
    try:
        config = configuration.load(os.environ.get("CONFIG_PATH", configuration.DEFAULT_PATH))
        configuration.check(config, rules_of(arguments[0]))
        logs.configure(
            service=get_service_name(service_class(arguments[0])), level=config["LOG_LEVEL"], fmt=config["LOG_FORMAT"]
        )
        return serve(arguments[0], config)
    except (configuration.ConfigError, ConfigurationError, CommandError, ModuleNotFoundError) as exc:
        return fail(" ".join(str(exc).split()))


if __name__ == "__main__":
    code = main(sys.argv[1:])
    logging.shutdown()
    os._exit(code)
