"""Tools that this program was not built with: their contracts are documents, read from the process that offers them.

`made_of(contract)` makes a tool class of such a document. Its calls go the way of all tools: journaled, with key, principal
and time. Arguments and results are checked against the contract's JSON Schemas, by the `jsonschema` library: the whole of
JSON Schema as its authors mean it, where a reader of our own would know the part that we use ourselves. It is imported
at the first such call, so that a process without added tools never pays for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from agent_store.kernel.errors import InvalidInput
from agent_store.kernel.plain import Plain
from agent_store.kernel.tool import TOOL_NAME, Tool

_MOST_COMPLAINTS = 3
_WORDY = 200


class ToolContract(BaseModel):
    """What `kernel.schemas.tool_contract` writes, as far as a caller needs it. `arguments` and `result`: JSON Schemas."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(pattern=TOOL_NAME, max_length=80)
    description: str = Field(max_length=2000)
    writes: bool
    staff_only: bool
    arguments: dict[str, Any]
    result: dict[str, Any]
    plain: Plain | None = None

    @property
    def agent(self) -> str:
        return self.name.partition(".")[0]


class ToolContracts(Protocol):
    """Port: the contracts of tools by name, from this process and from those that the directory names."""

    async def contracts(self, patterns: Sequence[str]) -> tuple[ToolContract, ...]:
        """Those that are offered now and fit a pattern: `gift-wrapping.options`, or `gift-wrapping.*` for all of an agent.

        An agent that cannot be asked has none: a caller goes on without its tools.
        """
        ...


def fits(name: str, patterns: Iterable[str]) -> bool:
    """Is the tool's name one of these, or below one that ends with `.*`?"""
    return any(name == one or (one.endswith(".*") and name.startswith(one[:-1])) for one in patterns)


class AddedTool(Tool[Any]):
    """A call of a tool whose contract came as a document; the fields are the arguments. Made by `made_of`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    contract: ClassVar[ToolContract]

    @classmethod
    def called_with(cls, arguments: Mapping[str, Any]) -> AddedTool:
        """Raises InvalidInput that says what does not fit the contract's schema."""
        complaints = [f"{name}: is no argument's name" for name in arguments if name.startswith("_")]
        complaints = complaints or _complaints(cls._text_of(cls.contract.arguments), dict(arguments))
        if complaints:
            raise InvalidInput(f"{cls.tool_name}: {'; '.join(complaints)}", field=complaints[0].partition(":")[0])
        return cls.unchecked(arguments)

    @classmethod
    def unchecked(cls, arguments: Mapping[str, Any]) -> AddedTool:
        """For a caller that leaves it to the next one to check. In the order of names: same arguments, same call."""
        return cls.model_construct(**{name: arguments[name] for name in sorted(arguments)})

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})

    @staticmethod
    def _text_of(schema: Mapping[str, Any]) -> str:
        return json.dumps(schema, sort_keys=True)


@lru_cache(maxsize=256)
def _validator(schema: str) -> Any:
    from jsonschema import Draft202012Validator
    from referencing import Registry

    # With a registry of its own it fetches nothing: what a schema refers to stands in it, or nowhere.
    return Draft202012Validator(json.loads(schema), registry=Registry())


def check(contract: ToolContract) -> None:
    """Raises InvalidInput when one of its schemas is no JSON Schema."""
    from jsonschema import Draft202012Validator, SchemaError

    for part, schema in (("arguments", contract.arguments), ("result", contract.result)):
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            raise InvalidInput(f"{contract.name}: its {part} are no JSON Schema: {error.message[:_WORDY]}") from error


def _complaints(schema: str, value: Any) -> list[str]:
    """What is wrong with a value, in a few sentences that name the place."""
    from referencing.exceptions import Unresolvable

    try:
        found = sorted(_validator(schema).iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
    except Unresolvable as error:
        return [f"contract: its schema refers to what is not in it: {str(error)[:_WORDY]}"]
    return [
        f"{'.'.join(map(str, error.absolute_path)) or 'arguments'}: {error.message[:_WORDY]}"
        for error in found[:_MOST_COMPLAINTS]
    ]


def made_of(contract: ToolContract) -> type[AddedTool]:
    """The class of this contract's calls; the same one for the same document. It stands in no registry."""
    return _made(contract.model_dump_json())


@lru_cache(maxsize=256)
def _made(document: str) -> type[AddedTool]:
    read = ToolContract.model_validate_json(document)
    schema = AddedTool._text_of(read.result)  # pyright: ignore[reportPrivateUsage]

    def fitting(value: Any) -> Any:
        if complaints := _complaints(schema, value):
            raise ValueError("; ".join(complaints))
        return value

    class Made(AddedTool):
        """See `AddedTool`."""

        contract: ClassVar[ToolContract] = read
        tool_name: ClassVar[str] = read.name
        writes: ClassVar[bool] = read.writes
        staff_only: ClassVar[bool] = read.staff_only
        result_adapter: ClassVar[TypeAdapter[Any]] = TypeAdapter(Annotated[Any, AfterValidator(fitting)])

    return Made
