"""Open a payment and, given a means of payment, charge it: once, however often it is asked for."""

from __future__ import annotations

from typing import Any

from payments_svc.application.answers import Answer, payment_answer, snapshot
from payments_svc.application.means import check_still_usable, default_means, find_means
from payments_svc.application.operations import actor_of, charge_told_before, check_active, enter, payment_task, perform
from payments_svc.application.ports import Ports, UnitOfWork
from payments_svc.application.settlement import Task, keep
from payments_svc.domain.arguments import BadArgument, parse_user_id
from payments_svc.domain.customer import Customer
from payments_svc.domain.details import Details
from payments_svc.domain.idempotency import Claim, Step
from payments_svc.domain.money import Money
from payments_svc.domain.payment import Payment
from payments_svc.domain.payment_errors import InvalidCaptureMethod, ReferenceTaken
from payments_svc.domain.payment_status import CaptureMethod


def create_payment(
    ports: Ports,
    *,
    user_id: str,
    amount: int,
    currency: str,
    idempotency_key: str,
    payment_method: str | None = None,
    capture_method: str = CaptureMethod.AUTOMATIC,
    confirm: bool | None = None,
    description: str | None = None,
    metadata: dict[str, str] | None = None,
    reference: str | None = None,
    redelivered: bool = False,
) -> Answer:
    """Three steps with nothing held between them (`operations`).

    A disabled customer pays nothing: the claim's transaction locks the customer, so once the account's event is applied
    no claim passes. What was answered before is answered again. What was left half done is looked up and not charged
    any more: if the provider knows nothing of it, it stays ``unknown``, to be asked about.

    :param confirm: charge it now; None if there is a `payment_method`
    """
    customer_id = parse_user_id(user_id)
    body: dict[str, Any] = {
        "amount": amount,
        "currency": currency,
        "payment_method": payment_method,
        "description": description,
        "metadata": metadata,
        "reference": reference,
    }
    # Left out unless they are used, so that keys from before there were these still fit their requests.
    if capture_method != CaptureMethod.AUTOMATIC:
        body["capture_method"] = capture_method
    if confirm is not None:
        body["confirm"] = confirm
    charged = payment_method is not None if confirm is None else bool(confirm)
    asked = Claim.open(
        user_id=customer_id,
        operation="create_payment",
        key=idempotency_key,
        body=body,
        attempt_id=ports.new_id(),
        payment_id=ports.new_id(),
        now=ports.now(),
    )
    now = asked.started_at
    with ports.unit_of_work() as uow:
        claim, step = enter(ports, uow, asked, redelivered=redelivered)
        anew = True
        if claim is asked:
            # The rules are asked only now: what was accepted once is answered again, whatever the rules became.
            money = Money(amount, currency)
            details = Details(description, {} if metadata is None else metadata, reference)
            if not isinstance(confirm, bool | None):
                raise BadArgument("confirm is true or false", "/confirm")
            # Before the means of payment are looked for: none is taken that is being forgotten.
            check_active(uow, customer_id, now)
            provider, token, method_id = None, None, None
            if payment_method is not None:
                provider, token, method_id = find_means(ports, uow, customer_id, payment_method)
            elif charged:
                provider, token, method_id = default_means(ports, uow, customer_id)
            payment = Payment.open(
                id=claim.payment_id,
                customer_id=customer_id,
                money=money,
                details=details,
                now=now,
                capture_method=_capture_method(capture_method),
                payment_method=token,
                payment_method_id=method_id,
                provider=provider,
            )
            _refuse_second_reference(uow, payment)
            uow.payments.add(payment)
        else:
            payment = uow.payments.get(claim.payment_id)
            if step is Step.REPLAY:
                return charge_told_before(ports, claim, payment)
            if step is Step.BEGIN and not payment.can_repeat(claim.attempt_id):
                # Nothing was executed, and since then another request has taken it on: that goes on from here.
                return Answer(snapshot(payment), replayed=True)
            customer = uow.customers.add_or_get(Customer(customer_id, now))
            anew = customer.is_active
            if step is Step.BEGIN:
                customer.check_active()
                check_still_usable(ports, uow, payment)
            claim.resume(now)
            payment.resume(now)
        if charged and step is Step.BEGIN:
            payment.begin_charge(
                claim.attempt_id,
                payment_method=None,
                provider=ports.provider.name,
                now=now,
                check_at=now + ports.rules.patience,
            )
        by = actor_of(payment, customer_id)
        keep(uow, payment, by, now)
        task = payment_task(claim, payment, step, by, anew=anew) if charged else None
        if task is None:
            claim.finish(snapshot(payment), now)
        uow.commit()
    if task is None:
        return payment_answer(snapshot(payment), replayed=False)
    return _charged(ports, task)


def _charged(ports: Ports, task: Task) -> Answer:
    body, replayed = perform(ports, task)
    return payment_answer(body, replayed=replayed)


def _refuse_second_reference(uow: UnitOfWork, payment: Payment) -> None:
    if payment.reference is None:
        return
    holder = uow.payments.find_by_reference(payment.customer_id, payment.reference)
    if holder is not None:
        raise ReferenceTaken("another payment has this reference", payment_id=str(holder))


def _capture_method(value: object) -> CaptureMethod:
    try:
        return CaptureMethod(value)  # type: ignore[arg-type]
    except ValueError as exc:
        raise InvalidCaptureMethod("the capture method is automatic or manual", "/capture_method") from exc
