"""What has to be so once nothing is under way any more, whatever happened before."""

from collections import Counter

import sqlalchemy as sa

OPEN = ("processing", "unknown", "requires_action", "requires_capture")


def ask(sessions, query):
    with sessions() as session:
        return [tuple(row) for row in session.execute(sa.text(query))]


STILL_OPEN = f"""
    select 'payment', id::text, status from payments where operation is not null or status in {OPEN}
    union all select 'refund', id::text, status from refunds where status in ('pending', 'unknown')
    union all select 'claim', attempt_id::text, status from idempotency_claims where status = 'running'
"""


def in_balance(sessions):
    assert ask(sessions, "select currency, sum(amount) from ledger_entries group by 1 having sum(amount) <> 0") == []
    unbalanced = "select transaction_id from ledger_entries group by 1, currency having sum(amount) <> 0"
    assert ask(sessions, unbalanced) == []
    # Nothing is on its way any more.
    assert ask(sessions, "select sum(amount) from ledger_entries where account = 'refunds_payable'") in (
        [(None,)],
        [(0,)],
    )


def as_the_provider_has_it(sessions):
    ours = ask(
        sessions,
        "select p.id::text, p.amount_captured, p.amount_refunded, p.amount_refunding,"
        " coalesce((select sum(e.amount) from ledger_entries e"
        "  where e.payment_id = p.id and e.account like 'provider:%'), 0),"
        " coalesce((select sum(amount) from refunds r where r.payment_id = p.id and r.status = 'succeeded'), 0)"
        " from payments p",
    )
    theirs = {
        payment_id: (charged, captured, given_back)
        for payment_id, charged, captured, given_back in ask(
            sessions,
            "select c.payment_id::text, count(*) filter (where c.status = 'succeeded'), sum(c.amount_captured),"
            " coalesce(sum((select sum(r.amount) from sandbox_refunds r"
            "  where r.charge_attempt_id = c.attempt_id and r.status = 'succeeded')), 0)"
            " from sandbox_charges c group by 1",
        )
    }
    assert theirs.keys() <= {payment_id for payment_id, *_ in ours}, "charged for nothing of ours"
    for payment_id, captured, refunded, refunding, booked, refunds in ours:
        charges, their_captured, given_back = theirs.get(payment_id, (0, 0, 0))
        assert charges <= 1, "charged twice"
        assert (captured, refunded) == (their_captured, given_back)
        assert (booked, refunding, refunds) == (captured - refunded, 0, refunded)
        assert 0 <= refunded <= captured
    # What was set aside is taken or let go of.
    assert ask(sessions, "select 1 from sandbox_charges where status in ('authorized', 'processing')") == []


def one_effect_for_each_key(sessions):
    # What the provider has charged, somebody has asked for with a key: the id of the attempt is the claim's own.
    unasked = "select 1 from sandbox_charges where attempt_id not in (select attempt_id from idempotency_claims)"
    assert ask(sessions, unasked) == []
    created = ask(sessions, "select count(*), count(distinct payment_id) from idempotency_claims"
                            " where operation = 'create_payment'")  # fmt: skip
    assert created == [(ask(sessions, "select count(*) from payments")[0][0],) * 2]
    # A refund that was not executed has another in its place, under the same attempt.
    several = "select attempt_id from refunds where status <> 'canceled' group by 1 having count(*) > 1"
    assert ask(sessions, several) == []
    assert ask(sessions, "select 1 from sandbox_refunds where attempt_id not in (select attempt_id from refunds)") == []


def told_once(sessions):
    """As many events as there are things to tell, each once."""
    events = Counter(dict(ask(sessions, "select type, count(*) from outbox group by 1")))
    expected = {
        "payment.created": "select count(*) from payments",
        "payment.succeeded": "select count(*) from payments where status = 'succeeded'",
        "payment.canceled": "select count(*) from payments where status = 'canceled'",
        "payment.refunded": "select count(*) from ledger_entries"
        " where kind = 'refund_settlement' and account = 'refunds_payable'",
        "payment.refund_failed": "select count(*) from refunds where status = 'failed'",
    }
    for type, query in expected.items():
        assert [(events[type],)] == ask(sessions, query), type


IN_ORDER = (in_balance, as_the_provider_has_it, one_effect_for_each_key, told_once)
