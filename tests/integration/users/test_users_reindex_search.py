"""What profiles are searched by, made anew by command: as the domain folds it, beside writers, after a stop."""

import json
from dataclasses import replace

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from tests.integration.users.conftest import DEFAULTS
from users_svc.application.edit_profile import edit_profile
from users_svc.application.reindex_search import reindex_search
from users_svc.application.search_users import search_users
from users_svc.infrastructure.tables import profiles
from users_svc.presentation.cli import commands


@pytest.fixture
def stored(users_sessions):
    """``stored()`` returns what stands in the table, by id."""

    def read():
        with users_sessions() as session:
            return {row.id: dict(row._mapping) for row in session.execute(sa.select(profiles))}

    return read


@pytest.fixture
def spoil(users_sessions):
    """Write what the migration wrote: names in small letters, whoever may see them."""

    def write():
        with users_sessions() as session:
            rough = sa.func.lower(profiles.c.display_name)
            session.execute(sa.update(profiles).values(search_handle="", search_name=rough, search_text=rough))
            session.commit()

    return write


@pytest.fixture
def people(person):
    return [
        person("Zoë Müller", handle="Zoe_M", handle_key="zoem"),
        person("Łukasz", visibility={"display_name": "followers"}, handle="Lukas", handle_key="lukas"),
        person("Ann", visibility={"handle": "private"}, handle="Ann_1", handle_key="annl"),
        person("Bob", handle="Hare", handle_key="hare"),
        person("Strasse"),
    ]


def test_everybody_is_found_again_as_they_want_to_be(ports, people, spoil, stored):
    right = stored()
    spoil()
    assert search_users(ports, query="zoe muller").data == []
    assert [each["id"] for each in search_users(ports, query="łukasz").data] == [people[1]]
    assert reindex_search(ports) == {"checked": 5, "written": 3}
    assert stored() == right
    assert [each["id"] for each in search_users(ports, query="zoe muller").data] == [people[0]]
    assert search_users(ports, query="łukasz").data == []
    assert reindex_search(ports) == {"checked": 5, "written": 0}


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_it_goes_on_where_it_was_stopped(ports, people, spoil, stored, batch):
    right = stored()
    spoil()
    told = []

    class Stopped(Exception):
        pass

    def stop(checked, last):
        told.append((checked, last))
        raise Stopped

    with pytest.raises(Stopped):
        reindex_search(ports, batch=batch, progress=stop)
    ((checked, last),) = told
    assert checked == min(batch, 5)
    assert last == sorted(people)[checked - 1]
    half = stored()
    assert [half[each] == right[each] for each in sorted(people)[:checked]] == [True] * checked
    assert reindex_search(ports, batch=batch, after=last)["checked"] == 5 - checked
    assert stored() == right


def test_a_profile_that_is_edited_meanwhile_is_left_as_it_was_edited(ports, people, spoil, stored):
    spoil()
    indexes = ports.search_indexes

    class Slow:
        after = indexes.after

        def write(self, found):
            edit_profile(ports, user_id=str(people[0]), changes={"display_name": "Ève"})
            return indexes.write(found)

    assert reindex_search(replace(ports, search_indexes=Slow())) == {"checked": 5, "written": 2}
    row = stored()[people[0]]
    assert (row["search_name"], row["search_text"], row["version"]) == ("eve", "zoe_m eve", 2)


def test_an_operator_makes_it_anew_by_command(users_sessions, people, spoil, stored):
    right = stored()
    uri = users_sessions.engine.url.render_as_string(hide_password=False)
    config = {**DEFAULTS, "DB_URIS": {"users_svc:Base": uri}}
    spoil()
    result = CliRunner().invoke(commands, ["reindex-search"], obj=config)
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"checked": 5, "written": 3})
    assert f"--after {max(people)}" in result.stderr
    again = CliRunner().invoke(commands, ["reindex-search", "--after", str(max(people))], obj=config)
    assert (again.exit_code, json.loads(again.stdout)) == (0, {"checked": 0, "written": 0})
    assert CliRunner().invoke(commands, ["reindex-search", "--after", "x"], obj=config).exit_code == 2
    assert stored() == right
