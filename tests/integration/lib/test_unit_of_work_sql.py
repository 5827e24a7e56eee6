"""A unit of work on PostgreSQL: in one message or in a transaction of several, what is saved is the same."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import make_transient_to_detached, registry

from deploy.local.infra import Infrastructure
from lib import context, outbox, writes
from lib.aggregate import Aggregate
from lib.context import CallContext
from lib.database import Sessions, make_engine
from lib.errors import OutcomeUnknown, Overtaken, SeenBefore
from lib.ids import new_id
from lib.objects import restored
from lib.uow import SqlUnitOfWork
from lib.writes import Form, holding, inserting, refusing
from tests.support import databases
from tests.support.statements import statements
from tests.support.waiting import eventually

metadata = sa.MetaData()
things = sa.Table(
    "things",
    metadata,
    sa.Column("id", pg.UUID(as_uuid=True), primary_key=True),
    sa.Column("label", sa.Text, unique=True),
    sa.Column("data", pg.JSONB),
    sa.Column("cipher", sa.LargeBinary),
    sa.Column("at", sa.DateTime(timezone=True)),
    sa.Column("words", pg.ARRAY(sa.Text, as_tuple=True)),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("filled_in", sa.Integer, sa.Identity()),
)
notes = sa.Table("notes", metadata, sa.Column("text", sa.Text, primary_key=True))
events = outbox.outbox_table(metadata)
outbox.inbox_table(metadata)


@dataclass(frozen=True)
class Renamed:
    type: ClassVar[str] = "thing.renamed"
    schema_version: ClassVar[int] = 1
    label: str | None


@dataclass(eq=False, kw_only=True)
class Thing(Aggregate):
    id: UUID = field(default_factory=new_id)
    title: str | None = None
    data: Any = None
    cipher: bytes = b""
    at: datetime | None = None
    words: tuple[str, ...] = ()
    sequence: int = 0

    def rename(self, title: str | None) -> None:
        self.title = title
        self.record(Renamed(title))


@dataclass(eq=False)
class Note:
    """Something without a version."""

    text: str


registry(metadata=metadata).map_imperatively(
    Thing,
    things,
    properties={"title": things.c.label},
    exclude_properties=["filled_in"],
    version_id_col=things.c.sequence,
    version_id_generator=False,
)
registry(metadata=metadata).map_imperatively(Note, notes)
NOTE = inserting(notes)


@pytest.fixture(scope="module")
def database(infrastructure: Infrastructure) -> Iterator[Sessions]:
    superuser = infrastructure.environment()["POSTGRES_SUPERUSER_URL"]
    name = "units_of_work"
    admin = databases.admin(superuser)
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine = make_engine(
        databases.on_database(superuser, name), statement_timeout=10, pool_size=20, application_name=name
    )
    metadata.create_all(engine)
    yield Sessions(engine)
    engine.dispose()
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def sessions(database: Sessions) -> Sessions:
    with database.engine.begin() as connection:
        connection.execute(sa.text("truncate things, notes, outbox, inbox restart identity"))
    return database


GROUP: Any = "group"


def unit(sessions: Sessions, begun: bool | None) -> Any:
    """Return a unit of work whose transaction has begun before anything is kept, or not; None: without a session;
    `GROUP`: without one, as in an event's handler."""

    class Unit(SqlUnitOfWork):
        def __enter__(self) -> Any:
            super().__enter__()
            if begun not in (None, GROUP):
                assert self.session.info is not None
            if begun is True:
                self.session.execute(sa.text("select 1"))
            return self

        def commit(self) -> None:
            with context.using(CallContext("an event", background=begun == GROUP)):
                super().commit()

    return Unit(sessions)


WAYS = (None, False, True, GROUP)
every_way = pytest.mark.parametrize("begun", WAYS, ids=["no session", "one message", "a transaction", "a group"])


def rows(sessions: Sessions, table: sa.Table = things) -> list[Any]:
    return sessions.all(sa.select(table).order_by(sa.text("1")))


def read(sessions: Sessions, thing_id: UUID) -> Thing:
    """Return the thing as use cases read it without a lock."""
    mapped = (things.c.id, things.c.label.label("title"), things.c.data, things.c.cipher, things.c.at, things.c.words)
    row = sessions.first(sa.select(*mapped, things.c.sequence).where(things.c.id == thing_id))
    assert row is not None
    return restored(Thing, row)


