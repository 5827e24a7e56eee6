"""Open a payment and, given a means of payment, charge it: once, however often it is asked for."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from payments_svc.application.answers import Answer, payment_answer, snapshot
from payments_svc.application.ports import Ports, UnitOfWork
from payments_svc.domain.arguments import parse_user_id
from payments_svc.domain.customer import Customer
from payments_svc.domain.details import Details, checked_payment_method
from payments_svc.domain.idempotency import Claim, IdempotencyInProgress, Step
from payments_svc.domain.money import Money
from payments_svc.domain.outcome import MayHaveHappened, NotExecuted, Outcome, refusal_of
from payments_svc.domain.payment import Payment, PaymentStatus, ReferenceTaken


def create_payment(
    ports: Ports,
    *,
    user_id: str,
    amount: int,
    currency: str,
    idempotency_key: str,
    payment_method: str | None = None,
    description: str | None = None,
    metadata: dict[str, str] | None = None,
    reference: str | None = None,
    redelivered: bool = False,
) -> Answer:
    """Three steps with nothing held between them: claim (committed), ask the provider, result (committed).

    A process that dies in between leaves a claim that the next request with the key completes.

    A disabled customer pays nothing: the claim's transaction locks the customer, so once the account's event is applied
    no claim passes. What was answered before is answered again. What was left half done is looked up and not charged
    any more: if the provider knows nothing of it, it stays ``unknown``, to be asked about.
    """
    customer_id = parse_user_id(user_id)
    body = {
        "amount": amount,
        "currency": currency,
        "payment_method": payment_method,
        "description": description,
        "metadata": metadata,
        "reference": reference,
    }
    now = ports.now()
    asked = Claim.open(
        user_id=customer_id,
        operation="create_payment",
        key=idempotency_key,
        body=body,
        attempt_id=ports.new_id(),
        payment_id=ports.new_id(),
        now=now,
    )
    with ports.unit_of_work() as uow:
        claim = uow.claims.take(asked)
        if claim is asked:
            # The rules are asked only now: what was accepted once is answered again, whatever the rules became.
            money = Money(amount, currency)
            details = Details(description, {} if metadata is None else metadata, reference)
            if payment_method is not None:
                ports.provider.check_payment_method(checked_payment_method(payment_method))
            step = Step.BEGIN
            customer = uow.customers.add_or_get(Customer(customer_id, now))
            customer.check_active()
            payment = _open(uow, claim, money, details)
        else:
            step = claim.admit(asked, now=now, patience=ports.rules.patience, redelivered=redelivered)
            payment = uow.payments.get(claim.payment_id)
            if step is Step.REPLAY:
                kept = claim.kept_answer(now, ports.rules.answer_ttl)
                return payment_answer(kept or snapshot(payment), replayed=True)
            customer = uow.customers.add_or_get(Customer(customer_id, now))
            if step is Step.BEGIN:
                customer.check_active()
            claim.resume(now)
        if payment_method is None:
            claim.finish(snapshot(payment), now)
        elif step is Step.BEGIN:
            payment.start_attempt(
                claim.attempt_id,
                payment_method=payment_method,
                provider=ports.provider.name,
                now=now,
                check_at=now + ports.rules.patience,
            )
        uow.commit()
    if payment_method is None:
        return payment_answer(snapshot(payment), replayed=False)
    outcome = _charge(ports, claim.attempt_id, payment, payment_method, step, anew=customer.is_active)
    return _settle(ports, claim.attempt_id, claim.run, outcome)


def _open(uow: UnitOfWork, claim: Claim, money: Money, details: Details) -> Payment:
    now = claim.started_at
    if details.reference is not None:
        holder = uow.payments.find_by_reference(claim.user_id, details.reference)
        if holder is not None:
            raise ReferenceTaken("another payment has this reference", payment_id=str(holder))
    payment = Payment.open(id=claim.payment_id, customer_id=claim.user_id, money=money, details=details, now=now)
    uow.payments.add(payment)
    return payment


def _charge(
    ports: Ports, attempt_id: UUID, payment: Payment, payment_method: str, step: Step, *, anew: bool
) -> Outcome:
    """Charge it, or ask what became of it.

    :param anew: charge what the provider knows nothing of. If not, it stays open: whoever began may still be at it
    """
    outcome = ports.provider.lookup(attempt_id) if step is Step.COMPLETE else None
    if outcome is None and not anew:
        return MayHaveHappened()
    return outcome or ports.provider.charge(attempt_id, payment.amount, payment.currency, payment_method)


def _settle(ports: Ports, attempt_id: UUID, run: int, outcome: Outcome) -> Answer:
    now = ports.now()
    with ports.unit_of_work() as uow:
        claim = uow.claims.get(attempt_id)
        payment = uow.payments.get(claim.payment_id)
        if not claim.is_held_by(run):
            # This took so long that somebody else was let in, who has written the result or is going to.
            return _result_of_another(claim, payment)
        if payment.awaits(attempt_id):
            payment.settle(outcome, now=now, check_at=now + ports.rules.check_schedule[0])
        if isinstance(outcome, NotExecuted):
            claim.release()
        else:
            claim.finish(_final(payment), now)
        uow.commit()
    if isinstance(outcome, NotExecuted):
        raise refusal_of(outcome)
    return payment_answer(snapshot(payment), replayed=False)


def _result_of_another(claim: Claim, payment: Payment) -> Answer:
    if claim.finished_at is None:
        raise IdempotencyInProgress
    return payment_answer(claim.answer or snapshot(payment), replayed=True)


def _final(payment: Payment) -> dict[str, Any] | None:
    """Return the answer to keep; an unknown outcome is not kept, as it will be known one day."""
    return None if payment.status is PaymentStatus.UNKNOWN else snapshot(payment)
