"""Looking into an inbox: pages, what has come since, and actors as their reader may see them."""

import pytest

from lib.ids import new_id
from users_svc.application.close_profile import close_profile
from users_svc.application.list_notifications import list_notifications, notifications_after
from users_svc.application.mark_all_notifications_read import mark_all_notifications_read
from users_svc.application.mark_notification_read import mark_notification_read
from users_svc.application.notification_pages import InvalidCursor, InvalidLimit, InvalidNumber
from users_svc.infrastructure.tables import blocks, follows


def shown(ports, user_id, **more):
    return list_notifications(ports, user_id=str(user_id), **more)


def numbers(page):
    return [each["number"] for each in page.data]


def test_pages_go_through_all_newest_first(ports, ann, tell):
    for _ in range(7):
        tell(ann)
    first = shown(ports, ann, limit=3)
    assert (numbers(first), first.unread) == ([7, 6, 5], 7)
    tell(ann)
    second = shown(ports, ann, limit=3, cursor=first.next_cursor)
    third = shown(ports, ann, limit=3, cursor=second.next_cursor)
    assert (numbers(second), numbers(third), third.next_cursor) == ([4, 3, 2], [1], None)
    assert shown(ports, ann, limit=8).next_cursor is None


def test_a_list_of_what_is_unread(ports, ann, tell):
    for _ in range(6):
        tell(ann)
    for each in shown(ports, ann).data[::2]:
        mark_notification_read(ports, user_id=str(ann), notification_id=str(each["id"]))
    first = shown(ports, ann, unread_only=True, limit=2)
    assert (numbers(first), first.unread) == ([5, 3], 3)
    assert numbers(shown(ports, ann, unread_only=True, cursor=first.next_cursor)) == [1]


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", 7, "ü" * 20, "A" * 20, "=" * 20, "A" * 10_000, "\0", "\ud800"])
def test_what_is_no_cursor_is_refused(ports, ann, tell, cursor):
    tell(ann)
    with pytest.raises(InvalidCursor):
        shown(ports, ann, cursor=cursor)


def test_a_cursor_fits_one_list_and_no_letter_of_it_may_change(ports, ann, bob, tell):
    for user_id in (ann, bob) * 2:
        tell(user_id)
    cursor = shown(ports, ann, limit=1).next_cursor
    with pytest.raises(InvalidCursor):
        shown(ports, bob, cursor=cursor)
    for at in range(len(cursor)):
        with pytest.raises(InvalidCursor):
            shown(ports, ann, cursor=cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :])


@pytest.mark.parametrize("limit", [0, -1, 101, True, "20", None, 2.5])
def test_a_page_has_a_limit(ports, ann, limit):
    with pytest.raises(InvalidLimit):
        shown(ports, ann, limit=limit)
    with pytest.raises(InvalidLimit):
        notifications_after(ports, user_id=str(ann), number=0, limit=limit)


def test_whoever_has_some_gets_the_rest_in_order(ports, person, ann, tell):
    for _ in range(5):
        tell(ann, "followed", by=person("Bob"))
    news = notifications_after(ports, user_id=str(ann), number=2)
    assert ([each["number"] for each in news.rows], news.last, news.unread) == ([3, 4, 5], 5, 5)
    assert {each["actor"]["display_name"] for each in news.rows} == {"Bob"}
    part = notifications_after(ports, user_id=str(ann), number=0, limit=2)
    assert ([each["number"] for each in part.rows], part.last) == ([1, 2], 5)
    for number in (5, 2**53 - 1, None):
        none = notifications_after(ports, user_id=str(ann), number=number)
        assert (list(none.rows), none.last, none.unread) == ([], 5, 5)


@pytest.mark.parametrize("number", [-1, 2**53, True, "1", 1.0])
def test_a_number_is_a_whole_one(ports, ann, number):
    with pytest.raises(InvalidNumber):
        notifications_after(ports, user_id=str(ann), number=number)
    with pytest.raises(InvalidNumber):
        mark_all_notifications_read(ports, user_id=str(ann), up_to=number)


@pytest.mark.parametrize("way", ["blocks", "disabled", "deleted"])
def test_an_actor_who_is_not_there_any_more_is_nobody(ports, person, ann, tell, edge, way):
    dan = person("Dan", disabled=way == "disabled")
    tell(ann, "followed", by=dan)
    if way == "blocks":
        edge(blocks, dan, ann)
    if way == "deleted":
        close_profile(ports, event_id=str(new_id()), user_id=str(dan))
    (told,) = shown(ports, ann).data
    assert (told["type"], told["actor"]) == ("followed", None)
    assert str(dan) not in str(told)


def test_of_an_actor_is_shown_what_their_owner_shows_to_whoever_looks(ports, person, ann, tell, edge):
    names = {"handle": "followers", "display_name": "mutuals", "avatar_url": "private"}
    eve = person("Eve", handle="eve", avatar_url="https://example.com/eve.png", visibility=names)
    tell(ann, "followed", by=eve)
    shown_to_stranger = {"id": eve, "handle": None, "display_name": None, "avatar_url": None}
    assert shown(ports, ann).data[0]["actor"] == shown_to_stranger
    edge(follows, eve, ann)
    assert shown(ports, ann).data[0]["actor"] == shown_to_stranger
    edge(follows, ann, eve)
    expected = {"id": eve, "handle": "eve", "display_name": "Eve", "avatar_url": None}
    assert shown(ports, ann).data[0]["actor"] == expected
    assert notifications_after(ports, user_id=str(ann), number=0).rows[0]["actor"] == expected