def save(sessions: Sessions, begun: bool | None, change: Callable[[Any], object]) -> None:
    with unit(sessions, begun) as uow:
        change(uow)
        uow.commit()


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20) | st.sampled_from(
    [":label_0", "%(label_0)s", "100 %", "'; drop table things; --", "\\", "{}", "$1", "null"]
)
JSON = st.recursive(st.none() | st.booleans() | st.integers(-(2**40), 2**40) | TEXT, lambda x: st.lists(x, max_size=3))
MOMENT = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    title=st.none() | TEXT,
    data=JSON,
    cipher=st.binary(max_size=20),
    at=st.none() | MOMENT,
    words=st.lists(TEXT, max_size=3).map(tuple),
)
def test_every_way_saves_the_same_row(sessions: Sessions, **values: Any) -> None:
    saved = []
    for begun in WAYS:
        with sessions.engine.begin() as connection:
            connection.execute(sa.text("truncate things restart identity"))
        thing = Thing(**values)
        save(sessions, begun, lambda uow, thing=thing: uow.keep(thing))
        (row,) = rows(sessions)
        assert row.pop("id") == thing.id
        saved.append(row)
        changed = read(sessions, thing.id)
        changed.data, changed.words = [values["data"]], ("changed",)
        changed.rename(None)
        save(sessions, begun, lambda uow, changed=changed: uow.keep(changed))
        (row,) = rows(sessions)
        assert row.pop("id") == thing.id
        saved.append(row)
    assert saved[:2] == saved[2:4] == saved[4:6] == saved[6:]
    assert saved[0]["words"] == values["words"]
    assert bytes(saved[0]["cipher"]) == values["cipher"]
    assert [each["filled_in"] for each in saved] == [1] * 8


def test_what_begins_no_transaction_is_one_message(sessions: Sessions) -> None:
    old, new = Thing(), Thing()
    save(sessions, False, lambda uow: uow.keep(old))
    changed = read(sessions, old.id)

    def change(uow: Any) -> None:
        assert not uow.seen("handler", str(new_id()))
        uow.keep(changed)
        uow.keep(new)
        changed.rename("b")
        new.rename("a")
        uow.later(NOTE, text="x")
        uow.note("handler", str(new_id()))

    with statements(sessions) as seen:
        save(sessions, False, change)
    assert len(seen) == 2  # The first one is the read.
    assert [each["label"] for each in rows(sessions)] == ["b", "a"]
    assert [each["type"] for each in rows(sessions, events)] == ["thing.renamed"] * 2
    assert len(rows(sessions, notes)) == 1


@pytest.mark.parametrize(("begun", "shares"), [(None, False), (False, False), (GROUP, True)])
def test_only_what_runs_in_the_background_shares_its_message(sessions: Sessions, begun: Any, shares: bool) -> None:
    with statements(sessions) as sent:
        save(sessions, begun, lambda uow: uow.later(NOTE, text="x"))
    (message,) = sent
    assert message.startswith("SET LOCAL lock_timeout") is shares


@every_way
def test_nothing_to_save_is_nothing_done(sessions: Sessions, begun: bool | None) -> None:
    with unit(sessions, begun) as uow, statements(sessions) as seen:
        uow.commit()
    assert seen == []


@every_way
@pytest.mark.parametrize("failing", ["object", "later", "note"])
def test_one_write_that_fails_undoes_all_and_wakes_nobody(sessions: Sessions, begun: bool | None, failing: str) -> None:
    taken = Thing(title="taken")
    event_id = str(new_id())
    save(sessions, False, lambda uow: uow.keep(taken))
    save(sessions, False, lambda uow: (uow.later(NOTE, text="taken"), uow.note("handler", event_id)))
    woken: list[bool] = []
    forget = outbox.on_commit(lambda: woken.append(True))

    def change(uow: Any) -> None:
        thing = Thing()
        uow.keep(thing)
        thing.rename("taken" if failing == "object" else "free")
        uow.later(NOTE, text="taken" if failing == "later" else "free")
        uow.note("handler", event_id if failing == "note" else str(new_id()))

    try:
        with pytest.raises(SeenBefore if failing == "note" else IntegrityError):
            save(sessions, begun, change)
    finally:
        forget()
    assert [len(rows(sessions, table)) for table in (things, notes, events)] == [1, 1, 0]
    assert woken == []


