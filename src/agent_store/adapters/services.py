"""The services directory: which service runs which consumers, and where. The operator keeps the file, processes read it.

    services:
      order-processor:
        url: http://order-processor.store.svc.cluster.local
        consumers: [cart, orders, payments]
      ai-seller-fashion:
        url: http://ai-seller-fashion.store.svc.cluster.local
        consumers: [seller/fashion]

It is read anew when it changes. A changed file that is broken, or gone, leaves the last good one in force: said once a
change in the log, and counted as `services_file_bad`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from agent_store.adapters.directory import parse_yaml
from agent_store.adapters.livefile import LiveFile
from agent_store.kernel.errors import InvalidInput
from agent_store.kernel.metrics import Metrics, NoMetrics


class ServiceEntry(BaseModel):
    """A service as a file has it."""

    model_config = ConfigDict(extra="forbid")

    url: str
    events: str | None = None
    """Where a broker delivers its events, when that is not at `url`: behind a proxy of its own, say."""
    consumers: list[str] = Field(default_factory=list[str])

    @field_validator("url", "events")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("an address like http://orders.store.svc is expected")
        if parts.port == 0:  # any other that is none is a ValueError of its own
            raise ValueError("port 0 is no port")
        return value.rstrip("/")


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    services: dict[str, ServiceEntry] = Field(default_factory=dict[str, ServiceEntry])


@dataclass(frozen=True, slots=True)
class Service:
    """One deployment. `url` and `events` (where a broker delivers to it) have no slash at their ends; `consumers` are
    names like `orders` and `seller/fashion`."""

    name: str
    url: str
    consumers: tuple[str, ...]
    events: str


@dataclass(frozen=True)
class ServiceIndex:
    """The services of one reading."""

    services: tuple[Service, ...] = ()
    by_consumer: dict[str, Service] = field(init=False, default_factory=dict[str, Service], compare=False)
    by_agent: dict[str, Service] = field(init=False, default_factory=dict[str, Service], compare=False)

    def __post_init__(self) -> None:
        for service in self.services:
            for consumer in service.consumers:
                self.by_consumer[consumer] = service
                self.by_agent.setdefault(consumer.partition("/")[0], service)

    @classmethod
    def of(cls, entries: Mapping[str, ServiceEntry], name: str) -> ServiceIndex:
        """Raises InvalidInput where two services run the same consumer; `name` is the file's."""
        owners: dict[str, str] = {}
        for service, entry in entries.items():
            for consumer in entry.consumers:
                if consumer in owners:
                    raise InvalidInput(
                        f"{name}: {consumer} is run by {owners[consumer]} and by {service}: one service each"
                    )
                owners[consumer] = service
        return cls(
            tuple(
                Service(service, entry.url, tuple(entry.consumers), entry.events or entry.url)
                for service, entry in entries.items()
            )
        )


class Services:
    """Look-ups are dictionary look-ups, after one `stat` of the file (a microsecond or two)."""

    def __init__(self, source: Path | Callable[[], ServiceIndex], *, metrics: Metrics | None = None) -> None:
        """`source`: a services file, or what gives the services of this moment. Raises InvalidInput that names the file
        and the field when the first reading fails."""
        if isinstance(source, Path):
            counts = metrics or NoMetrics()
            file = LiveFile([source], _parse, name="services", bad=lambda: counts.count("services_file_bad"))
            source = file.look
        self._look = source

    def url_of_consumer(self, name: str) -> str | None:
        """The base address of the service that runs this consumer."""
        service = self._look().by_consumer.get(name)
        return service.url if service is not None else None

    def url_of_agent(self, name: str) -> str | None:
        """The base address of a service that runs this agent: the first in the file, of an agent that several run
        for a brand each."""
        service = self._look().by_agent.get(name)
        return service.url if service is not None else None

    def consumers(self) -> Sequence[str]:
        """Every consumer that some service runs."""
        return tuple(self._look().by_consumer)

    def at(self, url: str) -> Service | None:
        """The service that a broker means by an address (any path of it) when it names a subscriber that failed."""
        wanted = _origin(url)
        return next((service for service in self._look().services if _origin(service.events) == wanted), None)


def _parse(text: str, name: str) -> ServiceIndex:
    try:
        file = _File.model_validate(parse_yaml(text, name))
    except ValidationError as error:
        raise InvalidInput(f"{name}: {first_of(error)}") from error
    return ServiceIndex.of(file.services, name)


def first_of(error: ValidationError) -> str:
    """Where it is, and what is wrong, of the first error."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the file"
    return f"{where}: {first['msg']}"


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "", url, None
    return parts.scheme, (parts.hostname or "").rstrip("."), port or {"http": 80, "https": 443}.get(parts.scheme)
