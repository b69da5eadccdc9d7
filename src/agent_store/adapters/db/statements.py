"""SQLAlchemy Core statements compiled once and run on a bare driver.

SQLAlchemy's engine costs 25–40 µs of CPU a statement, its asyncio form with a thread 820 µs a transaction; a compiled
statement on the driver costs 3–8 µs. So the language is SQLAlchemy's, and only its execution is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any
from weakref import WeakKeyDictionary

from pydantic_core import from_json
from sqlalchemy import JSON, Column, Dialect, Float, Integer, Numeric
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.dml import Insert
from sqlalchemy.types import TypeEngine

Processor = Callable[[Any], Any]


class Compiled:
    """SQL text for one dialect, with what turns Python values into the driver's and back.

    `expanding` names the parameters that are lists (`IN (…)`). The text has room for as many items as were given, rounded
    up to a power of two, so that lists of all lengths share a few texts; `bind` fills the rest with the last item.
    A driver takes parameters by name (`bind`) or, with a numeric dialect, in the order of their numbers (`arguments`).
    An INSERT takes the columns given; a column's Python-side `default=` is not run, so leaving such a column out is refused.
    """

    __slots__ = ("_expansion", "_order", "binders", "constants", "expanding", "readers", "sql")

    def __init__(self, statement: Executable, dialect: Dialect, params: Mapping[str, Any]) -> None:
        clause: Any = statement
        columns = list(params) if isinstance(statement, Insert) else None
        if columns is not None:
            _refuse_defaults(clause.table, columns)
        compiled = clause.compile(dialect=dialect, column_keys=columns)
        binds: dict[str, Any] = {name: bind for bind, name in compiled.bind_names.items()}
        self.constants: dict[str, Any] = {
            name: bind.effective_value for name, bind in binds.items() if not bind.required and name not in params
        }
        self.binders: dict[str, Processor] = {}
        for name, bind in binds.items():
            processor = bind.type.dialect_impl(dialect).bind_processor(dialect)
            if processor is not None:
                self.binders[name] = processor
        self.expanding = tuple(name for name, bind in binds.items() if bind.expanding)
        self._expansion: Mapping[str, list[str]] = {}
        self.sql: str = str(compiled)
        order = compiled.positiontup
        if self.expanding:
            values = {**self.constants, **params}
            state = compiled.construct_expanded_state(
                {**values, **{name: _padded(values[name]) for name in self.expanding}}
            )
            self.sql, self._expansion, order = state.statement, state.parameter_expansion, state.positiontup
        self._order: tuple[tuple[str, Processor | None], ...] = tuple((n, self.binders.get(n)) for n in order or ())
        self.readers: list[tuple[int, Processor]] = []
        for index, column in enumerate(getattr(statement, "exported_columns", ())):
            processor = _reader(column, dialect)
            if processor is not None:
                self.readers.append((index, processor))

    def bind(self, params: Mapping[str, Any] | None) -> dict[str, Any]:
        """The driver's named parameters."""
        values: dict[str, Any] = {**self.constants, **params} if params else dict(self.constants)
        for name in self.expanding:
            processor = self.binders.get(name)
            items = _padded(values.pop(name))
            if items and isinstance(items[0], tuple):
                items = [part for item in items for part in item]
            for key, value in zip(self._expansion[name], items, strict=True):
                values[key] = processor(value) if processor else value
        for name, processor in self.binders.items():
            if name in values:
                values[name] = processor(values[name])
        return values

    def arguments(self, params: Mapping[str, Any] | None) -> list[Any]:
        """The driver's parameters in the order of their numbers. Raises KeyError that names one that is missing."""
        if self.expanding:
            values = self.bind(params)
            return [values[name] for name, _ in self._order]
        if not self._order:
            return []
        values = {**self.constants, **params} if params else self.constants
        return [values[name] if processor is None else processor(values[name]) for name, processor in self._order]


def _reader(column: Any, dialect: Dialect) -> Processor | None:
    """What turns the driver's value of a result column into the column's type."""
    kind: TypeEngine[Any] = column.type
    if dialect.name == "postgresql":
        if isinstance(kind, JSON):
            return _parsed  # the driver gives JSON as text; SQLAlchemy's engine would teach it on each connection
        if isinstance(kind, Integer) and not isinstance(column, Column):
            return _whole
        if isinstance(kind, Float | Numeric):
            return None  # SQLAlchemy asks for the driver's type code here, and the driver gives what the column is
    return kind.dialect_impl(dialect).result_processor(dialect, None)


def _parsed(value: str | None) -> Any:
    return None if value is None else from_json(value)


def _whole(value: Any) -> Any:
    """PostgreSQL's sum of a bigint is a numeric, which Python has as a Decimal."""
    return int(value) if isinstance(value, Decimal) else value


def _room(length: int) -> int:
    """0, 1, 2, 4, 8 …: how many items the text for a list of this length has room for."""
    return 1 << (length - 1).bit_length() if length else 0


def _padded(items: Iterable[Any]) -> list[Any]:
    """An item more of the same makes no difference to `IN`."""
    values = list(items)
    return values + values[-1:] * (_room(len(values)) - len(values))


def _refuse_defaults(table: Any, columns: list[str]) -> None:
    for column in table.columns:
        if column.default is not None and column.key not in columns:
            raise TypeError(f"{table.name}.{column.name}: give a value, its default is not run; or use server_default")


class Cache:
    """Compiled statements by statement object, the columns given (INSERT) and the room for lists.

    One a dialect for all stores of a process: what a statement is compiled to depends on nothing else."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: WeakKeyDictionary[Executable, dict[Any, Compiled]] = WeakKeyDictionary()
        self._lists: WeakKeyDictionary[Executable, tuple[str, ...]] = WeakKeyDictionary()

    def get(self, statement: Executable, params: Mapping[str, Any] | None) -> Compiled:
        given = params or {}
        forms = self._known.get(statement)
        if forms is None:
            compiled = Compiled(statement, self._dialect, given)
            if compiled.expanding:
                self._lists[statement] = compiled.expanding
            self._known[statement] = {self._form(statement, given): compiled}
            return compiled
        form = self._form(statement, given)
        compiled = forms.get(form)
        if compiled is None:
            compiled = forms[form] = Compiled(statement, self._dialect, given)
        return compiled

    def _form(self, statement: Executable, given: Mapping[str, Any]) -> Any:
        lists = self._lists.get(statement) if self._lists else None
        rooms = None if lists is None else tuple(_room(len(given[name])) for name in lists if name in given)
        if isinstance(statement, Insert):
            return tuple(given) if rooms is None else (*given, *rooms)
        return rooms
