"""Kept means of payment: what PostgreSQL makes sure of by itself."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lib.ids import new_id, utc_now
from payments_svc.domain.customer import Customer
from payments_svc.infrastructure.method_tables import payment_methods
from payments_svc.infrastructure.sql import PaymentsUnitOfWork
from payments_svc.infrastructure.tables import map_domain


@pytest.fixture
def row(payments_sessions: Any) -> dict[str, Any]:
    """A good row; its customer is there."""
    map_domain()
    with payments_sessions() as session:
        customer = Customer(new_id(), utc_now())
        session.add(customer)
        session.commit()
    return {
        "id": new_id(),
        "customer_id": customer.id,
        "provider": "sandbox",
        "token": "tok_visa",
        "kind": "card",
        "last4": "4242",
        "exp_month": 12,
        "exp_year": 2030,
        "is_default": True,
        "created_at": utc_now(),
        "detached_at": None,
    }


def _insert(sessions: Any, *rows: dict[str, Any]) -> None:
    with sessions() as session:
        for each in rows:
            session.execute(sa.insert(payment_methods), each)
        session.commit()


FORGOTTEN = {"token": None, "detached_at": utc_now(), "is_default": False}


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"token": "tok_2"}, "payment_methods_default_key"),
        ({"is_default": False}, "payment_methods_token_key"),
        ({"is_default": False, "token": "t2", "last4": "42424"}, "payment_methods_last4_digits"),
        ({"is_default": False, "token": "t2", "exp_month": 13}, "payment_methods_month_known"),
        ({"is_default": False, "token": "x" * 256}, "payment_methods_token_length"),
        ({"is_default": False, "token": None}, "payment_methods_forgotten_whole"),
        ({"is_default": False, "detached_at": utc_now()}, "payment_methods_forgotten_whole"),
        (FORGOTTEN | {"is_default": True}, "payment_methods_forgotten_whole"),
        ({"customer_id": new_id()}, "payment_methods_customer_id_fkey"),
    ],
)
def test_the_database_refuses(
    payments_sessions: Any, row: dict[str, Any], change: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(IntegrityError, match=constraint):
        _insert(payments_sessions, row, {**row, "id": new_id(), **change})


def test_the_database_takes_what_is_forgotten_as_often_as_it_was(payments_sessions: Any, row: dict[str, Any]) -> None:
    _insert(payments_sessions, row, *({**row, **FORGOTTEN, "id": new_id()} for _ in range(3)))


def test_a_customer_that_is_removed_takes_its_methods_along(payments_sessions: Any, row: dict[str, Any]) -> None:
    _insert(payments_sessions, row)
    with PaymentsUnitOfWork(payments_sessions) as uow:
        customer = uow.customers.add_or_get(Customer(row["customer_id"], utc_now()))
        uow.customers.bury(customer, utc_now())
        uow.commit()
    with payments_sessions() as session:
        assert session.execute(sa.select(payment_methods)).all() == []


def test_a_page_is_read_by_its_index(payments_sessions: Any, row: dict[str, Any]) -> None:
    others = [{**row, "id": new_id(), "token": f"tok_{at}", "is_default": False} for at in range(2_000)]
    _insert(payments_sessions, row)
    with payments_sessions() as session:
        session.execute(sa.insert(payment_methods), others)
        session.commit()
        session.execute(sa.text("ANALYZE payment_methods"))
        query = payment_methods.select().where(
            payment_methods.c.customer_id == row["customer_id"],
            payment_methods.c.detached_at.is_(None),
            payment_methods.c.id < others[-1]["id"],
        )
        page = query.order_by(payment_methods.c.id.desc()).limit(21)
        text = str(page.compile(session.get_bind(), compile_kwargs={"literal_binds": True}))
        plan = "\n".join(line for (line,) in session.execute(sa.text(f"EXPLAIN {text}")))
    assert "payment_methods_kept" in plan
    assert "Sort" not in plan