@every_way
def test_a_unit_of_work_is_committed_once(sessions: Sessions, begun: bool | None) -> None:
    with unit(sessions, begun) as uow:
        uow.later(NOTE, text="x")
        uow.commit()
        with pytest.raises(RuntimeError):
            uow.commit()
    assert len(rows(sessions, notes)) == 1


def test_many_events_are_sent_in_their_order_and_fill_no_memory(sessions: Sessions) -> None:
    thing = Thing()
    save(sessions, False, lambda uow: uow.keep(thing))
    writes._joined.cache_clear()
    for number in range(1, 60):
        known = read(sessions, thing.id)
        for _ in range(number):
            known.rename(f"{number}")
        save(sessions, WAYS[number % 4], lambda uow, known=known: uow.keep(known))
    queued = [each["envelope"]["sequence"] for each in rows(sessions, events)]
    assert queued == list(range(1, 60 * 59 // 2 + 1))
    assert writes._joined.cache_info().currsize <= 3 * writes.AT_MOST + 1


@pytest.mark.parametrize("save", ["commit", "at once"])
def test_a_server_that_goes_away_while_it_is_connected_to_has_saved_nothing(sessions: Sessions, save: str) -> None:
    """… and that is known."""
    engine = make_engine(
        sessions.engine.url.render_as_string(hide_password=False),
        statement_timeout=10,
        pool_size=1,
        application_name="lost",
    )
    asked: list[int] = []

    @sa.event.listens_for(engine, "connect")
    def lose(driver: Any, _record: Any) -> None:
        asked.append(1)
        with driver.cursor() as cursor:
            cursor.execute("select pg_terminate_backend(pg_backend_pid())")

    with unit(Sessions(engine), None) as uow:
        uow.later(NOTE, text="x")
        saves = uow.commit if save == "commit" else partial(uow.at_once, NOTE, text="x")
        with pytest.raises(sa.exc.OperationalError):
            saves()
    assert asked
    engine.dispose()


@every_way
def test_percent_signs_and_colons_in_a_form_and_in_a_value_stay_what_they_are(
    sessions: Sessions, begun: bool | None
) -> None:
    form = Form("INSERT INTO notes (text) SELECT :text || '%' || (7 % 4)::text || '%s'", {"text": sa.Text()})
    save(sessions, begun, lambda uow: uow.later(form, text="%(text)s :text %"))
    assert [each["text"] for each in rows(sessions, notes)] == ["%(text)s :text %%3%s"]


@every_way
def test_a_condition_goes_before_the_objects(sessions: Sessions, begun: bool | None) -> None:
    free = refusing(things, found_by=["label"], other_than=["id"])
    first, second = Thing(title="x"), Thing(title="x")
    save(sessions, begun, lambda uow: (uow.keep(first), uow.first_of_all(free, label="x", id=first.id)))
    with pytest.raises(Overtaken):  # No constraint is broken: the condition came first.
        save(
            sessions,
            begun,
            lambda uow: (uow.keep(second), uow.first_of_all(free, label="x", id=second.id)),
        )
    assert [each["id"] for each in rows(sessions)] == [first.id]


def test_a_condition_on_others_does_not_find_what_the_transaction_has_added_itself(sessions: Sessions) -> None:
    thing = Thing(title="x")
    with unit(sessions, True) as uow:
        uow.keep(thing)
        uow.first_of_all(refusing(things, found_by=["label"], other_than=["id"]), label="x", id=thing.id)
        uow.session.flush()
        uow.commit()
    assert len(rows(sessions)) == 1


@every_way
def test_what_is_held_is_as_it_was_read(sessions: Sessions, begun: bool | None) -> None:
    thing = Thing(title="old")
    save(sessions, False, lambda uow: uow.keep(thing))
    held = holding(things, found_by=["id", "sequence"])
    seen = {"id": thing.id, "sequence": read(sessions, thing.id).sequence}
    save(sessions, begun, lambda uow: (uow.later(held, **seen), uow.later(NOTE, text="held")))
    known = read(sessions, thing.id)
    known.rename("new")
    save(sessions, False, lambda uow: uow.keep(known))
    with pytest.raises(Overtaken):
        save(sessions, begun, lambda uow: (uow.later(NOTE, text="lost"), uow.later(held, **seen)))
    assert [each["text"] for each in rows(sessions, notes)] == ["held"]


@every_way
def test_of_two_who_read_the_same_the_second_is_told(sessions: Sessions, begun: bool | None) -> None:
    thing = Thing(title="old")
    save(sessions, False, lambda uow: uow.keep(thing))
    first, second = read(sessions, thing.id), read(sessions, thing.id)
    for each in (first, second):
        each.rename("first" if each is first else "second")
    save(sessions, begun, lambda uow: uow.keep(first))
    with pytest.raises(Overtaken):
        save(sessions, begun, lambda uow: (uow.keep(second), uow.keep(Thing()), uow.later(NOTE, text="x")))
    assert [each["label"] for each in rows(sessions)] == ["first"]
    assert [len(rows(sessions, table)) for table in (notes, events)] == [0, 1]


@every_way
def test_what_was_deleted_meanwhile_is_not_brought_back(sessions: Sessions, begun: bool | None) -> None:
    thing = Thing()
    save(sessions, False, lambda uow: uow.keep(thing))
    known = read(sessions, thing.id)
    with sessions.engine.begin() as connection:
        connection.execute(sa.delete(things))
    known.rename("back")
    with pytest.raises(Overtaken):
        save(sessions, begun, lambda uow: uow.keep(known))
    assert rows(sessions) == []


@every_way
def test_a_column_that_was_not_changed_is_not_written(sessions: Sessions, begun: bool | None) -> None:
    thing = Thing(title="old", data=[1])
    save(sessions, False, lambda uow: uow.keep(thing))
    known = read(sessions, thing.id)
    with sessions.engine.begin() as connection:
        connection.execute(sa.update(things).values(data=[2]))
    known.rename("new")
    save(sessions, begun, lambda uow: uow.keep(known))
    assert [(each["label"], each["data"], each["sequence"]) for each in rows(sessions)] == [("new", [2], 1)]


def test_events_of_one_subject_are_numbered_and_queued_in_the_same_order(sessions: Sessions) -> None:
    thing = Thing()
    save(sessions, False, lambda uow: uow.keep(thing))

    def rename(index: int) -> None:
        while True:
            known = read(sessions, thing.id)
            for step in range(2):
                known.rename(f"{index} {step}")
            try:
                save(sessions, WAYS[index % 4], lambda uow, known=known: uow.keep(known))
            except Overtaken:
                continue
            return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(rename, range(16)))
    queued = [each["envelope"]["sequence"] for each in rows(sessions, events)]
    assert queued == list(range(1, 33))


@pytest.mark.parametrize("more", [0, writes.AT_MOST])
@pytest.mark.parametrize("begin", [False, True])
def test_what_was_kept_before_the_session_was_asked_for_is_saved_too(
    sessions: Sessions, begin: bool, more: int
) -> None:
    """… with its events, in the order in which it was kept, be it by the session or in several messages."""
    old = Thing()
    save(sessions, None, lambda uow: uow.keep(old))
    changed, others = read(sessions, old.id), [Thing() for _ in range(2 + more)]
    with unit(sessions, None) as uow:
        for each in (*others[:2], changed):
            uow.keep(each)
            uow.keep(each)
            each.rename(str(each.id))
        assert uow.is_adding(others[0].id)
        assert not uow.is_adding(changed.id)
        if begin:
            assert {each.id for each in uow.session.new} == {each.id for each in others[:2]}
            uow.session.execute(sa.text("select 1"))
        for each in others[2:]:
            uow.keep(each)
        uow.commit()
    assert {row["id"] for row in rows(sessions)} == {old.id, *(each.id for each in others)}
    assert read(sessions, old.id).title == str(old.id)
    with sessions() as session:
        told = session.scalars(sa.text("select envelope->>'subject' from outbox order by position")).all()
    assert told == [str(each.id) for each in (*others[:2], changed)]


@every_way
def test_an_event_that_many_note_at_once_is_dealt_with_once(sessions: Sessions, begun: bool | None) -> None:
    event_id = str(new_id())
    barrier = threading.Barrier(8)

    def handle(index: int) -> bool:
        barrier.wait(10)
        try:
            save(sessions, begun, lambda uow: (uow.later(NOTE, text=f"{index}"), uow.note("handler", event_id)))
        except SeenBefore:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(handle, range(8))) == 1
    assert len(rows(sessions, notes)) == 1
    save(sessions, begun, lambda uow: uow.note("another handler", event_id))


