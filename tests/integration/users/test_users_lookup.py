"""Many ids and handles at once, on PostgreSQL."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from lib.ids import new_id
from tests.support.naughty import NAUGHTY
from users_svc.application.block_user import block_user
from users_svc.application.edit_profile import edit_profile
from users_svc.application.follow_user import follow_user
from users_svc.application.lookup_users import InvalidLookup, lookup_users
from users_svc.domain.handle import QUARANTINE, key_of


@pytest.fixture
def named(person):
    """``named("Ann_1")`` → the id of somebody with that handle."""

    def make(handle, **fields):
        return person(handle=handle, handle_key=key_of(handle), **fields)

    return make


@pytest.fixture
def look(ports):
    """``look(ids=[…], handles=[…])`` → an id for each who is there, and for each who is not what was asked for."""

    def up(**asked):
        ids = [str(each) for each in asked.pop("ids", [])]
        return [
            each["id"] if "not_found" not in each else each.get("handle", each.get("id"))
            for each in lookup_users(ports, ids=ids, **asked)
        ]

    return up


def test_one_item_for_each_that_is_asked_for_in_order(named, look):
    ann, bob, eve = named("ann"), named("bob"), named("eve")
    nobody = str(new_id())
    assert look(ids=[eve, nobody, ann, eve]) == [eve, nobody, ann, eve]
    assert look(handles=["bob", "nobody", "ann", "BOB", "b_o_b"]) == [bob, "nobody", ann, bob, bob]
    assert look(ids=[bob], handles=["bob"]) == [bob, bob]
    assert look() == []


def test_who_is_not_there_comes_as_it_was_asked_for(ports):
    asked = [str(new_id()), "", "ANN", str(new_id()).upper(), f"urn:uuid:{new_id()}"]
    assert lookup_users(ports, ids=asked) == [{"id": each, "not_found": True} for each in asked]
    asked = ["nobody", "", "a", "no such handle", "1_2", "\0"]
    assert lookup_users(ports, handles=asked) == [{"handle": each, "not_found": True} for each in asked]


def test_a_hundred_of_each_are_one_query(ports, named, users_sessions):
    ids = [str(named(f"handle_{number}")) for number in range(100)]
    sent = []
    sa.event.listen(users_sessions.engine, "before_cursor_execute", lambda *arguments: sent.append(arguments[2]))
    found = lookup_users(ports, ids=ids, handles=[f"handle_{number}" for number in range(100)])
    assert [str(each["id"]) for each in found] == ids * 2
    assert len(sent) == 1


@pytest.mark.parametrize("name", ["ids", "handles"])
@pytest.mark.parametrize("bad", [None, "ann", 5, {"ann": 1}, [5], [None], ["x" * 65], ["x"] * 101])
def test_what_is_no_list_of_texts_is_refused(ports, name, bad):
    with pytest.raises(InvalidLookup) as caught:
        lookup_users(ports, **{name: bad})
    assert caught.value.details["errors"][0]["pointer"] == f"/{name}"


def test_a_handle_that_was_given_up_leads_to_who_had_it_as_long_as_nobody_else_can_have_it(ports, named, look):
    ann = named("ann_old")
    edit_profile(ports, user_id=str(ann), changes={"handle": "ann_new"})
    assert look(handles=["ann_old", "ann_new"]) == [ann, ann]
    (item,) = lookup_users(ports, handles=["ann_old"])
    assert item["handle"] == "ann_new"
    later = replace(ports, now=lambda: ports.now() + QUARANTINE + timedelta(seconds=1))
    assert lookup_users(later, handles=["ann_old"]) == [{"handle": "ann_old", "not_found": True}]


def test_who_has_a_handle_comes_before_who_had_it(ports, named, look, users_sessions):
    """It takes a quarantine that is shorter than it was, or a clock that was set back."""
    ann = named("ann_old")
    edit_profile(ports, user_id=str(ann), changes={"handle": "ann_new"})
    assert look(handles=["ann_old"]) == [ann]
    bob = named("ann_old")
    assert look(handles=["ann_old"]) == [bob]


def test_no_trace_of_who_blocks_the_viewer_or_is_disabled(ports, named, look):
    ann, off, viewer = named("ann"), named("off", disabled=True), str(named("viewer"))
    block_user(ports, user_id=str(ann), target_id=viewer)
    asked = {"ids": [ann, off], "handles": ["ann", "off"]}
    assert look(**asked, viewer_id=viewer) == [str(ann), str(off), "ann", "off"]
    assert look(**asked) == [ann, str(off), ann, "off"]
    assert look(**asked, is_admin=True) == [ann, off, ann, off]
    assert look(**asked, viewer_id=str(off)) == [ann, off, ann, off]


def test_whom_the_viewer_blocks_and_who_hides_from_search_is_there(ports, named, look):
    ann, shy, viewer = named("ann", discoverable=False), named("shy", private=True), str(named("viewer"))
    block_user(ports, user_id=viewer, target_id=str(ann))
    assert look(ids=[ann], handles=["ann", "shy"], viewer_id=viewer) == [ann, ann, shy]


def test_a_handle_that_is_not_for_the_viewer_leads_nowhere(ports, named, look):
    ann = named("ann", visibility={"handle": "followers"})
    follower = str(named("follower"))
    follow_user(ports, user_id=follower, target_id=str(ann))
    edit_profile(ports, user_id=str(ann), changes={"handle": "ann_b"})
    asked = {"ids": [ann], "handles": ["ann", "ann_b"]}
    assert look(**asked) == [ann, "ann", "ann_b"]
    assert look(**asked, viewer_id=follower) == [ann, ann, ann]


def test_a_viewer_gets_the_fields_that_are_for_them(ports, named):
    ann, follower = named("ann", bio="gardening"), str(named("follower"))
    follow_user(ports, user_id=follower, target_id=str(ann))
    for viewer, sees_bio in ((None, False), (str(named("other")), False), (follower, True), (str(ann), True)):
        for asked in ({"ids": [str(ann)]}, {"handles": ["ann"]}):
            (item,) = lookup_users(ports, **asked, viewer_id=viewer)
            assert ("bio" in item) is sees_bio
            assert ("email" in item) is (viewer == str(ann))


def test_any_text_is_nobody_s_or_refused(ports):
    for name, text in NAUGHTY.items():
        try:
            found = lookup_users(ports, ids=[text], handles=[text])
        except InvalidLookup:
            assert len(text) > 64, name
        else:
            assert [each["not_found"] for each in found] == [True, True], name
