"""payments_svc on the broker: kept means of payment."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from lib.access import owner
from lib.caller import Caller
from lib.rpc import rpc
from payments_svc.application.forget_payment_method import forget_payment_method
from payments_svc.application.get_payment_method import get_payment_method
from payments_svc.application.keep_payment_method import keep_payment_method
from payments_svc.application.list_payment_methods import list_payment_methods
from payments_svc.application.ports import Ports
from payments_svc.application.set_default_payment_method import set_default_payment_method
from payments_svc.presentation.schemas import Moment


class PaymentMethodSchema(Schema):
    """The token stays here: whoever reads it could pay with it elsewhere."""

    id = fields.String()
    provider = fields.String()
    kind = fields.String()
    brand = fields.String()
    last4 = fields.String()
    exp_month = fields.Integer()
    exp_year = fields.Integer()
    is_default = fields.Boolean()
    created_at = Moment()


class PaymentMethodPageSchema(Schema):
    data = fields.List(fields.Nested(PaymentMethodSchema))
    next_cursor = fields.String()


PAYMENT_METHOD, PAYMENT_METHOD_PAGE = PaymentMethodSchema(), PaymentMethodPageSchema()


class PaymentMethodRpc:
    """Part of `PaymentsService`."""

    ports: Ports
    caller: Caller

    @rpc(allow=owner("user_id"), idempotent=True)
    def keep_payment_method(self, user_id: str, provider: str, token: str) -> dict[str, Any]:
        """Keep a means of payment of a user for later. The first one becomes the default.

        :param user_id: whose, a UUID
        :param provider: whose token it is: ``"sandbox"``
        :param token: the provider's, as ``"tok_visa"`` of the sandbox; never a card number. The same token of a user
            again is the same means of payment
        :returns: ``{"id", "provider", "kind", "brand", "last4", "exp_month", "exp_year", "is_default", "created_at"}``;
            never the token. Brand, the last four digits and the expiry are null where there are none
        :raises Fault: ``invalid/unknown_provider``, ``invalid/unknown_payment_method``,
            ``invalid/unsupported_payment_method``, ``invalid/card_number_refused``, ``invalid/invalid_text``,
            ``invalid/invalid_user_id``; ``conflict/too_many_payment_methods`` from 50 on;
            ``forbidden/account_disabled``
        """
        kept = keep_payment_method(self.ports, user_id=user_id, provider=provider, token=token)
        return dict(PAYMENT_METHOD.dump(kept))

    @rpc(allow=owner("user_id"), idempotent=True)
    def list_payment_methods(self, user_id: str, limit: int = 20, cursor: str | None = None) -> dict[str, Any]:
        """Return the means of payment that a user keeps, newest first.

        :param user_id: whose, a UUID
        :param limit: at most that many, 1 to 100
        :param cursor: the ``next_cursor`` of the page before
        :returns: ``{"data": [method, …], "next_cursor"}``; as in `keep_payment_method`
        :raises Fault: ``malformed/invalid_cursor``, ``invalid/invalid_limit``
        """
        page = list_payment_methods(self.ports, user_id=user_id, limit=limit, cursor=cursor)
        return dict(PAYMENT_METHOD_PAGE.dump(page))

    @rpc(allow=owner("user_id"), idempotent=True)
    def get_payment_method(self, user_id: str, method_id: str) -> dict[str, Any]:
        """Return one means of payment that a user keeps.

        :param user_id: whose, a UUID
        :param method_id: a UUID
        :returns: as in `keep_payment_method`
        :raises Fault: ``not_found/payment_method_not_found``, also for one of somebody else and a forgotten one
        """
        return dict(PAYMENT_METHOD.dump(get_payment_method(self.ports, user_id=user_id, method_id=method_id)))

    @rpc(allow=owner("user_id"), idempotent=True)
    def forget_payment_method(self, user_id: str, method_id: str) -> None:
        """Let go of a means of payment; its token is deleted. Once more changes nothing.

        If it was the default, the newest of the others becomes it. Payments that were made with it stay as they are.

        :param user_id: whose, a UUID
        :param method_id: a UUID
        :returns: nothing
        :raises Fault: ``not_found/payment_method_not_found``, also for one of somebody else
        """
        forget_payment_method(self.ports, user_id=user_id, method_id=method_id)

    @rpc(allow=owner("user_id"), idempotent=True)
    def set_default_payment_method(self, user_id: str, method_id: str) -> dict[str, Any]:
        """Choose the means of payment that is used where none is named.

        :param user_id: whose, a UUID
        :param method_id: a UUID
        :returns: as in `keep_payment_method`
        :raises Fault: ``not_found/payment_method_not_found``, also for one of somebody else and a forgotten one;
            ``forbidden/account_disabled``
        """
        chosen = set_default_payment_method(self.ports, user_id=user_id, method_id=method_id)
        return dict(PAYMENT_METHOD.dump(chosen))