def test_what_is_written_at_once_stays_whatever_comes_after(sessions: Sessions) -> None:
    form = Form("INSERT INTO notes (text) VALUES (:text) RETURNING text", {"text": sa.Text()})
    with unit(sessions, begun=None) as uow:
        assert uow.at_once(form, text="kept") == "kept"
        uow.keep(Thing())
    assert [len(rows(sessions, table)) for table in (things, notes)] == [0, 1]
    with unit(sessions, begun=True) as uow, pytest.raises(RuntimeError):
        uow.at_once(form, text="undone with the rest")


def test_a_read_sees_what_its_transaction_has_locked_and_changed(sessions: Sessions) -> None:
    thing = Thing(title="old")
    save(sessions, False, lambda uow: uow.keep(thing))
    title = sa.select(things.c.label)
    with unit(sessions, begun=True) as uow:
        uow.session.execute(sa.update(things).values(label="new"))
        assert uow.first(title).label == "new"
    with unit(sessions, begun=None) as uow:
        assert uow.first(title).label == "old"
        assert uow.first(title.where(things.c.label == "new")) is None


@pytest.mark.parametrize("begun", [None, False], ids=["no session", "one message"])
def test_what_is_set_back_to_what_it_was_is_not_written(sessions: Sessions, begun: bool | None) -> None:
    thing = Thing(title="old", data={"n": 1})
    save(sessions, False, lambda uow: uow.keep(thing))

    def change(uow: Any) -> None:
        known = read(sessions, thing.id)
        uow.keep(known)
        known.data = {"n": 2}
        known.data = {"n": 1}
        known.rename("new")
        with sessions() as other:
            other.execute(sa.update(things).values(data={"n": 3}))
            other.commit()

    save(sessions, begun, change)
    (row,) = rows(sessions)
    assert (row["label"], row["data"]) == ("new", {"n": 3})


