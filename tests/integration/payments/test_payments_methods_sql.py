"""Kept means of payment: what PostgreSQL and the fake have in common, and many requests at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, cast
from uuid import UUID

import pytest
import sqlalchemy as sa

from lib.ids import new_id, utc_now
from payments_svc.application.close_customer import close_customer
from payments_svc.application.forget_payment_method import forget_payment_method
from payments_svc.application.get_payment_method import get_payment_method
from payments_svc.application.keep_payment_method import keep_payment_method
from payments_svc.application.list_payment_methods import list_payment_methods
from payments_svc.application.ports import Ports
from payments_svc.application.set_default_payment_method import set_default_payment_method
from payments_svc.domain.customer import AccountDisabled
from payments_svc.domain.payment_method import MOST_KEPT, Means, PaymentMethodNotFound, TooManyPaymentMethods
from payments_svc.infrastructure.method_tables import payment_methods
from payments_svc.infrastructure.sql import PaymentsUnitOfWork
from payments_svc.infrastructure.sql_methods import SqlPaymentMethodReads
from payments_svc.infrastructure.tables import customers, map_domain, payments
from tests.fakes.payment_methods import FakeMethodWorld

AT_ONCE = 12


class SqlPorts:
    """The part of `Ports` that these use cases need, on PostgreSQL."""

    def __init__(self, sessions: Any, world: FakeMethodWorld) -> None:
        map_domain()
        fake = world.ports()
        self.unit_of_work = partial(PaymentsUnitOfWork, sessions)
        self.payment_methods = SqlPaymentMethodReads(sessions)
        self.providers, self.now, self.new_id = fake.providers, fake.now, fake.new_id


@pytest.fixture
def sql(payments_sessions: Any) -> Ports:
    return cast(Ports, SqlPorts(payments_sessions, FakeMethodWorld()))


@pytest.fixture(params=["fake", "sql"])
def ports(request: pytest.FixtureRequest) -> Ports:
    return FakeMethodWorld().ports() if request.param == "fake" else request.getfixturevalue("sql")


@pytest.fixture
def ann() -> str:
    return str(new_id())


def keep(ports: Ports, user: str, token: str = "tok_visa") -> UUID:
    return keep_payment_method(ports, user_id=user, provider="sandbox", token=token).id


def forget(ports: Ports, user: str, method_id: UUID) -> None:
    forget_payment_method(ports, user_id=user, method_id=str(method_id))


def choose(ports: Ports, user: str, method_id: UUID) -> None:
    set_default_payment_method(ports, user_id=user, method_id=str(method_id))


def listed(ports: Ports, user: str) -> list[dict[str, Any]]:
    return list_payment_methods(ports, user_id=user, limit=100).data


def defaults(ports: Ports, user: str) -> list[UUID]:
    return [each["id"] for each in listed(ports, user) if each["is_default"]]


def means_of(ports: Ports, user: str, method_id: UUID) -> Means | None:
    with ports.unit_of_work() as uow:
        return uow.payment_methods.means_of(UUID(user), method_id)


def default_of(ports: Ports, user: str) -> Means | None:
    with ports.unit_of_work() as uow:
        return uow.payment_methods.default_of(UUID(user))


# --- what both do ---


def test_what_is_kept_is_read_again(ports: Ports, ann: str) -> None:
    method_id = keep(ports, ann)
    row = get_payment_method(ports, user_id=ann, method_id=str(method_id))
    assert row == listed(ports, ann)[0]
    assert {**row, "created_at": None} == {
        "id": method_id,
        "customer_id": UUID(ann),
        "provider": "sandbox",
        "kind": "card",
        "brand": "visa",
        "last4": "4242",
        "exp_month": 12,
        "exp_year": 2030,
        "is_default": True,
        "created_at": None,
        "detached_at": None,
    }


def test_the_default_moves_as_it_is_told_to(ports: Ports, ann: str) -> None:
    first, second, third = (keep(ports, ann, f"tok_{each}") for each in range(3))
    assert defaults(ports, ann) == [first]
    choose(ports, ann, second)
    assert defaults(ports, ann) == [second]
    choose(ports, ann, first)
    assert defaults(ports, ann) == [first]
    forget(ports, ann, first)
    assert defaults(ports, ann) == [third]
    forget(ports, ann, second)
    forget(ports, ann, third)
    forget(ports, ann, third)
    assert listed(ports, ann) == []


def test_payments_get_the_means_of_ones_own_alone(ports: Ports, ann: str) -> None:
    bob = str(new_id())
    method, theirs = keep(ports, ann), keep(ports, bob, "tok_theirs")
    assert means_of(ports, ann, method) == default_of(ports, ann) == Means("sandbox", "tok_visa", method)
    assert means_of(ports, ann, theirs) is None
    assert default_of(ports, bob) == Means("sandbox", "tok_theirs", theirs)
    forget(ports, ann, method)
    assert means_of(ports, ann, method) is None
    assert default_of(ports, ann) is None


def test_a_deleted_account_leaves_nothing_behind(ports: Ports, ann: str) -> None:
    bob = str(new_id())
    method, other, theirs = keep(ports, ann), keep(ports, ann, "tok_2"), keep(ports, bob)
    forget(ports, ann, other)
    with ports.unit_of_work() as uow:
        uow.payment_methods.erase(UUID(ann))
        uow.commit()
    assert listed(ports, ann) == []
    for gone in (method, other):
        with pytest.raises(PaymentMethodNotFound):
            forget(ports, ann, gone)
    assert defaults(ports, bob) == [theirs]


def test_the_limit_is_of_one_customer(ports: Ports, ann: str) -> None:
    for each in range(MOST_KEPT):
        keep(ports, ann, f"tok_{each}")
    with pytest.raises(TooManyPaymentMethods):
        keep(ports, ann, "tok_more")
    keep(ports, str(new_id()), "tok_more")


def test_a_deleted_account_loses_its_tokens_even_if_it_has_payments(
    payments_sessions: Any, sql: Ports, ann: str
) -> None:
    method = keep(sql, ann)
    with payments_sessions() as session:
        row = {"id": new_id(), "customer_id": UUID(ann), "amount": 5, "currency": "EUR"}
        row |= {"status": "requires_payment_method", "created_at": utc_now(), "updated_at": utc_now()}
        session.execute(sa.insert(payments), row)
        session.commit()
    close_customer(sql, event_id=str(new_id()), user_id=ann)
    assert means_of(sql, ann, method) is None
    with payments_sessions() as session:
        assert session.execute(sa.select(payment_methods)).all() == []
        assert session.execute(sa.select(customers.c.status)).scalar_one() == "deleted"
    with pytest.raises(AccountDisabled):
        keep(sql, ann)


# --- at the same time ---


def _at_once(*works: Callable[[], Any]) -> list[Any]:
    """Do all of it together; return what each gave or raised."""
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        barrier.wait(20)
        try:
            return work()
        except PaymentMethodNotFound as refusal:
            return refusal

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def test_one_token_kept_many_times_at_once_is_one_method(sql: Ports, ann: str) -> None:
    ids = _at_once(*[partial(keep, sql, ann)] * AT_ONCE)
    assert len(set(ids)) == 1
    assert defaults(sql, ann) == [ids[0]]


def test_of_many_first_ones_at_once_one_is_the_default(sql: Ports, ann: str) -> None:
    ids = _at_once(*(partial(keep, sql, ann, f"tok_{each}") for each in range(AT_ONCE)))
    assert len(set(ids)) == AT_ONCE
    assert len(defaults(sql, ann)) == 1


def test_of_many_defaults_chosen_at_once_one_is_it(sql: Ports, ann: str) -> None:
    ids = [keep(sql, ann, f"tok_{each}") for each in range(AT_ONCE)]
    answers = _at_once(*(partial(choose, sql, ann, each) for each in ids))
    assert answers == [None] * AT_ONCE
    assert len(defaults(sql, ann)) == 1


def test_what_is_chosen_and_forgotten_at_once_is_no_default(sql: Ports, ann: str) -> None:
    for _ in range(5):
        user = str(new_id())
        first, second, third = (keep(sql, user, f"tok_{each}") for each in range(3))
        _at_once(
            partial(choose, sql, user, second),
            partial(forget, sql, user, second),
            partial(forget, sql, user, first),
            partial(choose, sql, user, second),
            partial(forget, sql, user, second),
        )
        assert defaults(sql, user) == [third]
        assert [each["id"] for each in listed(sql, user)] == [third]


def test_the_limit_holds_at_once(sql: Ports, ann: str) -> None:
    for each in range(MOST_KEPT - 3):
        keep(sql, ann, f"tok_{each}")

    def more(number: int) -> object:
        try:
            return keep(sql, ann, f"tok_more_{number}")
        except TooManyPaymentMethods as refusal:
            return refusal

    answers = _at_once(*(partial(more, each) for each in range(AT_ONCE)))
    assert sum(isinstance(each, UUID) for each in answers) == 3
    assert len(listed(sql, ann)) == MOST_KEPT
