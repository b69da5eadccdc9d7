"""Tools: questions and commands that need their answer now, typed in and out.

A tool's contract is a frozen model of its arguments; the class line names it and its result:

    class SearchProducts(Tool[SearchResult], name="catalog.search"):
        '''Find products that are on sale now.'''
        text: str

`writes=True` marks a tool that changes something: it runs in a transaction of its own agent and takes an
idempotency key. The customer is never an argument: it comes as the call's signed `Principal`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter

from agent_store.kernel.plain import Plain

TOOL_NAME = r"^[a-z][a-z_-]*\.[a-z][a-z_]*$"
"""A tool's name: its agent's, a point, its own."""
_NAME = re.compile(TOOL_NAME)

R = TypeVar("R")

registry: dict[str, type[Tool[Any]]] = {}
"""Every tool contract that has been imported, by its name."""


@dataclass(frozen=True, slots=True)
class Principal:
    """On whose behalf a tool is called. `lease_token` is the speaker's fencing token (architecture, promise 3).

    `brand` is the seller's brand. A staff call has `staff` set (the person's name) and may have no customer.
    """

    customer_id: str | None = None
    conversation_id: str | None = None
    brand: str | None = None
    channel: str | None = None
    lease_token: int | None = None
    language: str = "pt"
    staff: str | None = None


class Tool(BaseModel, Generic[R]):
    """Arguments of a tool call; strict about unknown fields, since a model may have made them up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool_name: ClassVar[str] = ""
    writes: ClassVar[bool] = False
    staff_only: ClassVar[bool] = False
    plain: ClassVar[Plain | None] = None
    """How a seller without a model uses it, for a tool that the rules were not written for."""
    result_adapter: ClassVar[TypeAdapter[Any]]

    def __init_subclass__(
        cls, *, name: str = "", writes: bool = False, staff_only: bool = False, **kwargs: Any
    ) -> None:
        super().__init_subclass__()  # pydantic hands the same keywords to the hook below, when fields are known

    @classmethod
    def __pydantic_init_subclass__(
        cls, *, name: str = "", writes: bool = False, staff_only: bool = False, **kwargs: Any
    ) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if not name:
            return
        if not _NAME.fullmatch(name):
            raise TypeError(f"{cls.__name__}: tool name {name!r} is not like cart.add")
        if not (cls.__doc__ or "").strip():
            raise TypeError(f"{cls.__name__}: a tool needs a docstring: it is what a model reads")
        result = _result_type(cls)
        if name in registry and registry[name].__qualname__ != cls.__qualname__:
            raise TypeError(f"{cls.__name__}: {name} belongs to {registry[name].__name__} already")
        cls.tool_name, cls.writes, cls.staff_only = name, writes, staff_only
        cls.result_adapter = TypeAdapter(result)
        registry[name] = cls

    @classmethod
    def description(cls) -> str:
        """The docstring as one paragraph."""
        return " ".join((cls.__doc__ or "").split())


def _result_type(cls: type[Tool[Any]]) -> Any:
    for base in cls.__mro__[1:]:
        meta: Any = getattr(base, "__pydantic_generic_metadata__", None)
        if meta and meta["origin"] is Tool and meta["args"]:
            return meta["args"][0]
    raise TypeError(f"{cls.__name__}: say what it returns: class {cls.__name__}(Tool[Result], …)")