@pytest.mark.parametrize("begun", [None, False], ids=["no session", "one message"])
def test_what_was_not_read_and_is_set_is_written(sessions: Sessions, begun: bool | None) -> None:
    thing = Thing(title="old", data={"n": 1}, words=("a",))
    save(sessions, False, lambda uow: uow.keep(thing))

    def change(uow: Any) -> None:
        known = read(sessions, thing.id)
        uow.keep(known)
        sa.inspect(known)._expire_attributes(known.__dict__, ["words"])
        known.words = ("b",)
        known.rename("new")

    save(sessions, begun, change)
    (row,) = rows(sessions)
    assert (row["label"], row["words"]) == ("new", ("b",))


@every_way
def test_a_deletion_and_a_change_without_a_version_are_saved_as_well(sessions: Sessions, begun: bool | None) -> None:
    thing, note = Thing(), Note("old")
    save(sessions, False, lambda uow: (uow.keep(thing), uow.keep(note)))
    make_transient_to_detached(note)

    def change(uow: Any) -> None:
        uow.keep(note)
        note.text = "new"

    save(sessions, begun, change)
    assert rows(sessions, notes) == [{"text": "new"}]

    def delete(uow: Any) -> None:
        known = read(sessions, thing.id)
        uow.keep(known)
        uow.session.delete(known)

    save(sessions, begun, delete)
    assert rows(sessions) == []


@every_way
def test_a_server_that_goes_away_while_it_saves_leaves_the_outcome_open(sessions: Sessions, begun: bool | None) -> None:
    """In a transaction only the commit itself does: what is lost before it has not happened."""
    slow = Form("INSERT INTO notes (text) SELECT 'slow' FROM pg_sleep(20)", {})
    errors: list[Exception] = []

    def run() -> None:
        try:
            save(sessions, begun, lambda uow: uow.later(slow))
        except Exception as exc:
            errors.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    kill = sa.text("select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(20)%'")

    def killed() -> bool:
        with sessions.engine.connect() as connection:
            return bool(connection.execute(sa.text(f"{kill} and pid <> pg_backend_pid()")).all())

    eventually(killed, within=10)
    thread.join(10)
    (error,) = errors
    if begun is True:
        assert isinstance(error, OperationalError)
        assert error.connection_invalidated
    else:
        assert isinstance(error, OutcomeUnknown)
    # The pool has noticed.
    save(sessions, begun, lambda uow: uow.later(NOTE, text="next"))
    assert rows(sessions, notes) == [{"text": "next"}]
