"""Nameko's service container, with the context of each call around its worker.

Switched on for every way to start a service, ``nameko run`` too, by ``SERVICE_CONTAINER_CLS`` in ``config.yaml``.
"""

from __future__ import annotations

import logging
import random
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import eventlet
from eventlet import getcurrent
from eventlet.event import Event
from nameko.containers import ServiceContainer, WorkerContext, get_service_name
from nameko.exceptions import ContainerBeingKilled
from sqlalchemy.exc import DBAPIError

from lib import context, logs, metrics
from lib.context import CallContext
from lib.database import RETRIED, sqlstate
from lib.errors import DomainError
from lib.faults import Fault
from lib.offload import offload
from lib.refusals import refusal_of

log = logging.getLogger(__name__)

LONGEST_HEADER = 512
#: of a service's workers, how many may wait for work off the hub: the others are for calls that need none
OFFLOADING = 0.75


class Container(ServiceContainer):
    """Runs each worker inside a `CallContext` and writes one line about it.

    ``WORKERS`` in the configuration gives a service another number of workers than ``max_workers``.
    """

    def __init__(self, service_cls: type, config: dict[str, Any]) -> None:
        workers = config.get("WORKERS", {}).get(get_service_name(service_cls), config.get("max_workers"))
        super().__init__(service_cls, {**config, "max_workers": workers})
        self._message_threads: set[Any] = set()
        self._counters: dict[tuple[str, str], Any] = {}

    def start(self) -> None:
        """As the stock method; but what goes wrong comes out here alone.

        The hub prints the traceback of whatever a greenlet raises, and an operator's mistake is worth one line.
        """
        self.started = True
        offload.limit(wait=self.config.get("OFFLOAD_WAIT"), jobs=max(1, int(self.max_workers * OFFLOADING)))
        self._in_all_extensions("setup")
        self._in_all_extensions("start")

    def _in_all_extensions(self, method: str) -> None:
        done, extensions = Event(), list(self.extensions)
        left = len(extensions)

        def run(extension: Any) -> None:
            nonlocal left
            try:
                getattr(extension, method)()
            except Exception as exc:
                if not done.ready():
                    done.send_exception(exc)
                return
            left -= 1
            if left == 0 and not done.ready():
                done.send()

        for extension in extensions:
            eventlet.spawn(run, extension)
        if extensions:
            done.wait()

    def spawn_worker(
        self,
        entrypoint: Any,
        args: Any,
        kwargs: Any,
        context_data: dict[str, Any] | None = None,
        handle_result: Callable[..., Any] | None = None,
        call: CallContext | None = None,
        repeatable: bool = False,
    ) -> WorkerContext:
        """As the stock method.

        :param call: what the worker runs in; an entrypoint that knows none (a timer) gets a fresh system context
        :param repeatable: the method may run a second time, so one that loses a race in the database is run once more
        """
        if self._being_killed:
            raise ContainerBeingKilled()
        worker_ctx = WorkerContext(self, self.service_cls(), entrypoint, args, kwargs, data=context_data)
        worker_ctx.call = call
        worker_ctx.repeatable = repeatable
        if getcurrent() in self._message_threads:
            # This greenlet has a place in the pool already, taken for just this message.
            self._run_worker(worker_ctx, handle_result)
            return worker_ctx
        thread = self._worker_pool.spawn(self._run_worker, worker_ctx, handle_result)
        thread.link(self._handle_worker_thread_exited, worker_ctx)
        self._worker_threads[worker_ctx] = thread
        return worker_ctx

    def spawn_message(self, provider: Any, body: Any, message: Any) -> None:
        """Hand a message to its provider, in the greenlet that will be its worker, too.

        Stock Nameko takes two greenlets for each message. If all workers are busy this does, too: the consumer must
        not wait for a place. The message is looked at, its deadline first, when it has one.
        """
        if self._worker_pool.free() > 0:
            self._give_place(provider, body, message)
        else:
            self.spawn_managed_thread(partial(self._give_place, provider, body, message), identifier="message")

    def _give_place(self, provider: Any, body: Any, message: Any) -> None:
        thread = self._worker_pool.spawn(self._handle_message, provider, body, message)
        self._message_threads.add(thread)
        self._managed_threads[thread] = "message"
        thread.link(self._handle_managed_thread_exited, "message")

    def _handle_message(self, provider: Any, body: Any, message: Any) -> None:
        try:
            provider.handle_message(body, message)
        finally:
            self._message_threads.discard(getcurrent())

    def _run_worker(self, worker_ctx: Any, handle_result: Callable[..., Any] | None) -> None:
        call = getattr(worker_ctx, "call", None) or CallContext(correlation_id=context.new_correlation_id())
        context.enter(call)
        started = time.perf_counter()
        method_name = worker_ctx.entrypoint.method_name
        method = getattr(worker_ctx.service, method_name)
        result = exc_info = None
        try:
            self._inject_dependencies(worker_ctx)
            self._worker_setup(worker_ctx)
            try:
                result = method(*worker_ctx.args, **worker_ctx.kwargs)
            except DBAPIError as exc:
                if sqlstate(exc) not in RETRIED or not worker_ctx.repeatable:
                    raise
                # The loser of a deadlock or a serialization race: its transaction has left nothing behind, and what
                # the method did before may be done again, as it says of itself.
                log.info("%s lost a race for rows; once more", method_name)
                # The winner is to have the rows first, or both meet again.
                eventlet.sleep(random.uniform(0.02, 0.1))  # noqa: S311  (not for secrets)
                result = method(*worker_ctx.args, **worker_ctx.kwargs)
        except Exception:
            exc_info = sys.exc_info()
        seconds = time.perf_counter() - started
        if handle_result is not None:
            result, exc_info = handle_result(worker_ctx, result, exc_info)
        self._tell(worker_ctx, exc_info, seconds)
        try:
            self._worker_result(worker_ctx, result, exc_info)
            self._worker_teardown(worker_ctx)
        except Exception:
            # The message is settled and its caller answered: nobody may hear of it twice.
            log.exception("a dependency failed after %s", method_name)
        finally:
            del exc_info  # Breaks the cycle with this frame.

    def _tell(self, worker_ctx: Any, exc_info: Any, seconds: float) -> None:
        error = exc_info[1] if exc_info else None
        known = isinstance(error, DomainError | Fault)
        code = "ok" if error is None else error.code if known else type(error).__name__
        method = worker_ctx.entrypoint.method_name
        kind = type(worker_ctx.entrypoint).__name__
        counters = self._counters.get((method, code))
        if counters is None:
            counters = self._counters[method, code] = (
                metrics.WORKERS.labels(self.service_name, method, code),
                metrics.WORKER_SECONDS.labels(self.service_name, method),
            )
        counters[0].inc()
        counters[1].observe(seconds)
        quiet = getattr(worker_ctx.entrypoint, "quiet", False)
        if error is None and not quiet:
            # Nothing here is a stranger's.
            logs.tell(log, f"{kind} {method}: {code} in {seconds * 1000:.1f} ms")
        elif error is None or (known and not quiet):
            log.log(
                logging.DEBUG if quiet else logging.INFO, "%s %s: %s in %.1f ms", kind, method, code, seconds * 1000
            )
        elif quiet and (refusal := refusal_of(error)) is not None:
            # It comes again soon: an outage must not fill the log.
            log.warning("%s %s failed after %.1f ms: %s", kind, method, seconds * 1000, refusal)
        else:
            log.error("%s %s failed after %.1f ms", kind, method, seconds * 1000, exc_info=exc_info)


def call_context(
    headers: Mapping[str, Any],
    *,
    actor: context.Actor = context.SYSTEM,
    access_token: str | None = None,
    redelivered: bool = False,
    background: bool = False,
) -> CallContext:
    """Return the context that a message's headers (without Nameko's prefix) describe.

    :param redelivered: as of `lib.context.CallContext`
    :param background: as there
    """
    deadline = headers.get(context.DEADLINE)
    remaining = deadline / 1000 - time.time() if isinstance(deadline, int | float) else None
    return CallContext(
        correlation_id=_text(headers.get(context.CORRELATION_ID)) or context.new_correlation_id(),
        actor=actor,
        deadline=None if remaining is None else time.monotonic() + remaining,
        access_token=access_token,
        traceparent=_text(headers.get(context.TRACEPARENT)),
        locale=_text(headers.get(context.LOCALE)),
        client_ip=_text(headers.get(context.CLIENT_IP)),
        user_agent=_text(headers.get(context.USER_AGENT)),
        redelivered=redelivered,
        background=background,
    )


def _text(value: Any) -> str | None:
    """Return a header that goes on into logs, events and further calls; None for what only somebody strange sends."""
    return value if isinstance(value, str) and len(value) <= LONGEST_HEADER else None
