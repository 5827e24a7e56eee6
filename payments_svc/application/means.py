"""Which means of payment is meant: a provider's token, or one that the customer keeps."""

from __future__ import annotations

from uuid import UUID

from payments_svc.application.ports import Ports, UnitOfWork
from payments_svc.domain.arguments import parse_id
from payments_svc.domain.details import UnknownPaymentMethod, checked_payment_method
from payments_svc.domain.payment_errors import PaymentMethodRequired


def find_means(ports: Ports, uow: UnitOfWork, customer_id: UUID, payment_method: object) -> tuple[str, str]:
    """Return the provider and the token.

    :param payment_method: a token of the provider that takes new payments, or the id of one that is kept
    """
    kept_id = parse_id(payment_method)
    if kept_id is None:
        token = checked_payment_method(payment_method)
        ports.provider.check_payment_method(token)
        return ports.provider.name, token
    kept = uow.payment_methods.token_of(customer_id, kept_id)
    if kept is None:
        raise UnknownPaymentMethod("there is no such payment method", "/payment_method")
    return kept


def default_means(uow: UnitOfWork, customer_id: UUID) -> tuple[str, str]:
    """Return the provider and the token of the customer's default."""
    kept = uow.payment_methods.default_of(customer_id)
    if kept is None:
        raise PaymentMethodRequired("a payment method is needed: there is no default", "/payment_method")
    return kept
