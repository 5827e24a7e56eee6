"""What becomes of mails, counted for Prometheus. Labels are bounded: types and reasons, never an id."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from lib import metrics

MAILS = Counter(
    "users_notification_mails_total",
    "Mails about notifications by what became of them: sent; failed, of which some are tried again; dropped",
    ["kind", "outcome", "reason"],
    registry=metrics.REGISTRY,
)
WAITING = Gauge(
    "users_notification_mails_waiting",
    "Mails about notifications that wait for their time, a server or their turn; the same number at each instance",
    registry=metrics.REGISTRY,
)


class PrometheusMailTally:
    def sent(self, kind: str) -> None:
        MAILS.labels(kind, "sent", "").inc()

    def failed(self, kind: str, reason: str) -> None:
        MAILS.labels(kind, "failed", reason).inc()

    def dropped(self, kind: str, reason: str) -> None:
        MAILS.labels(kind, "dropped", reason).inc()

    def waiting(self, number: int) -> None:
        WAITING.set(number)
