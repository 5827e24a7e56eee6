"""Every service's migrations go up, down and up again, keep the data, and make the tables that the code knows."""

import pytest

from lib.ids import new_id
from tests.support.schema import Schema

SERVICES = ("auth", "users", "payments")


@pytest.fixture
def schema(migrated, request):
    """An empty database of the service that the test is about."""
    schema = Schema(migrated, request.param)
    schema.create()
    yield schema
    schema.drop()


every_service = pytest.mark.parametrize("schema", SERVICES, indirect=True)


@every_service
def test_they_make_the_tables_that_the_code_knows(schema):
    schema.up()
    assert schema.tables() == set(schema.metadata.tables)
    assert schema.drift() == []
    schema.run("alter table inbox add column reason text")
    assert [each[0] for each in schema.drift()] == ["remove_column"]


@every_service
def test_whoever_is_referred_to_can_be_deleted_without_reading_whole_tables(schema):
    """A foreign key is looked for from the other side whenever a row there goes: that needs an index."""
    schema.up()
    bare = schema.run(
        "select k.conrelid::regclass::text || '.' || k.conname from pg_constraint k where k.contype = 'f'"
        # Of the sandbox's charges none is ever deleted.
        " and k.confrelid::regclass::text not like 'sandbox%'"
        " and not exists (select 1 from pg_index i where i.indrelid = k.conrelid and i.indpred is null"
        " and (i.indkey::int2[])[0:array_length(k.conkey, 1) - 1] @> k.conkey)"
    )
    assert {name for (name,) in bare} == set()


@every_service
def test_each_step_down_and_up_again_leaves_no_trace(schema):
    schema.up()
    for revision in ("0001", "base"):
        schema.down(revision)
        assert (schema.tables() == set()) == (revision == "base")
        for _ in range(2):
            schema.up()
        assert schema.drift() == []


@pytest.mark.parametrize("schema", ["payments"], indirect=True)
def test_messages_that_were_dismissed_wait_for_a_person_again_in_an_older_version(schema):
    schema.up()
    schema.run(
        "insert into webhook_notices (id, provider, event_id, type, payload, correlation_id, received_at, status,"
        " error, dismissed_for) values (:id, 'sandbox', 'evt_1', 'payout.paid', '{}', 'r', now(), 'dismissed',"
        " 'unknown_type', 'nothing of ours')",
        id=new_id(),
    )
    schema.down("0007")
    assert schema.run("select status, error from webhook_notices") == [("parked", "unknown_type")]
    schema.up()
    assert schema.run("select status, dismissed_for from webhook_notices") == [("parked", None)]


@pytest.mark.parametrize("schema", ["auth"], indirect=True)
def test_accounts_that_were_there_are_open_or_closed_as_they_were(schema):
    schema.up("0001")
    for status in ("active", "invited", "disabled"):
        schema.run(
            "insert into accounts (id, email, email_key, name, status, email_verified, roles, created_at)"
            " values (:id, :email, :email, 'Ann', :status, false, '{}', now())",
            id=new_id(),
            email=f"{status}@example.com",
            status=status,
        )
    schema.up()
    moments = "select status, activated_at is not null, disabled_at is not null from accounts order by status"
    assert schema.run(moments) == [("active", True, False), ("disabled", True, True), ("invited", False, False)]
    schema.down("0001")
    assert len(schema.run("select id from accounts")) == 3


@pytest.mark.parametrize("schema", ["users"], indirect=True)
def test_profiles_that_were_there_are_known_accounts_afterwards(schema):
    schema.up("0001")
    user_id = new_id()
    schema.run(
        "insert into profiles (id, email, display_name, source_sequence, created_at, updated_at)"
        " values (:id, 'ann@example.com', 'Ann', 7, now(), now())",
        id=user_id,
    )
    states = "select id, email, name, disabled, email_sequence, name_sequence, status_sequence from account_states"
    for _ in range(2):
        schema.up()
        assert schema.run(states) == [(user_id, "ann@example.com", "Ann", False, 7, 7, 0)]
        assert schema.run("select email, display_name, disabled from profiles") == [("ann@example.com", "Ann", False)]
        schema.down("0001")
        assert schema.run("select source_sequence from profiles") == [(7,)]


