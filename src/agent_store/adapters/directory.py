"""The directory of brands for the embedded store: `data/brands.yaml` and `prompts/`, and brands added on the laptop.

A brand file holds everything in one YAML: `brand:` (contracts.brands.Brand), and optionally `products:` as in a
catalogue file. It is kept under `<data>/brands/` and read at every start.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import ValidationError

from agent_store.contracts.brands import Brand, Directory, SharedNumber
from agent_store.kernel.errors import Conflict, InvalidInput


class FileDirectory:
    """See `contracts.brands.Directory`. Reads files at start and when told to; look-ups are dictionary look-ups."""

    def __init__(self, data: Path, prompts: Path, added: Path | None = None) -> None:
        self._data, self._prompts, self._added = data, prompts, added
        self._brands: dict[str, Brand] = {}
        self._by_number: dict[str, Brand] = {}
        self._shared = SharedNumber()
        self._house = ""
        self.reload()

    def reload(self) -> None:
        """Read all files anew. Raises InvalidInput that names the file and the field."""
        source = self._data / "brands.yaml"
        listed = read_yaml(source)
        brands = [with_prompts(parse_brand(item, source), self._prompts) for item in listed.get("brands", [])]
        if self._added is not None and self._added.is_dir():
            brands += [parse_brand(read_yaml(path).get("brand"), path) for path in sorted(self._added.glob("*.yaml"))]
        brands = self._with_tools(brands)
        self._shared = SharedNumber.model_validate(listed.get("shared", {}))
        self._house = house_prompt(self._prompts)
        by_id: dict[str, Brand] = {}
        by_number: dict[str, Brand] = {}
        for brand in brands:
            if brand.id in by_id:
                raise Conflict(f"brand {brand.id!r} is defined twice")
            by_id[brand.id] = brand
            for number in brand.phone_number_ids:
                if number in by_number or number in self._shared.phone_number_ids:
                    raise Conflict(f"brand {brand.id!r}: the number {number} belongs to another brand")
                by_number[number] = brand
        self._brands, self._by_number = by_id, by_number

    def _with_tools(self, brands: Sequence[Brand]) -> list[Brand]:
        """With the tools of added agents that `tools.yaml` beside the brands allows: `fashion: [gift-wrapping.*]`."""
        path = self._added.parent / "tools.yaml" if self._added is not None else None
        allowed: Mapping[str, Any] = read_yaml(path) if path is not None else {}
        if unknown := sorted(allowed.keys() - {brand.id for brand in brands}):
            raise InvalidInput(f"tools.yaml: {unknown[0]}: there is no such brand")
        dressed: list[Brand] = []
        for brand in brands:
            more = allowed.get(brand.id, [])
            if not isinstance(more, list) or not all(isinstance(one, str) for one in cast("list[object]", more)):
                raise InvalidInput(f"tools.yaml: {brand.id}: a list like [gift-wrapping.options] is expected")
            tools = tuple(dict.fromkeys((*brand.tools, *cast("list[str]", more))))
            dressed.append(brand.model_copy(update={"tools": tools}) if tools != brand.tools else brand)
        return dressed

    def brands(self) -> Sequence[Brand]:
        return tuple(self._brands.values())

    def brand(self, brand_id: str) -> Brand | None:
        return self._brands.get(brand_id)

    def by_number(self, phone_number_id: str) -> Brand | None:
        return self._by_number.get(phone_number_id)

    def is_known(self, phone_number_id: str) -> bool:
        return phone_number_id in self._by_number or phone_number_id in self._shared.phone_number_ids

    def house_prompt(self) -> str:
        return self._house

    @property
    def shared(self) -> SharedNumber:
        return self._shared

    def add(self, text: str) -> Brand:
        """Keep a brand file and read it. Adding the same brand again replaces it; a built-in one is refused."""
        if self._added is None:
            raise Conflict("this directory takes no brands: it is not an embedded store's")
        value = parse_yaml(text, "the brand file")
        brand = parse_brand(value.get("brand"), Path("the brand file"))
        path = self._added / f"{brand.id}.yaml"
        if brand.id in self._brands and not path.exists():
            raise Conflict(f"brand {brand.id!r} comes with the store; give yours another id")
        for number in brand.phone_number_ids:
            owner = self._by_number.get(number)
            if number in self._shared.phone_number_ids or (owner is not None and owner.id != brand.id):
                raise Conflict(f"the number {number} belongs to {owner.name if owner else 'the shared number'} already")
        self._added.mkdir(parents=True, exist_ok=True)
        write_durably(path, text)
        self.reload()
        return brand


class OwnBrand:
    """A directory as a brand's seller sees it: its own brand is as its settings say, whether it is listed or not.

    Routing follows `brands` and `by_number`, which stay as they are: a brand is not open because its seller has started.
    """

    def __init__(
        self,
        inner: Directory,
        brand_id: str,
        *,
        brand: Brand | None = None,
        prompt: str = "",
        canary_prompt: str = "",
        canary_percent: int = 0,
    ) -> None:
        """`brand`: in place of the listed one. An empty prompt leaves the brand's."""
        self._inner = inner
        self._id = brand_id
        self._own = brand
        self._worn = {
            "canary_prompt": canary_prompt,
            "canary_percent": canary_percent,
            **({"prompt": prompt} if prompt else {}),
        }
        self._dressed: tuple[Brand, Brand] | None = None

    def brand(self, brand_id: str) -> Brand | None:
        plain = self._own if self._own is not None and brand_id == self._id else self._inner.brand(brand_id)
        if plain is None or brand_id != self._id:
            return plain
        if self._dressed is None or self._dressed[0] is not plain:
            self._dressed = plain, plain.model_copy(update=self._worn)
        return self._dressed[1]

    def brands(self) -> Sequence[Brand]:
        return self._inner.brands()

    def by_number(self, phone_number_id: str) -> Brand | None:
        return self._inner.by_number(phone_number_id)

    def is_known(self, phone_number_id: str) -> bool:
        return self._inner.is_known(phone_number_id)

    def house_prompt(self) -> str:
        return self._inner.house_prompt()

    @property
    def shared(self) -> SharedNumber:
        return self._inner.shared


