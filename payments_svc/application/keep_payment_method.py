"""Keep a means of payment for later."""

from __future__ import annotations

from payments_svc.application.ports import Ports
from payments_svc.domain.arguments import parse_user_id
from payments_svc.domain.customer import Customer
from payments_svc.domain.details import UnknownPaymentMethod
from payments_svc.domain.payment_method import PaymentMethod, UnknownProvider, checked_token


def keep_payment_method(ports: Ports, *, user_id: str, provider: str, token: str) -> PaymentMethod:
    """The same token again is the same means of payment, so this may be repeated. The first one is the default."""
    customer_id = parse_user_id(user_id)
    if not isinstance(provider, str) or provider not in ports.providers:
        raise UnknownProvider("there is no such provider", "/provider")
    try:
        described = ports.providers[provider].describe(checked_token(token))
    except UnknownPaymentMethod as exc:
        raise UnknownPaymentMethod(exc.message, "/token") from exc
    now = ports.now()
    asked = PaymentMethod(
        id=ports.new_id(),
        customer_id=customer_id,
        provider=provider,
        token=token,
        kind=described.kind,
        brand=described.brand,
        last4=described.last4,
        exp_month=described.exp_month,
        exp_year=described.exp_year,
        created_at=now,
    )
    with ports.unit_of_work() as uow:
        uow.customers.add_or_get(Customer(customer_id, now)).check_active()
        method = uow.payment_methods.kept_by(customer_id).keep(asked)
        if method is asked:
            uow.payment_methods.add(method)
        uow.commit()
    return method
