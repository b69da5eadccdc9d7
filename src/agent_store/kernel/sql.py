"""What an agent's `tables.py` and `repository.py` use beyond plain SQLAlchemy Core, alike on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import TIMESTAMP, BigInteger, Dialect
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.types import TypeDecorator, TypeEngine

__all__ = ["UtcTime", "insert"]

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
