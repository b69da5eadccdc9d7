"""What an agent's `tables.py` and `repository.py` use beyond plain SQLAlchemy Core, alike on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Self

from sqlalchemy import TIMESTAMP, BigInteger, Dialect, Index, Table, text
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.types import TypeDecorator, TypeEngine

__all__ = ["UtcTime", "insert", "partial_index"]


class _Upsert(Insert):
    """SQLite's INSERT … ON CONFLICT in a form that PostgreSQL's compiler takes as well.

    Both dialects render the same clause from the same attributes but one: a constraint's name, which SQLite lacks.
    (PostgreSQL's own construct would do for both, but its package imports every PostgreSQL driver: 40 ms a process.)
    """

    inherit_cache = True

    def on_conflict_do_update(self, *args: Any, **kwargs: Any) -> Self:
        return _unnamed(super().on_conflict_do_update(*args, **kwargs))

    def on_conflict_do_nothing(self, *args: Any, **kwargs: Any) -> Self:
        return _unnamed(super().on_conflict_do_nothing(*args, **kwargs))


def _unnamed(statement: Any) -> Any:
    statement._post_values_clause.constraint_target = None
    return statement


def insert(table: Table) -> _Upsert:
    """INSERT with `on_conflict_do_update` and `on_conflict_do_nothing`, for SQLite and PostgreSQL alike."""
    return _Upsert(table)


def partial_index(name: str, *columns: str, where: str, table: Table | None = None, unique: bool = False) -> Index:
    """An index over the rows where an SQL condition holds, which both databases must understand.

    PostgreSQL finds the condition in `info["where"]`: naming it `postgresql_where` here would import all its drivers.
    """
    return Index(name, *columns, sqlite_where=text(where), info={"where": where}, unique=unique, _table=table)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)


class UtcTime(TypeDecorator[datetime]):
    """Aware UTC: microseconds since 1970 on SQLite, `timestamptz` on PostgreSQL. A naive datetime is a ValueError."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(BigInteger() if dialect.name == "sqlite" else TIMESTAMP(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} is naive: times are aware UTC")
        return (value - _EPOCH) // _MICRO if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None or isinstance(value, datetime):
            return value
        return _EPOCH + _MICRO * value
