"""Events: a contract is a frozen pydantic model; what travels is a CloudEvents 1.0 envelope around its JSON.

`Event` is what agents see (data only); `Envelope` is what the bus, the inbox and the outbox see.
The wire forms (HTTP binary, structured, batch) are in `kernel.cloudevents`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from agent_store.kernel.errors import BadEvent

_TYPE = re.compile(r"store(\.[a-z][a-z_]*)+")

registry: dict[str, type[Event]] = {}
"""Every contract that has been imported, by its type: for codecs, contract export and `events tail`."""

E = TypeVar("E", bound="Event")


class Event(BaseModel):
    """A fact or a command: frozen data, no behaviour.

    A contract names its envelope in the class line:

        class OrderConfirmed(Event, type="store.order.confirmed", topic="order",
                             subject="order_id", partition="customer_id"):
            order_id: OrderId
            customer_id: CustomerId

    `subject` and `partition` name the fields that fill those CloudEvents attributes (partition falls back to
    subject); `sequence` the field that carries the entity's version. Unknown fields of a newer producer are ignored.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    event_type: ClassVar[str] = ""
    topic: ClassVar[str] = ""
    contract_version: ClassVar[str] = "1"
    subject_field: ClassVar[str] = ""
    partition_field: ClassVar[str] = ""
    sequence_field: ClassVar[str] = ""

    def __init_subclass__(
        cls,
        *,
        type: str = "",
        topic: str = "",
        subject: str = "",
        partition: str = "",
        sequence: str = "",
        version: str = "1",
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__()  # pydantic hands the same keywords to the hook below, when fields are known

    @classmethod
    def __pydantic_init_subclass__(
        cls,
        *,
        type: str = "",
        topic: str = "",
        subject: str = "",
        partition: str = "",
        sequence: str = "",
        version: str = "1",
        **kwargs: Any,
    ) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if not type:
            return
        if not _TYPE.fullmatch(type):
            raise TypeError(f"{cls.__name__}: event type {type!r} is not like store.order.confirmed")
        for name in (subject, partition, sequence):
            if name and name not in cls.model_fields:
                raise TypeError(f"{cls.__name__}: there is no field {name!r} to take the envelope's attribute from")
        if type in registry and registry[type].__qualname__ != cls.__qualname__:
            raise TypeError(f"{cls.__name__}: {type} belongs to {registry[type].__name__} already")
        cls.event_type, cls.topic, cls.contract_version = type, topic, version
        cls.subject_field, cls.partition_field, cls.sequence_field = subject, partition or subject, sequence
        registry[type] = cls

    @classmethod
    def schema_uri(cls) -> str:
        """`dataschema`: names contract and version; the file stands under `docs/contracts/events/`."""
        return f"urn:agent-store:event:{cls.event_type}:{cls.contract_version}"


@dataclass(frozen=True, slots=True)
class Envelope:
    """One CloudEvent with our extension attributes (architecture, "Events").

    `data` is the UTF-8 JSON of the contract (any bytes for foreign content types). `time` is aware UTC.
    `sequence` is the entity's version, from 1. `extensions` keeps attributes that we don't know.
    """

    id: str
    source: str
    type: str
    time: datetime
    data: bytes = b""
    subject: str | None = None
    dataschema: str | None = None
    datacontenttype: str = "application/json"
    topic: str | None = None
    brand: str | None = None
    channel: str | None = None
    partitionkey: str | None = None
    sequence: int | None = None
    correlationid: str | None = None
    causationid: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    extensions: Mapping[str, str] = field(default_factory=dict[str, str])
    parsed: Event | None = field(default=None, compare=False, repr=False)

    @property
    def partition(self) -> str:
        """What order is kept by: the partition key, else the subject, else the event alone."""
        return self.partitionkey or self.subject or self.id

    def read(self, contract: type[E]) -> E:
        """The data as its contract. Raises BadEvent that names the field when it does not fit."""
        if self.parsed is not None and type(self.parsed) is contract:
            return self.parsed
        try:
            return contract.model_validate_json(self.data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "data"
            raise BadEvent(f"{self.type} {self.id}: {where}: {first['msg']}", field=where) from error


def wrap(
    event: Event,
    *,
    id: str,
    source: str,
    time: datetime,
    brand: str | None = None,
    channel: str | None = None,
    correlationid: str | None = None,
    causationid: str | None = None,
    traceparent: str | None = None,
    tracestate: str | None = None,
) -> Envelope:
    """Put a contract into an envelope; subject, partition key and sequence come from the contract's fields.

    A `brand` or `channel` field of the contract wins over the argument.
    """
    kind = type(event)
    if not kind.event_type:
        raise TypeError(f"{kind.__name__} has no event type: name it in the class line")
    values = event.__dict__
    sequence = values[kind.sequence_field] if kind.sequence_field else None
    subject = values[kind.subject_field] if kind.subject_field else None
    partition = values[kind.partition_field] if kind.partition_field else None
    return Envelope(
        id=id,
        source=source,
        type=kind.event_type,
        time=time,
        data=event.__pydantic_serializer__.to_json(event),
        subject=None if subject is None else str(subject),
        dataschema=kind.schema_uri(),
        topic=kind.topic or None,
        brand=cast("str | None", values.get("brand")) or brand,
        channel=cast("str | None", values.get("channel")) or channel,
        partitionkey=None if partition is None else str(partition),
        sequence=sequence,
        correlationid=correlationid,
        causationid=causationid,
        traceparent=traceparent,
        tracestate=tracestate,
        parsed=event,
    )
