"""What a contract's class line promises, and how a wrong one is refused where it is written."""

from __future__ import annotations

import types
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import pytest
from pydantic import ValidationError

from agent_store.kernel.errors import BadEvent, InvalidInput, NotFound
from agent_store.kernel.event import Envelope, Event, registry, wrap
from agent_store.kernel.tool import Tool
from agent_store.kernel.tool import registry as tools
from agent_store.kernel.toolbox import parse_call

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Shipped(
    Event,
    type="store.unit.shipped",
    topic="unit",
    subject="order_id",
    partition="customer_id",
    sequence="version",
    version="3",
):
    order_id: str
    customer_id: str
    version: int
    brand: str | None = None


class Plain(Event, type="store.unit.plain"):
    text: str = ""


class Lookup(Tool[list[int]], name="unit.lookup"):
    """Find
    numbers."""

    text: str = ""


def test_the_class_line_fills_the_envelope() -> None:
    event = Shipped(order_id="o1", customer_id="c1", version=4)
    envelope = wrap(event, id="1", source="/s", time=NOW, brand="fashion", channel="web", correlationid="k", causationid="c",
                    traceparent="t", tracestate="s")  # fmt: skip
    assert (envelope.type, envelope.topic, envelope.subject, envelope.partitionkey, envelope.sequence) == (
        "store.unit.shipped", "unit", "o1", "c1", 4,
    )  # fmt: skip
    assert envelope.dataschema == "urn:agent-store:event:store.unit.shipped:3"
    assert (envelope.brand, envelope.channel) == ("fashion", "web")
    assert (envelope.correlationid, envelope.causationid, envelope.traceparent, envelope.tracestate) == (
        "k",
        "c",
        "t",
        "s",
    )
    assert envelope.partition == "c1"
    assert envelope.read(Shipped) is event
    assert registry["store.unit.shipped"] is Shipped


def test_the_contracts_own_brand_wins() -> None:
    event = Shipped(order_id="o1", customer_id="c1", version=4, brand="home")
    assert wrap(event, id="1", source="/s", time=NOW, brand="fashion").brand == "home"


def test_without_fields_for_them_an_event_is_a_partition_of_its_own() -> None:
    envelope = wrap(Plain(), id="1", source="/s", time=NOW)
    assert (envelope.subject, envelope.partitionkey, envelope.sequence, envelope.topic) == (None, None, None, None)
    assert envelope.partition == "1"


def test_the_subject_is_the_partition_when_no_other_is_named() -> None:
    class Counted(Event, type="store.unit.counted", subject="sku"):
        sku: str

    assert wrap(Counted(sku="s"), id="1", source="/s", time=NOW).partition == "s"


def test_unknown_fields_of_a_newer_producer_are_ignored() -> None:
    envelope = Envelope(id="1", source="/s", type="store.unit.plain", time=NOW, data=b'{"text":"a","more":1}')
    assert envelope.read(Plain) == Plain(text="a")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [(b'{"order_id":1,"customer_id":"c","version":1}', "order_id"), (b"[]", "data"), (b"{", "data"), (b"", "data")],
)
def test_data_that_breaks_its_contract_is_refused_with_the_fields_name(data: bytes, sentence: str) -> None:
    envelope = Envelope(id="7", source="/s", type="store.unit.shipped", time=NOW, data=data)
    with pytest.raises(BadEvent, match=f"store.unit.shipped 7: {sentence}: ") as caught:
        envelope.read(Shipped)
    assert caught.value.details["field"] == sentence


def test_an_event_is_frozen() -> None:
    with pytest.raises(ValidationError):
        Plain().text = "x"  # type: ignore[misc]  # that is the point


def contract(title: str, /, *bases: Any, doc: str = "Doc.", **class_line: Any) -> None:
    """`class title(*bases, **class_line)`"""
    types.new_class(title, bases, class_line, lambda body: body.update({"__doc__": doc}))


def test_wrong_class_lines_of_events_are_refused_where_they_stand() -> None:
    with pytest.raises(TypeError, match=r"NoStore: event type 'orders.x' is not like store\.order\.confirmed"):
        contract("NoStore", Event, type="orders.x")
    with pytest.raises(TypeError, match="there is no field 'nothing'"):
        contract("NoField", Event, type="store.unit.no_field", subject="nothing")
    with pytest.raises(TypeError, match=r"store\.unit\.plain belongs to Plain already"):
        contract("Other", Event, type="store.unit.plain")

    class Base(Event):
        """Without a type: a base for others, and no contract."""

    with pytest.raises(TypeError, match="Base has no event type"):
        wrap(Base(), id="1", source="/s", time=NOW)


def test_a_tools_class_line_names_it_and_its_result() -> None:
    assert (Lookup.tool_name, Lookup.writes, Lookup.staff_only) == ("unit.lookup", False, False)
    assert Lookup.description() == "Find numbers."
    assert Lookup.result_adapter.validate_json("[1]") == [1]
    assert tools["unit.lookup"] is Lookup


def test_wrong_class_lines_of_tools_are_refused_where_they_stand() -> None:
    with pytest.raises(TypeError, match=r"'lookup' is not like cart\.add"):
        contract("NoDot", Tool[int], name="lookup")
    with pytest.raises(TypeError, match="needs a docstring"):
        contract("Silent", Tool[int], name="unit.silent", doc=" ")
    with pytest.raises(TypeError, match=r"say what it returns: class Nothing\(Tool\[Result\]"):
        contract("Nothing", Tool, name="unit.nothing")
    with pytest.raises(TypeError, match=r"unit\.lookup belongs to Lookup already"):
        contract("Again", Tool[int], name="unit.lookup")


def test_a_tool_may_stand_on_a_base_of_its_own() -> None:
    R = TypeVar("R")

    class Base(Tool[R], Generic[R]):
        """Common arguments."""

        page: int = 1

    class Paged(Base[int], Tool[int], name="unit.paged"):
        """Doc."""

    assert Paged.result_adapter.validate_json("3") == 3


def test_a_call_from_json_is_checked_by_its_contract() -> None:
    assert parse_call("unit.lookup", {"text": "a"}) == Lookup(text="a")
    with pytest.raises(NotFound, match=r"there is no tool 'unit\.made_up'"):
        parse_call("unit.made_up", {})
    with pytest.raises(InvalidInput, match=r"unit\.lookup: price: ") as caught:
        parse_call("unit.lookup", {"price": 1})
    assert caught.value.details["field"] == "price"
    with pytest.raises(InvalidInput, match=r"unit\.lookup: arguments: "):
        parse_call("unit.lookup", [])  # type: ignore[arg-type]  # what a model may say
