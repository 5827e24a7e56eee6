"""Charge a payment that waits for it, or go on with a charge whose customer had to act: once for each key."""

from __future__ import annotations

from payments_svc.application.answers import Answer, payment_answer, snapshot
from payments_svc.application.check_payment import make_sure, once_sure
from payments_svc.application.means import check_still_usable, default_means, find_means
from payments_svc.application.operations import (
    actor_of,
    charge_told_before,
    enter,
    get_for,
    parse_payment_id,
    payment_task,
    perform,
)
from payments_svc.application.ports import Ports, UnitOfWork
from payments_svc.application.settlement import Task, keep
from payments_svc.domain.arguments import parse_user_id
from payments_svc.domain.customer import Customer
from payments_svc.domain.idempotency import Claim, Step
from payments_svc.domain.payment import Payment
from payments_svc.domain.payment_errors import InvalidAuthentication, PaymentNotConfirmable
from payments_svc.domain.payment_status import PaymentStatus

AUTHENTICATION_RESULTS = ("succeed", "fail")


def confirm_payment(
    ports: Ports,
    *,
    user_id: str,
    payment_id: str,
    idempotency_key: str,
    payment_method: str | None = None,
    authentication: str | None = None,
    redelivered: bool = False,
) -> Answer:
    """Three steps as in `create_payment`; disabled customers as there. Before another attempt is made, the provider is
    asked about one that is believed not to have been executed.

    :param payment_method: None for the payment's own unless that was declined, and else for the customer's default.
        One that its customer has had forgotten since is not charged, nor is the default in its place
    :param authentication: what the customer did, where the client tells and not the provider
    """
    customer_id, target = parse_user_id(user_id), parse_payment_id(payment_id)

    def begin(sure_of: int | None) -> Task | Answer:
        asked = Claim.open(
            user_id=customer_id,
            # With the payment, as the key belongs to the route, and that names the payment.
            operation=f"confirm_payment:{target}",
            key=idempotency_key,
            body={"payment_method": payment_method, "authentication": authentication},
            attempt_id=ports.new_id(),
            payment_id=target,
            now=ports.now(),
        )
        now = asked.started_at
        with ports.unit_of_work() as uow:
            claim, step = enter(ports, uow, asked, redelivered=redelivered)
            payment = get_for(uow, target, customer_id)
            if step is Step.REPLAY:
                return charge_told_before(ports, claim, payment, is_of_last=authentication is not None)
            if step is Step.BEGIN and claim is not asked:
                if payment.attempt_id == claim.attempt_id and not payment.can_repeat(claim.attempt_id):
                    # It was believed not to have been executed; the provider knew better, and this became of it.
                    return charge_told_before(ports, claim, payment)
                if _was_overtaken(claim, payment, payment_method):
                    return Answer(snapshot(payment), replayed=True)
            customer = uow.customers.add_or_get(Customer(customer_id, now))
            if step is Step.BEGIN:
                customer.check_active()
                _begin(ports, uow, claim, payment, payment_method, authentication, sure_of)
            if claim is not asked:
                claim.resume(now)
                payment.resume(now)
            by = actor_of(payment, customer_id)
            keep(uow, payment, by, now)
            task = payment_task(claim, payment, step, by, anew=customer.is_active)
            uow.commit()
            return task

    task = once_sure(ports, target, begin)
    if isinstance(task, Answer):
        return task
    body, replayed = perform(ports, task)
    return payment_answer(body, replayed=replayed)


def _was_overtaken(claim: Claim, payment: Payment, payment_method: str | None) -> bool:
    """Tell whether another request has charged the payment since this one was not executed.

    It named no means of payment, so those that the payment has now are not the ones that it meant.
    """
    return payment_method is None and payment.is_chargeable and not payment.can_repeat(claim.attempt_id)


def _begin(
    ports: Ports,
    uow: UnitOfWork,
    claim: Claim,
    payment: Payment,
    payment_method: str | None,
    authentication: str | None,
    sure_of: int | None,
) -> None:
    now = ports.now()
    overdue = now + ports.rules.patience
    if authentication is not None and authentication not in AUTHENTICATION_RESULTS:
        raise InvalidAuthentication("the authentication is succeed or fail", "/authentication")
    if authentication is not None or payment.status is PaymentStatus.REQUIRES_ACTION:
        if payment_method is not None:
            raise PaymentNotConfirmable("the customer has to act first; cancel it to use another payment method")
        payment.begin_authentication(claim.attempt_id, result=authentication, now=now, check_at=overdue)
        return
    provider, token, method_id = ports.provider.name, None, None
    if payment_method is not None:
        provider, token, method_id = find_means(ports, uow, payment.customer_id, payment_method)
    elif payment.needs_means:
        provider, token, method_id = default_means(ports, uow, payment.customer_id)
    elif payment.is_chargeable:
        check_still_usable(ports, uow, payment)
    if not payment.can_repeat(claim.attempt_id):
        make_sure(payment, sure_of)
    payment.begin_charge(
        claim.attempt_id,
        payment_method=token,
        payment_method_id=method_id,
        provider=provider,
        now=now,
        check_at=overdue,
    )
