"""Many made-up people in the table of profiles, in seconds: for plans and for times, which a few rows cannot show.

Names are common and rare as they are among people: some first names are a hundred times as frequent as others. Each
handle ends with a few characters that nobody else has.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import sqlalchemy as sa

FIRST = (
    "Maria James Ana Mohamed Anna John Elena David Olga Michael Laura Peter Marta Thomas Sofia Daniel Julia Andrea"
    " Carlos Emma Lucas Ivan Nina Paul Eva Martin Clara Simon Irene Victor Alice Oscar Lena Felix Rosa Hugo Vera Leon"
    " Marie Adam Helena Jonas Greta Anton Ingrid Björn Zoë Søren Chloé José Łukasz Noémie Jürgen Siân Ximena Kwame"
    " Quentin Yuki Priya Zsófia"
)
STARTS = (
    "Al Ander Bar Beck Berg Black Brook Carl Castel Chamber Cold Dal Dun East Eber Fair Falk Feld Fitz Gar Gold Gran"
    " Green Hall Hart Haw Hill Holl Isak Jan Kar Kirk Kov Kras Lang Lind Lock Mac Mar Mont Nor Oak Ol Pet Pol Quin Ran"
    " Rich Ros Sand Schwar Sil Stan Stein Thor Under Van Wal Whit Wol Wyn Zim"
)
ENDS = (
    "bach berg bridge burg by cott dale den dorf ell er field ford gate ham hard hardt haven holm house ich ing kamp"
    " land ler ley man mann mark mer mont mueller ner ney nik off ov ovic ridge rup sen ski son stein strom ton ville"
    " wald well wick wood worth zel zyk"
)

# `i` is spread over the names by multiplication with primes, so that neighbours have little in common. The square
# makes the first ones of a list the frequent ones. Folding is the domain's business: these names hold only letters
# for which `translate` does the same.
_SEED = sa.text(
    """
    WITH numbers AS (
        SELECT i,
            (power((i::bigint * 7919 % 100003) / 100003.0, 2) * :firsts)::int AS first,
            (i::bigint * 104729 % :starts)::int AS start,
            (power((i::bigint * 15485863 % 100019) / 100019.0, 1.5) * :ends)::int AS ending
        FROM generate_series(CAST(:start AS int), CAST(:stop AS int)) AS i
    ), named AS (
        SELECT i, (CAST(:first_names AS text[]))[least(first, :firsts - 1) + 1] AS first_name,
            (CAST(:start_names AS text[]))[start + 1]
                || (CAST(:end_names AS text[]))[least(ending, :ends - 1) + 1] AS last_name,
            substr(md5(i::text), 1, 5) AS tail
        FROM numbers
    ), folded AS (
        SELECT *, translate(lower(first_name), 'öëøéłüâóí', 'oeoeluaoi') AS plain_first, lower(last_name) AS plain_last
        FROM named
    ), people AS (
        SELECT *, plain_first || ' ' || plain_last AS name, CASE i % 3
            WHEN 0 THEN plain_first || '_' || plain_last || '_' || tail
            WHEN 1 THEN left(plain_first, 1) || plain_last || tail
            ELSE plain_last || '_' || tail
        END AS handle
        FROM folded
    )
    INSERT INTO profiles (
        id, email, handle, display_name, created_at, updated_at, handle_key, email_key, search_text, search_name,
        search_handle, discoverable, private, disabled, findable_by_email
    )
    SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'person' || i || '@example.com', handle,
            first_name || ' ' || last_name, timestamptz '2025-01-01' + i * interval '1 second', now(),
            'seed' || i, 'person' || i || '@example.com', handle || ' ' || name, name, handle,
            i % 50 <> 0, i % 50 = 1, i % 50 = 2, i % 10 = 3
    FROM people
    """
)


def id_of(number: int) -> UUID:
    """Return the id of one of them."""
    return UUID(f"00000000-0000-7000-8000-{number:012x}")


def seed(connection: sa.Connection, start: int, stop: int) -> None:
    """Store the people with the numbers from `start` to `stop`; one in fifty each is hidden, private or disabled."""
    connection.execute(
        _SEED,
        {
            "start": start,
            "stop": stop,
            "first_names": FIRST.split(),
            "start_names": STARTS.split(),
            "end_names": ENDS.split(),
            "firsts": len(FIRST.split()),
            "starts": len(STARTS.split()),
            "ends": len(ENDS.split()),
        },
    )


@contextmanager
def without_indexes(connection: sa.Connection) -> Iterator[None]:
    """Make the indexes of search at the end, which takes a fraction of the time."""
    query = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'profiles' AND indexname LIKE '%\\_idx'"
    made = connection.execute(sa.text(query)).all()
    for name, _ in made:
        connection.execute(sa.text(f"DROP INDEX {name}"))
    yield
    for _, definition in made:
        connection.execute(sa.text(definition))


def settle(connection: sa.Connection) -> None:
    """Do what autovacuum does in time: clean the table and learn what is in it. Not within a transaction."""
    connection.execute(sa.text("VACUUM ANALYZE profiles"))
