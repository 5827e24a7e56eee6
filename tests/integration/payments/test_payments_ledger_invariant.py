"""Whatever is posted and taken back, in whatever order, by whomever: at every moment that anybody looks, it adds up."""

from __future__ import annotations

from collections import Counter

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from lib.ids import new_id, utc_now
from lib.writes import Write, write
from payments_svc.domain.ledger import SALES, Entry, PostingKind
from payments_svc.infrastructure.sql_ledger import SqlLedger
from tests.integration.payments.ledger_books import BANK, capture, post, unchecked

CURRENCIES = ("EUR", "JPY", "KWD")
ACCOUNTS = (BANK, SALES, "refunds_payable", "provider:stripe")
WRITERS = 3

amounts = st.integers(1, 10**12)
balanced = st.tuples(
    st.sampled_from(CURRENCIES), st.lists(amounts, min_size=1, max_size=3), st.sampled_from(list(PostingKind))
)
lopsided = st.tuples(
    st.sampled_from(CURRENCIES),
    st.lists(st.integers(-(10**6), 10**6).filter(bool), min_size=1, max_size=4).filter(lambda each: sum(each) != 0),
)
writers = st.integers(0, WRITERS - 1)
steps = st.one_of(
    st.tuples(st.just("post"), writers, balanced),
    st.tuples(st.just("post wrongly"), writers, lopsided),
    st.tuples(st.just("post at once"), st.none(), balanced),
    st.tuples(st.just("commit"), writers, st.none()),
    st.tuples(st.just("roll back"), writers, st.none()),
    st.tuples(st.just("crash"), writers, st.none()),
)


def entries_of(amounts):
    """Debit an account for each amount, and credit the last account with all of it."""
    debits = [Entry(account, amount) for account, amount in zip(ACCOUNTS, amounts, strict=False)]
    return *debits, Entry(ACCOUNTS[-1], -sum(amounts))


def plainly(name, amounts):
    return unchecked(capture(currency=name), *map(Entry, ACCOUNTS, amounts))


class Writer:
    """A connection with a transaction that stays open between the steps; what it has posted is in PostgreSQL.

    A unit of work that writes at once what it is to write later, so that it waits there while others look.
    """

    def __init__(self, sessions):
        self._sessions = sessions
        self.begin()

    def begin(self):
        self._session = self._sessions()
        self.posted, self.is_right = Counter(), True

    def later(self, form, **values):
        write(self._session.connection(), [Write(form, values)])

    def post(self, posting):
        SqlLedger(self).post(posting, utc_now())
        self.posted.update({(each.account, posting.currency): each.amount for each in posting.entries})

    def commit(self):
        """Return whether it was taken."""
        try:
            self._session.commit()
        except IntegrityError:
            return False
        finally:
            self._session.close()
        return True

    def roll_back(self):
        self._session.close()

    def crash(self, observer):
        """Have the server lose us."""
        pid = self._session.scalar(sa.text("select pg_backend_pid()"))
        observer.execute(sa.text("select pg_terminate_backend(:pid)"), {"pid": pid})
        self._session.invalidate()


def look(observer):
    """Return what stands on each account, and check that it adds up."""
    rows = observer.execute(
        sa.text("select account, currency, sum(amount), count(*) from ledger_entries group by account, currency")
    ).all()
    sums = Counter()
    for _, currency, amount, _ in rows:
        sums[currency] += amount
    assert set(sums.values()) <= {0}
    return Counter({(account, currency): int(amount) for account, currency, amount, _ in rows})


@given(st.lists(steps, max_size=25))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_it_adds_up_at_every_moment(payments_sessions, database, story):
    with database("payments_sql") as observer:
        expected = look(observer)
        people = [Writer(payments_sessions) for _ in range(WRITERS)]
        try:
            for what, number, values in story:
                if what == "post at once":
                    name, each, kind = values
                    posting = capture(currency=name, kind=kind, source_id=new_id(), entries=entries_of(each))
                    post(payments_sessions, posting)
                    expected.update({(each.account, name): each.amount for each in posting.entries})
                else:
                    expected.update(act(people[number], what, values, observer))
                assert +look(observer) == +expected
                assert -look(observer) == -expected
        finally:
            for each in people:
                each.roll_back()


def act(writer, what, values, observer):
    """Do one step; return what it has added to the books."""
    if what == "post":
        name, each, kind = values
        writer.post(capture(currency=name, kind=kind, entries=entries_of(each)))
        return {}
    if what == "post wrongly":
        writer.post(plainly(*values))
        writer.is_right = False
        return {}
    posted, is_right = writer.posted, writer.is_right
    if what == "commit":
        assert writer.commit() == is_right
    elif what == "crash":
        writer.crash(observer)
    else:
        writer.roll_back()
    writer.begin()
    return posted if what == "commit" and is_right else {}
