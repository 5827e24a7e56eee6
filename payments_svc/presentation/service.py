"""payments_svc on the broker: RPC methods and event handlers."""

from __future__ import annotations

from typing import Any

from lib.caller import Caller, RpcJwks
from lib.database import Database
from lib.events import event_handler
from lib.operations import Operations
from lib.provide import Provide
from payments_svc.application.close_customer import close_customer
from payments_svc.application.follow_account import follow_account
from payments_svc.application.open_customer import open_customer
from payments_svc.bootstrap import build_ports

# As modules: Nameko takes every class with entry points that it finds by name in here for a service of its own.
from payments_svc.presentation import (
    administration,
    history,
    jobs,
    ledger,
    payment_methods,
    payments,
    refunds,
    webhooks,
)


class PaymentsService(
    payments.PaymentRpc,
    refunds.RefundRpc,
    payment_methods.PaymentMethodRpc,
    history.HistoryRpc,
    administration.AdministrationRpc,
    ledger.LedgerRpc,
    webhooks.WebhookRpc,
    jobs.Jobs,
):
    """Payments and refunds. All amounts are whole numbers of the currency's minor unit: 1050 is 10.50 EUR."""

    name = "payments_svc"
    ports = Provide(build_ports, database=Database())
    caller = Caller(jwks=RpcJwks("auth_svc", "get_jwks"))
    operations = Operations()

    @event_handler("auth_svc", "user.registered")
    def on_user_registered(self, event: dict[str, Any]) -> None:
        """Make a customer of a new account."""
        open_customer(self.ports, event_id=event["id"], user_id=event["data"]["id"])

    @event_handler("auth_svc", "user.disabled")
    def on_user_disabled(self, event: dict[str, Any]) -> None:
        """Let an account that may not be used pay nothing and refund nothing; the staff still refunds its payments."""
        self._follow(event, disabled=True)

    @event_handler("auth_svc", "user.enabled")
    def on_user_enabled(self, event: dict[str, Any]) -> None:
        """Let an account pay again."""
        self._follow(event, disabled=False)

    def _follow(self, event: dict[str, Any], *, disabled: bool) -> None:
        user_id, sequence = event["data"]["id"], event["sequence"]
        follow_account(self.ports, event_id=event["id"], user_id=user_id, sequence=sequence, disabled=disabled)

    @event_handler("auth_svc", "user.deleted")
    def on_user_deleted(self, event: dict[str, Any]) -> None:
        """Remove the customer of a deleted account; one with payments stays, closed, with them."""
        close_customer(self.ports, event_id=event["id"], user_id=event["data"]["id"])