def with_prompts(brand: Brand, prompts: Path) -> Brand:
    """With the prompt and the greeting that the folder of prompts has for it, where it has none of its own."""
    prompt = prompts / brand.id / "system.md"
    greeting = prompts / brand.id / "greeting.yaml"
    changes: dict[str, Any] = {}
    if not brand.prompt and prompt.is_file():
        changes["prompt"] = prompt.read_text("utf-8")
    if not brand.greeting and greeting.is_file():
        changes["greeting"] = read_yaml(greeting)
    return Brand.model_validate({**brand.model_dump(), **changes}) if changes else brand


def house_prompt(prompts: Path) -> str:
    path = prompts / "house.md"
    return path.read_text("utf-8") if path.is_file() else ""


def parse_brand(value: object, path: Path) -> Brand:
    try:
        return Brand.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "brand"
        raise InvalidInput(f"{path.name}: brand: {where}: {first['msg']}") from error


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's reader where it is there: ten times faster, and every start of a store waits for it."""


def parse_yaml(text: str, name: str) -> Mapping[str, Any]:
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506  # a safe loader, see above
    except yaml.YAMLError as error:
        raise InvalidInput(f"{name} is no YAML: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInput(f"{name}: a mapping is expected at the top")
    return value  # type: ignore[return-value]  # keys of our YAML files are strings


def read_yaml(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    return parse_yaml(path.read_text("utf-8"), path.name)


def write_durably(path: Path, text: str, *, mode: int = 0o644) -> None:
    """All of the file or nothing of it, also when the power goes: write beside it, sync, rename."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.chmod(name, mode)
    os.replace(name, path)
