"""What a service counts. Labels are bounded: service, method and code names, never an id."""

from __future__ import annotations

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

WORKERS = Counter("service_calls_total", "Calls and events handled", ["service", "method", "code"])
WORKER_SECONDS = Histogram("service_call_duration_seconds", "Time in a handler", ["service", "method"], buckets=FAST)
REJECTED = Counter("service_rejected_messages_total", "Messages that reached no handler", ["service", "reason"])
EVENTS_RETRIED = Counter("service_events_retried_total", "Events put back for later", ["service", "handler"])
EVENTS_PARKED = Counter(
    "service_events_parked_total", "Events given up to the dead-letter queue", ["service", "handler"]
)
REPLIES_LOST = Counter("service_replies_lost_total", "Replies that could not be sent", ["service"])
OUTBOX_SENT = Counter("service_outbox_sent_total", "Events confirmed by the broker", ["service"])
OUTBOX_LAG = Gauge("service_outbox_oldest_seconds", "Age of the oldest event that is not sent", ["service"])
OFFLOAD_JOBS = Gauge("service_offload_jobs", "Pieces of CPU-bound work that run or wait for a thread")
OFFLOAD_REFUSED = Counter("service_offload_refused_total", "Pieces of CPU-bound work that would have waited too long")

__all__ = ["REGISTRY"]
