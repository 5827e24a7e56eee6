"""Refusals on the wire: what each failure is told as, and that nothing else is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nameko.exceptions import IncorrectSignature, MalformedRequest, RpcTimeout, deserialize, serialize
from sqlalchemy import exc as sa
from sqlalchemy.orm.exc import StaleDataError

from lib import errors
from lib.confirmation import BrokerUnavailable, PublishUnconfirmed
from lib.faults import Fault
from lib.refusals import refusal_of
from lib.rpc_client import CallInterrupted, ServiceUnavailable
from lib.tokens import InvalidToken, KeysUnavailable

SECRET = "postgresql://app:hunter2@db:5432/x"


class Driver(Exception):
    """What psycopg2 raises, as far as SQLAlchemy's wrapper cares."""

    def __init__(self, pgcode=None):
        super().__init__(SECRET)
        self.pgcode = pgcode


def database(kind, pgcode=None, **more):
    return kind("SELECT 1", {"password": "hunter2"}, Driver(pgcode), **more)


TABLE = [
    # Ours, as they are.
    (errors.Conflict("taken", field="name"), ("conflict", "conflict")),
    (InvalidToken("no"), ("unauthenticated", "invalid_token")),
    (KeysUnavailable("wait"), ("unavailable", "keys_unavailable")),
    (BrokerUnavailable("away"), ("unavailable", "broker_unavailable")),
    (PublishUnconfirmed("who knows"), ("unavailable", "publish_unconfirmed")),
    (ServiceUnavailable("away"), ("unavailable", "service_unavailable")),
    (CallInterrupted("who knows"), ("unavailable", "call_interrupted")),
    # The database's and other services', in our words.
    (RpcTimeout(5), ("unavailable", "upstream_timeout")),
    (StaleDataError(SECRET), ("conflict", "contended")),
    (errors.Overtaken(SECRET), ("conflict", "contended")),
    (database(sa.OperationalError, "40001"), ("conflict", "contended")),
    (database(sa.OperationalError, "40P01"), ("conflict", "contended")),
    (database(sa.OperationalError, "55P03"), ("conflict", "contended")),
    (database(sa.OperationalError, "57014"), ("unavailable", "database_slow")),
    (database(sa.OperationalError, "57P01"), ("unavailable", "database_unavailable")),
    (database(sa.OperationalError), ("unavailable", "database_unavailable")),
    (database(sa.InterfaceError, connection_invalidated=True), ("unavailable", "database_unavailable")),
    (database(sa.DBAPIError, connection_invalidated=True), ("unavailable", "database_unavailable")),
    (sa.TimeoutError(SECRET), ("unavailable", "database_unavailable")),
]


@pytest.mark.parametrize(("error", "told"), TABLE, ids=lambda value: type(value).__name__)
def test_what_the_caller_can_act_on_is_told(error, told):
    fault = refusal_of(error)
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.code) == told
    if not isinstance(error, errors.DomainError):
        assert "hunter2" not in str(fault.args)


PASSING = [error for error, told in TABLE if told[0] == "unavailable" and not hasattr(error, "kind")]


@pytest.mark.parametrize("error", PASSING, ids=lambda value: type(value).__name__)
def test_what_passes_by_itself_says_when_to_try_again(error):
    assert refusal_of(error).details["retry_after"] >= 1


@pytest.mark.parametrize(
    "error",
    [
        ValueError(SECRET),
        KeyError("x"),
        sa.InvalidRequestError(SECRET),
        sa.NoResultFound(SECRET),
        database(sa.IntegrityError, "23505"),
        database(sa.ProgrammingError, "42P01"),
        database(sa.DataError, "22P02"),
        database(sa.InterfaceError),
        ExceptionGroup("several", [ValueError(SECRET)]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_bug_is_told_to_nobody(error):
    assert refusal_of(error) is None


@pytest.mark.parametrize("error", [Fault("conflict", "taken"), MalformedRequest("x"), IncorrectSignature("y")])
def test_what_is_made_for_the_wire_goes_as_it_is(error):
    assert refusal_of(error) is error


texts = st.recursive(
    st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=40), st.dictionaries(st.text(max_size=8), texts))
def test_a_fault_arrives_as_it_was_sent_over_namekos_own_wire_format(kind, code, message, details):
    arrived = deserialize(serialize(Fault(kind, code, message, details)))
    assert type(arrived) is Fault
    assert (arrived.kind, arrived.code, arrived.message, arrived.details) == (kind, code, message, details)


def test_a_domain_error_keeps_its_kind_code_message_and_details():
    fault = Fault.of(errors.Limited("slow down", retry_after=3))
    assert (fault.kind, fault.code, fault.message, fault.details) == (
        "limited",
        "rate_limited",
        "slow down",
        {"retry_after": 3},
    )
    assert str(fault) == "rate_limited: slow down"


def test_faults_do_not_share_their_details():
    first, second = Fault("k", "c"), Fault("k", "c")
    first.details["x"] = 1
    assert second.details == {}
