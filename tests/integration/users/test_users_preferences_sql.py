"""Preferences on PostgreSQL: what is kept, who may change it, and that no change is lost."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from uuid import UUID

import pytest
import sqlalchemy as sa

from lib.context import ANONYMOUS, SYSTEM, Actor, NotAllowed, NotSignedIn
from lib.ids import new_id
from lib.secret_key import derived_keys
from tests.support.waiting import eventually
from users_svc.application.close_profile import close_profile
from users_svc.application.get_preferences import get_preferences
from users_svc.application.unsubscribe import unsubscribe
from users_svc.application.update_preferences import update_preferences
from users_svc.domain.identity import Identity
from users_svc.domain.notification_preferences import NOTIFICATION_PREFERENCES, InvalidUnsubscribeToken
from users_svc.domain.notification_types import CHANNELS, TYPES
from users_svc.domain.preference_records import InvalidPreference, NotOptional, PreferencesChanged, UnknownField
from users_svc.domain.preferences import KINDS, PREFERENCES, UnknownKind
from users_svc.domain.profile import UserNotFound
from users_svc.infrastructure.tables import preference_records
from users_svc.infrastructure.unsubscribe_tokens import PURPOSE, HmacUnsubscribeTokens
from users_svc.presentation.service import UsersService

ANN = "0190c2f4-7b5a-7c3e-8d2f-1a2b3c4d5e6f"


@pytest.fixture
def ann(person):
    return str(person(name="Ann"))


@pytest.fixture
def service(ports):
    service = UsersService()
    service.ports, service.caller = ports, ANONYMOUS
    return service


@pytest.fixture
def rows(users_sessions):
    """``rows()``: what is stored."""

    def read():
        with users_sessions() as session:
            return [dict(row._mapping) for row in session.execute(sa.select(preference_records))]

    return read


def change(ports, user_id, changes, kind="preferences", **more):
    return update_preferences(ports, user_id=user_id, kind=kind, changes=changes, **more)


def wishes(ports, user_id):
    with ports.unit_of_work() as uow:
        return uow.preferences.notification_preferences(UUID(user_id))


@pytest.mark.parametrize("kind", KINDS)
def test_who_has_chosen_nothing_has_defaults_and_no_row(ports, ann, rows, kind):
    record = get_preferences(ports, user_id=ann, kind=kind)
    assert (record.values(), record.version) == (KINDS[kind].values({}), 0)
    assert rows() == []


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("preferences", {"theme": "dark", "language": "de-CH", "items_per_page": 100}),
        ("settings", {"hide_network": True, "allow_mentions_from": "nobody"}),
        ("notification_preferences", {"types": {"followed": {"email": True}}, "quiet_hours": {"from": "21:30"}}),
    ],
)
def test_only_what_was_chosen_is_kept_with_its_version(ports, ann, rows, kind, changes):
    before = ports.now()
    changed = change(ports, ann, changes, kind)
    (row,) = rows()
    assert (str(row["user_id"]), row["kind"], row["data"]) == (ann, kind, changes)
    assert (row["schema_version"], row["version"]) == (1, 1)
    assert before <= row["updated_at"] <= ports.now()
    found = get_preferences(ports, user_id=ann, kind=kind)
    assert (found.values(), found.version) == (changed.values(), 1)
    assert change(ports, ann, dict.fromkeys(changes), kind).version == 2
    assert rows()[0]["data"] == {}
    assert get_preferences(ports, user_id=ann, kind=kind).values() == KINDS[kind].values({})


def test_the_kinds_and_the_people_are_apart(ports, ann, person):
    bob = str(person(name="Bob"))
    change(ports, ann, {"theme": "dark"})
    assert get_preferences(ports, user_id=bob, kind="preferences").values()["theme"] == "system"
    assert get_preferences(ports, user_id=ann, kind="settings").version == 0
    change(ports, bob, {"theme": "light"})
    assert get_preferences(ports, user_id=ann, kind="preferences").values()["theme"] == "dark"


@pytest.mark.parametrize("changes", [{}, {"theme": None}])
def test_what_changes_nothing_writes_nothing(ports, ann, rows, changes):
    assert change(ports, ann, changes).version == 0
    assert rows() == []
    change(ports, ann, {"language": "fr"})
    (before,) = rows()
    assert change(ports, ann, changes | {"language": "fr"}).version == 1
    assert rows() == [before]


@pytest.mark.parametrize(
    ("kind", "changes", "refusal"),
    [
        ("preferences", {"theme": "dark", "colour": "red"}, UnknownField),
        ("preferences", {"theme": "pink"}, InvalidPreference),
        ("settings", {"theme": "dark"}, UnknownField),
        ("notification_preferences", {"types": {"login_locked": {"in_app": False}}}, NotOptional),
        ("notification_preferences", {"types": {"unheard_of": {"in_app": False}}}, UnknownField),
        ("preferences", None, InvalidPreference),
        ("Preferences", {"theme": "dark"}, UnknownKind),
    ],
)
def test_a_refused_change_changes_nothing(ports, ann, rows, kind, changes, refusal):
    with pytest.raises(refusal):
        change(ports, ann, changes, kind)
    assert rows() == []


def test_a_change_of_an_old_version_is_refused(ports, ann):
    change(ports, ann, {"theme": "dark"}, expected_version=0)
    with pytest.raises(PreferencesChanged):
        change(ports, ann, {"theme": "light"}, expected_version=0)
    found = change(ports, ann, {"theme": "light"}, expected_version=1)
    assert (found.values()["theme"], found.version) == ("light", 2)


# --- many at once ---


def at_once(calls):
    """Run the calls together; return their results or errors, in their order."""
    start = threading.Barrier(len(calls))

    def run(call):
        start.wait(30)
        try:
            return call()
        except Exception as exc:
            return exc

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def different_patches():
    """Return patches by kind, each of another key."""
    optional = [each.name for each in TYPES.values() if not each.security]
    cells = [{"types": {name: {channel: True}}} for name in optional for channel in CHANNELS]
    hours = [{"quiet_hours": each} for each in ({"enabled": True}, {"from": "21:30"}, {"to": "06:15"})]
    looks = {"theme": "dark", "language": "fr", "time_format": "12h", "start_of_week": "sunday", "items_per_page": 99}
    dealings = {"show_online": False, "allow_mentions_from": "nobody", "hide_network": True}
    kinds = {
        "notification_preferences": cells + hours,
        "preferences": [{name: value} for name, value in looks.items()],
        "settings": [{name: value} for name, value in dealings.items()],
    }
    return [(kind, patch) for kind, patches in kinds.items() for patch in patches]


def test_fifty_changes_at_once_lose_nothing(ports, ann):
    """Of every key that there is; some come twice, which changes nothing, so each key counts for one version."""
    each = different_patches()
    patches = (each * 3)[:50]
    results = at_once([partial(change, ports, ann, patch, kind) for kind, patch in patches])
    assert [result for result in results if isinstance(result, Exception)] == []
    for kind, shape in KINDS.items():
        expected, of_kind = {}, [patch for name, patch in each if name == kind]
        for patch in of_kind:
            expected = shape.merged(expected, patch)
        found = get_preferences(ports, user_id=ann, kind=kind)
        assert (found.chosen, found.version) == (expected, len(of_kind))


def test_of_fifty_who_decided_on_one_version_one_wins(ports, ann):
    calls = [partial(change, ports, ann, {"items_per_page": each}, expected_version=0) for each in range(1, 51)]
    results = at_once(calls)
    (winner,) = [result for result in results if not isinstance(result, Exception)]
    assert {type(result) for result in results if result is not winner} == {PreferencesChanged}
    found = get_preferences(ports, user_id=ann, kind="preferences")
    assert (found.chosen, found.version) == (winner.chosen, 1)


# --- profiles that come and go ---


def test_a_change_before_the_profile_is_there_opens_it(ports, rows):
    ports.identities.add(Identity(UUID(ANN), "ann@example.com", "Ann"))
    assert change(ports, ANN, {"theme": "dark"}).version == 1
    assert ports.profiles.find(UUID(ANN))["display_name"] == "Ann"
    assert len(rows()) == 1


@pytest.mark.parametrize("user_id", [ANN, "nobody", "", None, 5])
def test_nobody_has_no_preferences_to_change(ports, rows, user_id):
    with pytest.raises(UserNotFound):
        change(ports, user_id, {"theme": "dark"})
    assert rows() == []


def test_they_go_with_the_profile(ports, ann, rows):
    change(ports, ann, {"theme": "dark"})
    close_profile(ports, event_id=str(new_id()), user_id=ann)
    assert rows() == []


WAITING = sa.select(sa.func.count().label("waits")).select_from(
    sa.text("pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
)


def test_a_change_that_meets_the_deletion_finds_nobody(ports, ann, rows, users_sessions):
    """The profile is seen, and gone when the change comes to it: it waits for the deletion, and finds nobody."""
    with users_sessions() as deleting, ThreadPoolExecutor(1) as pool:
        deleting.execute(sa.text("DELETE FROM profiles WHERE id = :id"), {"id": ann})
        late = pool.submit(change, ports, ann, {"theme": "dark"})
        # Each look in a transaction of its own, as one shows the activity of its beginning.
        eventually(lambda: users_sessions.first(WAITING)["waits"])
        assert not late.done()
        deleting.commit()
        with pytest.raises(UserNotFound):
            late.result(10)
    assert rows() == []


# --- what others of this service ask ---


def test_the_wishes_of_who_has_chosen_nothing_are_the_defaults(ports, ann):
    for name, kind in TYPES.items():
        for channel in CHANNELS:
            assert wishes(ports, ann).wants(name, channel) is (channel in kind.by_default)


def test_wishes_are_seen_as_they_were_chosen(ports, ann):
    change(ports, ann, {"types": {"payment_failed": {"email": False}}}, "notification_preferences")
    assert not wishes(ports, ann).wants("payment_failed", "email")
    assert wishes(ports, ann).wants("payment_failed", "in_app")
    with ports.unit_of_work() as uow:
        assert uow.preferences.find(UUID(ann), NOTIFICATION_PREFERENCES).version == 1
        # In a transaction, too.
        assert uow.preferences.lock(UUID(ann), PREFERENCES).version == 0
        assert not uow.preferences.notification_preferences(UUID(ann)).wants("payment_failed", "email")


# --- the link in mails ---


@pytest.mark.parametrize("type_name", [each.name for each in TYPES.values() if not each.security])
def test_unsubscribing_ends_the_mails_of_that_type_and_no_others(ports, ann, type_name):
    every = {each.name: {"email": True} for each in TYPES.values() if not each.security}
    change(ports, ann, {"types": every, "quiet_hours": {"enabled": True}}, "notification_preferences")
    before = get_preferences(ports, user_id=ann, kind="notification_preferences").values()
    token = ports.unsubscribe_tokens.token(UUID(ann), type_name)
    for _ in range(2):
        unsubscribe(ports, token=token)
        found = get_preferences(ports, user_id=ann, kind="notification_preferences")
        assert found.version == 2
        before["types"][type_name]["email"] = False
        assert found.values() == before
        assert not wishes(ports, ann).wants(type_name, "email")
    # Its owner can undo it, and the same link ends it again.
    change(ports, ann, {"types": {type_name: {"email": True}}}, "notification_preferences")
    assert wishes(ports, ann).wants(type_name, "email")
    unsubscribe(ports, token=token)
    assert not wishes(ports, ann).wants(type_name, "email")


def test_a_token_that_is_none_of_ours_changes_nothing(ports, ann, rows):
    foreign = HmacUnsubscribeTokens(derived_keys("another-key", PURPOSE)).token(UUID(ann), "followed")
    made_for_no_type = ports.unsubscribe_tokens.token(UUID(ann), "unheard_of")
    of_security = ports.unsubscribe_tokens.token(UUID(ann), "password_changed")
    for token in (foreign, made_for_no_type, of_security, "", "lut_", "x" * 100_000, None, 5):
        with pytest.raises(InvalidUnsubscribeToken):
            unsubscribe(ports, token=token)
    assert rows() == []


def test_who_is_gone_needs_no_unsubscribing(ports, ann, rows):
    token = ports.unsubscribe_tokens.token(UUID(ann), "followed")
    close_profile(ports, event_id=str(new_id()), user_id=ann)
    unsubscribe(ports, token=token)
    assert rows() == []


def test_a_link_outlives_a_new_secret_key_in_front(ports, ann):
    old = HmacUnsubscribeTokens(derived_keys("old", PURPOSE)).token(UUID(ann), "payment_failed")
    rotated = replace(ports, unsubscribe_tokens=HmacUnsubscribeTokens(derived_keys("new,old", PURPOSE)))
    unsubscribe(rotated, token=old)
    assert not wishes(ports, ann).wants("payment_failed", "email")


# --- RPC ---


def account(*roles, user_id=ANN):
    return Actor("account", id=user_id, roles=frozenset(roles))


def test_the_answers_are_the_values_with_their_versions(service, ann):
    read = service.get_preferences(user_id=ann)
    assert read == {**PREFERENCES.values({}), "schema_version": 1, "version": 0}
    changed = service.update_preferences(user_id=ann, changes={"theme": "dark"}, expected_version=0)
    assert changed == {**read, "theme": "dark", "version": 1}
    assert json.loads(json.dumps(changed)) == changed == service.get_preferences(user_id=ann, kind="preferences")
    quiet = service.update_preferences(
        user_id=ann, changes={"quiet_hours": {"enabled": True}}, kind="notification_preferences"
    )
    assert quiet["quiet_hours"] == {"enabled": True, "from": "22:00", "to": "07:00"}
    token = service.ports.unsubscribe_tokens.token(UUID(ann), "payment_failed")
    assert service.unsubscribe(token=token) == {}
    read = service.get_preferences(user_id=ann, kind="notification_preferences")
    assert read["types"]["payment_failed"] == {"in_app": True, "email": False}


@pytest.mark.parametrize("method", ["get_preferences", "update_preferences"])
@pytest.mark.parametrize(
    ("actor", "refusal"),
    [
        (ANONYMOUS, NotSignedIn),
        (account(user_id="0190c2f4-7b5a-7c3e-8d2f-000000000000"), NotAllowed),
        (account("admin", "support", user_id="0190c2f4-7b5a-7c3e-8d2f-000000000000"), NotAllowed),
        (account(), None),
        (SYSTEM, None),
    ],
)
def test_preferences_are_their_owners_business(method, actor, refusal):
    (entrypoint,) = getattr(UsersService, method).nameko_entrypoints
    if refusal is None:
        entrypoint.allow(actor, {"user_id": ANN})
        return
    with pytest.raises(refusal):
        entrypoint.allow(actor, {"user_id": ANN})


@pytest.mark.parametrize("actor", [ANONYMOUS, account(), SYSTEM])
def test_a_link_is_used_by_whoever_has_the_mail(actor):
    (entrypoint,) = UsersService.unsubscribe.nameko_entrypoints
    entrypoint.allow(actor, {"token": "lut_1"})
    assert "token" in entrypoint.sensitive_arguments
