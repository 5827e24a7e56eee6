"""Customers and the status of their account, whatever the order in which it is told."""

from itertools import permutations

import pytest

from lib.ids import new_id
from payments_svc.domain.customer import AccountDisabled, Customer, CustomerStatus
from tests.fakes.payments import NOON

CHANGES = ((2, "disable"), (5, "enable"), (6, "disable"))


@pytest.fixture
def customer():
    return Customer(new_id(), NOON)


def test_a_new_customer_is_active(customer):
    customer.check_active()
    assert (customer.status, customer.status_sequence) == (CustomerStatus.ACTIVE, 0)


@pytest.mark.parametrize("order", list(permutations(CHANGES)))
def test_every_order_ends_at_the_newest(customer, order):
    for sequence, change in (*order, *order):
        getattr(customer, change)(sequence=sequence)
    assert (customer.status, customer.status_sequence) == (CustomerStatus.DISABLED, 6)


def test_a_disabled_customer_is_refused_until_it_is_enabled(customer):
    customer.disable(sequence=2)
    with pytest.raises(AccountDisabled) as refusal:
        customer.check_active()
    assert (refusal.value.kind, refusal.value.code) == ("forbidden", "account_disabled")
    customer.enable(sequence=3)
    customer.check_active()


@pytest.mark.parametrize("change", ["enable", "disable"])
def test_nothing_comes_after_the_end(customer, change):
    customer.close()
    getattr(customer, change)(sequence=9)
    assert customer.status is CustomerStatus.DELETED
    with pytest.raises(AccountDisabled):
        customer.check_active()
