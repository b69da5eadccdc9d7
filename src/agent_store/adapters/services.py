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

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from agent_store.adapters.directory import parse_yaml
from agent_store.kernel.errors import InvalidInput
from agent_store.kernel.metrics import Metrics, NoMetrics

_log = structlog.get_logger("agent_store.services")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str
    consumers: list[str] = Field(default_factory=list[str])

    @field_validator("url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("an address like http://orders.store.svc is expected")
        if parts.port == 0:  # any other that is none is a ValueError of its own
            raise ValueError("port 0 is no port")
        return value.rstrip("/")


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    services: dict[str, _Entry] = Field(default_factory=dict[str, _Entry])


@dataclass(frozen=True, slots=True)
class Service:
    """One deployment. `url` has no slash at its end; `consumers` are names like `orders` and `seller/fashion`."""

    name: str
    url: str
    consumers: tuple[str, ...]


class Services:
    """Look-ups are dictionary look-ups, after one `stat` of the file (a microsecond or two)."""

    def __init__(self, path: Path, *, metrics: Metrics | None = None) -> None:
        """Raises InvalidInput that names the file and the field when the first reading fails."""
        self._path = path
        self._metrics = metrics or NoMetrics()
        self._seen = _mark(path)
        self._services: tuple[Service, ...] = ()
        self._by_consumer: dict[str, Service] = {}
        self._by_agent: dict[str, Service] = {}
        self._put(_read(path))

    def url_of_consumer(self, name: str) -> str | None:
        """The base address of the service that runs this consumer."""
        self._refresh()
        service = self._by_consumer.get(name)
        return service.url if service is not None else None

    def url_of_agent(self, name: str) -> str | None:
        """The base address of a service that runs this agent: the first in the file, of an agent that several run
        for a brand each."""
        self._refresh()
        service = self._by_agent.get(name)
        return service.url if service is not None else None

    def consumers(self) -> Sequence[str]:
        """Every consumer that some service runs."""
        self._refresh()
        return tuple(self._by_consumer)

    def at(self, url: str) -> Service | None:
        """The service that an address belongs to (any path of it), as a broker names a subscriber that failed."""
        self._refresh()
        wanted = _origin(url)
        return next((service for service in self._services if _origin(service.url) == wanted), None)

    # --- the file ----------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        mark = _mark(self._path)
        if mark == self._seen:
            return
        self._seen = mark
        try:
            services = _read(self._path)
        except InvalidInput as error:
            self._metrics.count("services_file_bad")
            _log.error("services.file_bad", file=str(self._path), reason=error.message, kept=len(self._services))
            return
        self._put(services)
        _log.info("services.read", file=str(self._path), services=len(services))

    def _put(self, services: tuple[Service, ...]) -> None:
        by_consumer: dict[str, Service] = {}
        by_agent: dict[str, Service] = {}
        for service in services:
            for consumer in service.consumers:
                by_consumer[consumer] = service
                by_agent.setdefault(consumer.partition("/")[0], service)
        self._services, self._by_consumer, self._by_agent = services, by_consumer, by_agent


def _mark(path: Path) -> tuple[int, int, int] | None:
    """What changes when the file does: a ConfigMap is swapped by a link, so the inode counts too. None: it is gone."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: Path) -> tuple[Service, ...]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path}: cannot be read: {error}") from error
    try:
        file = _File.model_validate(parse_yaml(text, str(path)))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InvalidInput(f"{path}: {where}: {first['msg']}") from error
    owners: dict[str, str] = {}
    for name, entry in file.services.items():
        for consumer in entry.consumers:
            if consumer in owners:
                raise InvalidInput(f"{path}: {consumer} is run by {owners[consumer]} and by {name}: one service each")
            owners[consumer] = name
    return tuple(Service(name, entry.url, tuple(entry.consumers)) for name, entry in file.services.items())


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "", url, None
    return parts.scheme, (parts.hostname or "").rstrip("."), port or {"http": 80, "https": 443}.get(parts.scheme)
