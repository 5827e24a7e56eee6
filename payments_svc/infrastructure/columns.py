"""What all tables of payments_svc are made of."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

metadata = sa.MetaData()


class WordType(sa.TypeDecorator[StrEnum]):
    """A status, kept as its word."""

    impl, cache_ok = sa.Text, True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: StrEnum | None, _dialect: sa.Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: Any | None, _dialect: sa.Dialect) -> StrEnum | None:
        return None if value is None else self.words(value)


def one_of(table: str, column: str, words: type[StrEnum]) -> sa.CheckConstraint:
    """Return the constraint that the column holds one of the words (or null)."""
    listed = ", ".join(f"'{each}'" for each in words)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=f"{table}_{column}_known")


def id_column(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, pg.UUID(as_uuid=True), nullable=nullable)


def moment(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def amount(name: str, *, default: str | None = None, nullable: bool = False) -> sa.Column[Any]:
    """Minor units."""
    return sa.Column(name, sa.BigInteger, nullable=nullable, server_default=default)
