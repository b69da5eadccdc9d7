"""Carriers' rates. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent_store.contracts.common import Cep
from agent_store.kernel.errors import InvalidInput
from agent_store.kernel.money import Money


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Zone(_Strict):
    """A range of CEPs. `base` and `per_kg` (for every kilogram begun, at least one) make the price; goods worth
    `free_above` or more ship free; None: never."""

    name: str = Field(min_length=1)
    cep_from: Cep
    cep_to: Cep
    days_min: int = Field(ge=0, le=90)
    days_max: int = Field(ge=0, le=90)
    base: Money
    per_kg: Money
    free_above: Money | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Zone:
        if self.cep_from > self.cep_to:
            raise ValueError(f"zone {self.name}: cep_from is after cep_to")
        if self.days_min > self.days_max:
            raise ValueError(f"zone {self.name}: days_min is more than days_max")
        amounts = [self.base, self.per_kg, *([self.free_above] if self.free_above else [])]
        if any(amount.minor < 0 for amount in amounts):
            raise ValueError(f"zone {self.name}: an amount is negative")
        if len({amount.currency for amount in amounts}) > 1:
            raise ValueError(f"zone {self.name}: one currency")
        return self


class Service(_Strict):
    id: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")
    name: str = Field(min_length=1)
    zones: tuple[Zone, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _apart(self) -> Service:
        ordered = sorted(self.zones, key=lambda zone: zone.cep_from)
        for before, after in pairwise(ordered):
            if after.cep_from <= before.cep_to:
                raise ValueError(f"service {self.id}: zones {before.name} and {after.name} overlap")
        return self


class Carrier(_Strict):
    id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    services: tuple[Service, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Rate:
    """What one service does for one CEP."""

    service: str
    name: str
    carrier: str
    zone: Zone

    def price(self, weight_g: int, goods: Money) -> Money:
        """For a parcel of this weight, with goods worth this much in it."""
        zone = self.zone
        if zone.free_above is not None and zone.free_above <= goods:
            return Money.zero(goods.currency)
        kilograms = max(1, -(-weight_g // 1000))
        return zone.base + zone.per_kg * kilograms


class ShippingTable(_Strict):
    """All carriers' services. A port: the entrypoint reads it from `shipping.yaml` (see `from_dict`)."""

    carriers: tuple[Carrier, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _once(self) -> ShippingTable:
        ids = [service.id for carrier in self.carriers for service in carrier.services]
        for id in set(ids):
            if ids.count(id) > 1:
                raise ValueError(f"service {id} stands there twice: orders name a service by its id alone")
        return self

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ShippingTable:
        """Read what the file holds. Raises InvalidInput that names the first field that does not fit."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "carriers"
            raise InvalidInput(f"shipping table: {where}: {first['msg']}", field=where) from error

    def rates(self, cep: str) -> tuple[Rate, ...]:
        """Every service that delivers to a CEP (written 01310-100), in the table's order; empty when none does."""
        return tuple(
            Rate(service.id, service.name, carrier.name, zone)
            for carrier in self.carriers
            for service in carrier.services
            for zone in service.zones
            if zone.cep_from <= cep <= zone.cep_to
        )