@pytest.mark.parametrize("schema", ["payments"], indirect=True)
def test_customers_that_were_there_are_active_afterwards(schema):
    schema.up("0001")
    customer_id = new_id()
    schema.run("insert into customers (id, created_at) values (:id, now())", id=customer_id)
    for _ in range(2):
        schema.up()
        assert schema.run("select id, status, status_sequence from customers") == [(customer_id, "active", 0)]
        schema.down("0001")
        assert schema.run("select id from customers") == [(customer_id,)]


@pytest.mark.parametrize("schema", ["users"], indirect=True)
def test_notifications_that_were_there_are_counted_afterwards(schema):
    schema.up("0004")
    ann, bob = new_id(), new_id()
    for user_id, last, unread in ((ann, 5, 2), (bob, 4, 0)):
        schema.run(
            "insert into profiles (id, email, display_name, created_at, updated_at)"
            " values (:id, 'ann@example.com', 'Ann', now(), now())",
            id=user_id,
        )
        schema.run(
            "insert into notification_inboxes (user_id, last_number, unread) values (:id, :last, :unread)",
            id=user_id,
            last=last,
            unread=unread,
        )
    for number in (2, 3, 5):
        schema.run(
            "insert into notifications (user_id, number, id, type, data, event_id, created_at, read_at) values"
            " (:user_id, :number, :id, 'followed', '{}', :id, now(), case when :number = 2 then now() end)",
            user_id=ann,
            number=number,
            id=new_id(),
        )
    for _ in range(2):
        schema.up()
        assert dict(schema.run("select user_id, kept from notification_inboxes")) == {ann: 3, bob: 0}
        schema.down("0004")
        assert len(schema.run("select id from notifications")) == 3


@pytest.mark.parametrize("schema", ["payments"], indirect=True)
def test_what_was_paid_before_there_were_books_is_in_them(schema):
    schema.up("0002")
    ann = new_id()
    schema.run("insert into customers (id, created_at) values (:id, now())", id=ann)

    def paid(status, captured, refunded=0, refunding=0):
        payment_id = new_id()
        schema.run(
            "insert into payments (id, customer_id, amount, currency, status, amount_captured, amount_refunded,"
            " amount_refunding, provider, attempt_id, created_at, updated_at)"
            " values (:id, :ann, 1000, 'EUR', :status, :captured, :refunded, :refunding, 'sandbox', :attempt,"
            " now() - interval '1 day', now())",
            id=payment_id,
            ann=ann,
            status=status,
            captured=captured,
            refunded=refunded,
            refunding=refunding,
            attempt=new_id(),
        )
        return payment_id

    def given_back(payment_id, status, amount):
        schema.run(
            "insert into refunds (id, payment_id, customer_id, requested_by, amount, currency, status, attempt_id,"
            " next_check_at, created_at, updated_at)"
            " values (:id, :payment_id, :ann, :ann, :amount, 'EUR', :status, :attempt, now(), now(), now())",
            id=new_id(),
            payment_id=payment_id,
            ann=ann,
            amount=amount,
            status=status,
            attempt=new_id(),
        )

    paid("requires_payment_method", 0)
    whole = paid("succeeded", 1000)
    part = paid("succeeded", 1000, refunded=300, refunding=200)
    for status, amount in (("succeeded", 300), ("unknown", 200), ("failed", 100), ("canceled", 50)):
        given_back(part, status, amount)
    for _ in range(2):
        schema.up()
        sums = schema.run("select account, sum(amount) from ledger_entries group by account")
        assert {account: int(amount) for account, amount in sums} == {
            "provider:sandbox": 2000 - 300,
            "sales": -(2000 - 300 - 200),
            "refunds_payable": -200,
        }
        assert schema.run("select count(*) from ledger_entries where account = 'sales'") == [(2 + 2,)]
        assert schema.run(
            "select count(*) from (select from ledger_entries group by transaction_id having sum(amount) <> 0) as wrong"
        ) == [(0,)]
        assert schema.run("select count(*) from ledger_unsealed") == [(2 * (2 + 2 + 1),)]
        assert {each for (each,) in schema.run("select payment_id from ledger_entries")} == {whole, part}
        schema.down("0002")
