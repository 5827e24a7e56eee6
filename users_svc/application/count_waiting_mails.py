"""How many mails about notifications wait, for whoever looks after the system."""

from __future__ import annotations

from users_svc.application.ports import Ports


def count_waiting_mails(ports: Ports) -> None:
    ports.mail_tally.waiting(ports.notifications.waiting_mails())
