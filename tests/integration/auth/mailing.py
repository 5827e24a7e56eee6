"""Mails by hand: sent as the worker sends them, and told as they came out."""

from auth_svc.application.send_mail import send_mail
from lib.ids import new_id


def send(ports, account_id, kind, *, event_id=None):
    send_mail(ports, event_id=event_id or str(new_id()), account_id=account_id, kind=kind)


def kinds(ports):
    return [(mail.kind, mail.to) for mail in ports.mailer.sent]
