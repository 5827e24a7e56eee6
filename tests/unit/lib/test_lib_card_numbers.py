"""No line of a log has a card number in it, wherever in the line it stood; ids and times stay as they are."""

import io
import json
import logging
import time
import uuid

import pytest
from hypothesis import given

from lib import logs
from lib.card_numbers import HIDDEN, characters_to_search, hide_card_numbers, holds_card_number
from lib.logs import redact
from tests.support.card_numbers import VISA, in_text, plain, spelled

ID = "0198a3f2-6c1e-7d4a-9b57-2f4c8e6a1d03"


@given(in_text())
def test_no_card_number_is_in_a_value(text):
    for value in (text, [text], {"a": {"b": (text,)}}, {text: 1}, {text}, text.encode(), ValueError(text)):
        assert not holds_card_number(json.dumps(redact(value), ensure_ascii=False))


@given(plain())
def test_no_card_number_is_in_a_number(digits):
    assert redact(int(digits)) == redact(-int(digits)) == HIDDEN


@pytest.mark.parametrize(
    "value",
    [
        ID,
        f"payment {ID} settled",
        uuid.UUID(ID).hex,
        1767225600000,
        1767225600000123,
        "at 1767225600000 ms",
        10**12,
        4242,
        4242424242424241,
        0.4242424242424242,
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "2026-11-22T15:10:20.123456Z",
        "+4915112345670",
        None,
        True,
    ],
)
def test_ids_and_times_stay(value):
    assert redact(value) == value


@pytest.fixture(params=["json", "console"])
def written(request, monkeypatch):
    """What this process writes down, as an operator gets it."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr(logs, "_lines", None)
    logs.configure(service="some_svc", level="DEBUG", fmt=request.param)
    yield out.getvalue
    root.handlers[:] = before
    root.setLevel(level)


def test_no_way_to_write_a_line_writes_a_card_number(written):
    said = "4242 4242 4242 4242"
    log = logs.get("cards")
    log.info(f"card {said}", note=said, deep={"a": [said]}, number=int(VISA))
    logging.getLogger("library").warning("card %s of %s", said, ID)
    logging.getLogger("library").warning({"card": said})
    try:
        raise ValueError(f"no such card: {said}")
    except ValueError:
        log.exception("failed")
        logging.getLogger("library").exception("failed")
    text = written()
    assert said not in text
    assert VISA not in text
    assert text.count(HIDDEN) == 8
    assert ID in text


def test_a_text_without_one_is_the_same_text():
    assert hide_card_numbers("two rabbits") == "two rabbits"
    assert hide_card_numbers("1767225600000 1767225600001") == "1767225600000 1767225600001"


@given(spelled())
def test_only_the_number_is_hidden(number):
    assert hide_card_numbers(f"paid with {number}, thanks") == f"paid with {HIDDEN}, thanks"


def test_a_text_full_of_digits_is_searched_in_bounded_time():
    full = "3 " * 10_000
    began = time.process_time()
    assert not holds_card_number(full)
    assert time.process_time() - began < 0.5
    assert characters_to_search(full) == len(full) - 1
