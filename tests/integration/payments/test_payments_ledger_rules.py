"""What PostgreSQL refuses even a superuser, and entries of the wrong shape."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lib.uow import constraint_of
from tests.integration.payments.ledger_books import INSERT, capture, insert, post, row


@pytest.fixture
def sessions(payments_sessions):
    return payments_sessions


def test_a_table_of_the_same_name_does_not_lead_the_trigger_astray(sessions):
    with sessions() as session:
        session.execute(sa.text("create temporary table ledger_entries_decoy (x int)"))
        session.execute(sa.text("alter table ledger_entries_decoy rename to ledger_entries"))
        session.execute(sa.text(INSERT.replace("into ledger_entries", "into public.ledger_entries")), row())
        with pytest.raises(IntegrityError):
            session.commit()


@pytest.mark.parametrize(
    "statement",
    [
        "update ledger_entries set amount = amount + 1 where account = 'sales'",
        "update ledger_entries set currency = 'USD' where account = 'sales'",
        "update ledger_entries set transaction_id = id where account = 'sales'",
        "delete from ledger_entries where account = 'sales'",
    ],
)
def test_even_a_superuser_has_to_leave_it_balanced(sessions, database, statement):
    post(sessions, capture())
    with database("payments_sql") as superuser, pytest.raises(IntegrityError, match="minor units of"):
        superuser.execute(sa.text(statement))


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"kind": "gift"}, "ledger_entries_kind_known"),
        ({"currency": "eur"}, "ledger_entries_currency_code"),
        ({"currency": "EURO"}, "ledger_entries_currency_code"),
        ({"account": ""}, "ledger_entries_account_name"),
        ({"account": "Sales"}, "ledger_entries_account_name"),
        ({"account": "x" * 65}, "ledger_entries_account_name"),
        ({"account": "sales'; --"}, "ledger_entries_account_name"),
        ({"transaction_id": None}, None),
        ({"amount": None}, None),
    ],
)
def test_an_entry_has_a_shape(sessions, changes, constraint):
    with pytest.raises(IntegrityError) as refused:
        insert(sessions, row(**changes))
    assert constraint_of(refused.value) == constraint
