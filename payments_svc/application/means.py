"""Which means of payment is meant: a provider's token, or one that the customer keeps.

Whoever forgets one locks the customer first. Lock it before you ask, then what is charged is kept at that moment.
"""

from __future__ import annotations

from uuid import UUID

from payments_svc.application.ports import Ports, UnitOfWork
from payments_svc.domain.arguments import parse_id
from payments_svc.domain.details import UnknownPaymentMethod, UnsupportedPaymentMethod, checked_payment_method
from payments_svc.domain.payment import Payment
from payments_svc.domain.payment_errors import PaymentMethodRequired
from payments_svc.domain.payment_method import Means


def find_means(ports: Ports, uow: UnitOfWork, customer_id: UUID, payment_method: object) -> Means:
    """Return what a request names.

    :param payment_method: a token of the provider that takes new payments, or the id of one that is kept
    """
    kept_id = parse_id(payment_method)
    if kept_id is None:
        token = checked_payment_method(payment_method)
        ports.provider.check_payment_method(token)
        return Means(ports.provider.name, token)
    kept = uow.payment_methods.means_of(customer_id, kept_id)
    if kept is None:
        raise UnknownPaymentMethod("there is no such payment method", "/payment_method")
    _check_provider(ports, kept.provider)
    return kept


def default_means(ports: Ports, uow: UnitOfWork, customer_id: UUID) -> Means:
    """Return the customer's default."""
    kept = uow.payment_methods.default_of(customer_id)
    if kept is None:
        raise PaymentMethodRequired("a payment method is needed: there is no default", "/payment_method")
    _check_provider(ports, kept.provider)
    return kept


def check_still_usable(ports: Ports, uow: UnitOfWork, payment: Payment) -> None:
    """Refuse to begin another charge with the payment's own means if that was a kept one, and is forgotten since, or if
    its provider is not there any more."""
    method_id = payment.payment_method_id
    if method_id is not None and uow.payment_methods.means_of(payment.customer_id, method_id) is None:
        raise PaymentMethodRequired("the payment method is not kept any more: name another one", "/payment_method")
    _check_provider(ports, payment.provider or ports.provider.name)


def _check_provider(ports: Ports, provider: str) -> None:
    """Before anything is noted: nobody could be asked what became of it."""
    if provider not in ports.providers:
        raise UnsupportedPaymentMethod("the provider of this payment method is not configured", "/payment_method")
