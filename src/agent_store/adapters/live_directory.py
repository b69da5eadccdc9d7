"""The directory of a store in a cluster: one file with services, brands and the shared number, read live.

    services:
      ai-seller-fashion: {url: "http://ai-seller-fashion.store.svc.cluster.local", consumers: [seller/fashion]}
    brands:
      - {id: fashion, name: Moda Aurora, seller: Luna, phone_number_ids: ["100000000000001"]}
    shared: {name: Agent Store, phone_number_ids: ["100000000000000"]}

A program keeps it (the operator, in a ConfigMap), so fields that this release does not know are ignored. A changed file
that is broken leaves the last good one in force, as a whole: counted as `directory_file_bad`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent_store.adapters.directory import house_prompt, parse_yaml, with_prompts, write_durably
from agent_store.adapters.livefile import LiveFile, read_text
from agent_store.adapters.services import ServiceEntry, ServiceIndex, first_of
from agent_store.contracts.brands import Brand, SharedNumber
from agent_store.kernel.errors import InvalidInput
from agent_store.kernel.metrics import Metrics, NoMetrics

_log = structlog.get_logger("agent_store.directory")

LAG = 120.0
"""Seconds by which a mounted ConfigMap may be behind the API server: a kubelet's sync period and its cache, a minute each."""


class _Entry(ServiceEntry):
    model_config = ConfigDict(extra="ignore")


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore")

    services: dict[str, _Entry] = Field(default_factory=dict[str, _Entry])
    brands: list[Brand] = Field(default_factory=list[Brand])
    shared: SharedNumber = Field(default_factory=SharedNumber)


@dataclass(frozen=True)
class Listing:
    """What one reading of the file said."""

    services: ServiceIndex = field(default_factory=ServiceIndex)
    brands: Mapping[str, Brand] = field(default_factory=dict[str, Brand])
    by_number: Mapping[str, Brand] = field(default_factory=dict[str, Brand])
    shared: SharedNumber = field(default_factory=SharedNumber)


class DirectoryFile(LiveFile[Listing]):
    """`mounted`, or in its place `kept`: a file of this process's own, where it can learn of changes sooner (`keep`)."""

    def __init__(
        self, mounted: Path, prompts: Path, *, kept: Path | None = None, metrics: Metrics | None = None
    ) -> None:
        """With `kept`, an absent file is waited for: see `known`. Else it raises InvalidInput, as a broken one does."""
        self._mounted, self._kept, self._prompts = mounted, kept, prompts
        counts = metrics or NoMetrics()
        if kept is not None:
            self._begin_with_the_newer(kept)
        super().__init__(
            [mounted] if kept is None else [kept, mounted],
            self._listing,
            name="directory",
            bad=lambda: counts.count("directory_file_bad"),
            absent=None if kept is None else Listing(),
        )

    def _begin_with_the_newer(self, kept: Path) -> None:
        """A process that begins again in its pod finds what an earlier one kept."""
        found, mounted = _changed(kept), _changed(self._mounted)
        if found is None:
            return
        if self._is_good(kept) and (mounted is None or mounted <= found or not self._is_good(self._mounted)):
            return
        kept.unlink()

    def _is_good(self, path: Path) -> bool:
        try:
            self._listing(read_text(path), str(path))
        except InvalidInput as error:
            _log.error("directory.bad", file=str(path), reason=error.message)
            return False
        return True

    async def keep(self, text: str) -> None:
        """What the file says from now on, durably. Raises InvalidInput when it is broken, OSError when it can't be kept:
        then nothing changes."""
        assert self._kept is not None  # noqa: S101  # whoever keeps, has named a file for it
        # A thousand brands take a sixth of a second: what this process handles goes on meanwhile.
        listing = await asyncio.to_thread(self._listing, text, self._kept.name)
        await asyncio.to_thread(write_durably, self._kept, text)
        self._put(listing)
        _log.info("directory.changed", brands=len(listing.brands), services=len(listing.services.services))

    async def fall_back(self, since: float) -> None:
        """Nothing has been heard from whoever tells of changes since then (seconds of the wall clock, as files have
        it): take what has been mounted so much later that it is newer for sure. Raises OSError."""
        mounted = _changed(self._mounted)
        if self._kept is None or mounted is None or mounted <= since + LAG:
            return
        kept = _changed(self._kept)
        if kept is not None and kept >= mounted:
            return
        try:
            await self.keep(read_text(self._mounted))
        except InvalidInput as error:
            _log.error("directory.bad", file=str(self._mounted), reason=error.message)
            with contextlib.suppress(FileNotFoundError):
                os.utime(self._kept)  # it has been looked at

    def _listing(self, text: str, name: str) -> Listing:
        try:
            file = _File.model_validate(parse_yaml(text, name))
        except ValidationError as error:
            raise InvalidInput(f"{name}: {first_of(error)}") from error
        brands: dict[str, Brand] = {}
        by_number: dict[str, Brand] = {}
        for listed in file.brands:
            if listed.id in brands:
                raise InvalidInput(f"{name}: brand {listed.id!r} is defined twice")
            brand = brands[listed.id] = with_prompts(listed, self._prompts)
            for number in brand.phone_number_ids:
                if number in file.shared.phone_number_ids:
                    raise InvalidInput(f"{name}: brand {brand.id!r}: the number {number} is the shared one")
                if number in by_number:
                    raise InvalidInput(f"{name}: the number {number} is {by_number[number].id}'s and {brand.id}'s")
                by_number[number] = brand
        services = ServiceIndex.of(file.services, name)
        return Listing(services, brands, by_number, file.shared)


class LiveDirectory:
    """See `contracts.brands.Directory`: what a `DirectoryFile` says at the moment of each look-up."""

    def __init__(self, file: DirectoryFile, prompts: Path) -> None:
        self._file = file
        self._house = house_prompt(prompts)

    def brands(self) -> Sequence[Brand]:
        return tuple(self._file.look().brands.values())

    def brand(self, brand_id: str) -> Brand | None:
        return self._file.look().brands.get(brand_id)

    def by_number(self, phone_number_id: str) -> Brand | None:
        return self._file.look().by_number.get(phone_number_id)

    def is_known(self, phone_number_id: str) -> bool:
        listing = self._file.look()
        return phone_number_id in listing.by_number or phone_number_id in listing.shared.phone_number_ids

    def house_prompt(self) -> str:
        return self._house

    @property
    def shared(self) -> SharedNumber:
        return self._file.look().shared


def _changed(path: Path) -> float | None:
    """When, in seconds of the wall clock; None when it is not there."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None
