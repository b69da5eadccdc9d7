"""Catalogue files: CSV, JSON and YAML text to products, or a list of what is wrong and where.

YAML and JSON: `brand` (for all products) and `products`, or a plain list of products. A product has the fields of
`ImportProduct`; it may also have `price`, `list_price`, `floor`, `weight_g` and `stock`, which hold for its variants
that don't say otherwise (a variant with a price of its own does not take over `list_price`). Amounts are text in major
units: "299.90".

CSV: a row a variant, separated by comma, semicolon or tab, UTF-8, the first row names the columns:

    product_id   the product; its rows need not stand together
    brand, name, category, maker, description
    tags, complements          separated by |
    attributes, picture, options   pairs like material=linho|forro=sim
    sku, color, size, weight_g
    price, list_price, floor   299.90 or 299,90
    stock        units by location: cd-cajamar=30|loja-paulista=2

What belongs to the product may stand in its first row only; repeated, it must be the same. Columns may be left out
except product_id, name, category, sku and price (and brand, when the caller gives none).
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from pydantic import ValidationError

from agent_store.agents.catalog.model import odd
from agent_store.contracts.catalog import ImportProduct, ImportVariant
from agent_store.kernel.errors import InvalidInput, PermanentError

FileKind = Literal["csv", "json", "yaml"]

SHOWN = 20
"""Errors named in the message at most; `errors` has them all."""


@dataclass(frozen=True, slots=True)
class FileError:
    """`row` is the line of the file, from 1; `field` the column or field; `message` says what to do."""

    row: int
    field: str
    message: str

    def __str__(self) -> str:
        return f"line {self.row}: {self.field}: {self.message}" if self.field else f"line {self.row}: {self.message}"


class FileErrors(PermanentError):
    """The file was not taken: everything that is wrong with it, in the order of its lines."""

    code = "catalog-file"

    def __init__(self, errors: Sequence[FileError]) -> None:
        self.errors = tuple(sorted(errors, key=lambda error: error.row))
        lines = "\n".join(str(error) for error in self.errors[:SHOWN])
        more = f"\nand {len(self.errors) - SHOWN} more" if len(self.errors) > SHOWN else ""
        found = "1 error" if len(self.errors) == 1 else f"{len(self.errors)} errors"
        super().__init__(
            f"{found} in the file, nothing was imported:\n{lines}{more}",
            errors=[{"row": error.row, "field": error.field, "message": error.message} for error in self.errors],
        )


def kind_of(filename: str) -> FileKind:
    """The kind by the name's ending. Raises InvalidInput for another one."""
    ending = filename.rsplit(".", 1)[-1].lower()
    if ending in ("csv", "json", "yaml"):
        return ending
    if ending == "yml":
        return "yaml"
    raise InvalidInput(f"{filename}: a catalogue file ends in .csv, .json, .yaml or .yml", field="file")


def parse(text: str, kind: FileKind, *, brand: str | None = None) -> tuple[ImportProduct, ...]:
    """Products in the file's order. `brand` stands for those that name none. Raises FileErrors with every error."""
    readers = {"csv": _read_csv, "json": _read_json, "yaml": _read_yaml}
    raw, errors = readers[kind](text.removeprefix("\ufeff"))
    products = [_product(one, brand, errors) for one in raw]
    if not raw and not errors:
        errors.append(FileError(1, "", "there are no products in the file"))
    _refuse_repeats(raw, errors)
    if errors:
        raise FileErrors(errors)
    return tuple(product for product in products if product is not None)


@dataclass(slots=True)
class _Raw:
    """A product as read: values are text, lists and maps of text."""

    line: int
    values: dict[str, Any]
    variants: list[tuple[int, dict[str, Any]]] = field(default_factory=list[tuple[int, dict[str, Any]]])


_Read = tuple[list[_Raw], list[FileError]]

_SHARED = ("price", "list_price", "floor", "weight_g", "stock")
"""What a product may say for its variants."""

_PRODUCT_FIELDS = frozenset(ImportProduct.model_fields) | frozenset(_SHARED)
_VARIANT_FIELDS = frozenset(ImportVariant.model_fields)

_HINTS: dict[str, str] = {
    "id": "small letters, digits and hyphens, at most 64, like vestido-midi-aurora",
    "product_id": "small letters, digits and hyphens, at most 64, like vestido-midi-aurora",
    "brand": "the id of a brand, like fashion",
    "name": "1 to 120 characters",
    "category": "small letters, digits and hyphens, like moda-praia",
    "sku": "capital letters, digits and hyphens, 2 to 32, like FAS-VAURORA-VM-P",
    "price": "an amount like 299.90",
    "list_price": "an amount like 349.90, or nothing",
    "floor": "an amount like 220.00, or nothing",
    "weight_g": "whole grams from 0 to 100000",
    "stock": "units by location, whole numbers, like cd-cajamar=12",
    "variants": "at least one",
}


def _product(raw: _Raw, brand: str | None, errors: list[FileError]) -> ImportProduct | None:
    """The checked product; None (and its errors added) when something is wrong."""
    before = len(errors)
    values = {name: value for name, value in raw.values.items() if not _empty(value)}
    for name in sorted(set(values) - _PRODUCT_FIELDS):
        errors.append(FileError(raw.line, name, f"unknown field; known are {', '.join(sorted(_PRODUCT_FIELDS))}"))
        del values[name]
    shared = {name: values.pop(name) for name in _SHARED if name in values}
    if brand is not None:
        values.setdefault("brand", brand)
    variants: list[ImportVariant] = []
    for line, given in raw.variants:
        variant = _variant(line, given, shared, errors)
        if variant is not None:
            variants.append(variant)
    if not raw.variants:
        errors.append(FileError(raw.line, "variants", f"missing: {_HINTS['variants']}"))
    checked = {name: value for name, value in values.items() if name != "variants"}
    try:
        # A stand-in keeps a faulty variant from hiding what is wrong with the product itself.
        product = ImportProduct.model_validate({**checked, "variants": variants or [_STAND_IN]})
    except ValidationError as error:
        errors.extend(_explain(error, raw.line))
        return None
    return product if len(errors) == before else None


_STAND_IN = ImportVariant.model_validate({"sku": "XX", "price": "1.00"})


def _variant(
    line: int, given: Mapping[str, Any], shared: Mapping[str, Any], errors: list[FileError]
) -> ImportVariant | None:
    own = {name: value for name, value in given.items() if not _empty(value)}
    unknown = sorted(set(own) - _VARIANT_FIELDS)
    for name in unknown:
        errors.append(FileError(line, name, f"unknown field; known are {', '.join(sorted(_VARIANT_FIELDS))}"))
        del own[name]
    inherited = {name: value for name, value in shared.items() if not (name == "list_price" and "price" in own)}
    try:
        variant = ImportVariant.model_validate({**inherited, **own})
    except ValidationError as error:
        errors.extend(_explain(error, line))
        return None
    problems = odd(variant)
    errors.extend(FileError(line, *problem.split(": ", 1)) for problem in problems)
    return None if problems or unknown else variant


def _explain(error: ValidationError, line: int) -> list[FileError]:
    found: list[FileError] = []
    for one in error.errors(include_url=False, include_context=False):
        name = str(one["loc"][0]) if one["loc"] else ""
        hint = _HINTS.get(name, one["msg"])
        if one["type"] == "missing":
            message = f"missing: {hint}"
        else:
            shown = repr(one["input"])
            message = f"{shown[:60]} does not fit: {hint}"
        found.append(FileError(line, ".".join(str(part) for part in one["loc"]), message))
    return found


def _refuse_repeats(raw: Iterable[_Raw], errors: list[FileError]) -> None:
    ids: dict[str, int] = {}
    skus: dict[str, int] = {}
    for product in raw:
        id = str(product.values.get("id") or "")
        if id and ids.setdefault(id, product.line) != product.line:
            errors.append(FileError(product.line, "id", f"{id} stands in line {ids[id]} already: a product once"))
        for line, variant in product.variants:
            sku = str(variant.get("sku") or "")
            if sku and skus.setdefault(sku, line) != line:
                errors.append(FileError(line, "sku", f"{sku} stands in line {skus[sku]} already: a SKU once"))


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip() in ("", "null", "~"))


# ── YAML and JSON ──────────────────────────────────────────────────────────────────────────────────────────────────


def _read_yaml(text: str) -> _Read:
    """Every scalar is kept as text: 299.90 never becomes a float, a size 38 never a number, "no" never a bool."""
    import yaml

    base: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        root = yaml.compose(text, Loader=base)
        data = yaml.load(text, Loader=base)  # noqa: S506  # a base loader builds text, lists and maps only
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        return [], [FileError(line, "", f"this is no YAML: {error.problem or error.context}")]
    return _from_tree(data, _yaml_lines(root))


def _yaml_lines(root: Any) -> list[tuple[int, list[int]]]:
    """The line of every product, and those of its variants."""

    def child(node: Any, name: str) -> Any:
        pairs: list[tuple[Any, Any]] = node.value if getattr(node, "id", "") == "mapping" else []
        return next((value for key, value in pairs if getattr(key, "value", None) == name), None)

    def line(node: Any) -> int:
        return node.start_mark.line + 1

    listed = child(root, "products") if getattr(root, "id", "") == "mapping" else root
    if getattr(listed, "id", "") != "sequence":
        return []
    found: list[tuple[int, list[int]]] = []
    for product in listed.value:
        variants = child(product, "variants")
        rows: list[Any] = variants.value if getattr(variants, "id", "") == "sequence" else []
        found.append((line(product), [line(row) for row in rows]))
    return found


def _read_json(text: str) -> _Read:
    try:
        data = json.loads(text, parse_float=str, parse_int=str)
    except json.JSONDecodeError as error:
        return [], [FileError(error.lineno, "", f"this is no JSON: {error.msg}")]
    return _from_tree(data, _json_lines(text, isinstance(data, list)))


def _json_lines(text: str, plain_list: bool) -> list[tuple[int, list[int]]]:
    """The line on which every product begins."""
    opening = re.search(r"\[" if plain_list else r'"products"\s*:\s*\[', text)
    if opening is None:
        return []
    decoder = json.JSONDecoder()
    found: list[tuple[int, list[int]]] = []
    at, line, counted = opening.end(), 1, 0
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        if at >= len(text) or text[at] == "]":
            return found
        line += text.count("\n", counted, at)
        counted = at
        found.append((line, []))
        _, at = decoder.raw_decode(text, at)


def _from_tree(data: Any, lines: list[tuple[int, list[int]]]) -> _Read:
    """Products out of parsed YAML or JSON."""
    shape = FileError(1, "", 'write a list of products, or "brand" and "products"')
    brand: Any = None
    if isinstance(data, dict):
        tree = cast(dict[str, Any], data)
        odd_names = sorted(str(name) for name in tree if name not in ("brand", "products"))
        if odd_names:
            return [], [FileError(1, name, 'unknown; the file has "brand" and "products"') for name in odd_names]
        brand, data = tree.get("brand"), tree.get("products")
    if not isinstance(data, list):
        return [], [shape]
    raw: list[_Raw] = []
    errors: list[FileError] = []
    for index, value in enumerate(cast(list[Any], data)):
        line, variant_lines = lines[index] if index < len(lines) else (1, [])
        if not isinstance(value, dict):
            errors.append(FileError(line, "", "a product is a map of fields"))
            continue
        values = dict(cast(dict[str, Any], value))
        if brand is not None:
            values.setdefault("brand", brand)
        one = _Raw(line, values)
        given: Any = values.pop("variants", None)
        for number, variant in enumerate(cast(list[Any], given) if isinstance(given, list) else []):
            at = variant_lines[number] if number < len(variant_lines) else line
            if isinstance(variant, dict):
                one.variants.append((at, dict(cast(dict[str, Any], variant))))
            else:
                errors.append(FileError(at, "variants", "a variant is a map of fields"))
        raw.append(one)
    return raw, errors


# ── CSV ────────────────────────────────────────────────────────────────────────────────────────────────────────────

_LISTS = ("tags", "complements")
_PAIRS = ("attributes", "picture", "options", "stock")
_MONEY = ("price", "list_price", "floor")
_OF_PRODUCT = ("brand", "name", "category", "maker", "description", "tags", "complements", "attributes", "picture")
_OF_VARIANT = ("sku", "color", "size", "options", "weight_g", "price", "list_price", "floor", "stock")
_NEEDED = ("product_id", "name", "category", "sku", "price")
_COMMA = re.compile(r"\d+,\d{1,2}")


def _read_csv(text: str) -> _Read:
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    errors: list[FileError] = []
    try:
        columns = [name.strip().lower() for name in next(reader, list[str]())]
        errors.extend(_check_columns(columns))
        if errors:
            return [], errors
        products: dict[str, _Raw] = {}
        begins = reader.line_num + 1
        for cells in reader:
            line, begins = begins, reader.line_num + 1
            if any(cell.strip() for cell in cells):
                _take_row(line, columns, cells, products, errors)
    except csv.Error as error:
        return [], [FileError(reader.line_num, "", f"this is no CSV: {error}")]
    return list(products.values()), errors


def _check_columns(columns: Sequence[str]) -> list[FileError]:
    known = ("product_id", *_OF_PRODUCT, *_OF_VARIANT)
    errors = [FileError(1, name, "missing column") for name in _NEEDED if name not in columns]
    errors.extend(
        FileError(1, name or "(empty)", f"unknown column; known are {', '.join(known)}")
        for name in columns
        if name not in known
    )
    errors.extend(
        FileError(1, name, "the column stands there twice") for name in set(columns) if columns.count(name) > 1
    )
    return errors


def _take_row(
    line: int, columns: Sequence[str], cells: Sequence[str], products: dict[str, _Raw], errors: list[FileError]
) -> None:
    if len(cells) != len(columns):
        errors.append(
            FileError(line, "", f"{len(cells)} cells for {len(columns)} columns: put text with separators in quotes")
        )
        return
    row: dict[str, Any] = {}
    for name, cell in zip(columns, cells, strict=True):
        if cell.strip():
            value = _cell(line, name, cell.strip(), errors)
            if value is not None:
                row[name] = value
    id = row.pop("product_id", None)
    if id is None:
        errors.append(FileError(line, "product_id", f"missing: {_HINTS['product_id']}"))
        return
    product = products.setdefault(id, _Raw(line, {"id": id}))
    for name in _OF_PRODUCT:
        value = row.pop(name, None)
        if value is None:
            continue
        if product.values.setdefault(name, value) != value:
            errors.append(
                FileError(line, name, f"not the same as in line {product.line}: a product has one, or leave it empty")
            )
    product.variants.append((line, row))


def _cell(line: int, name: str, cell: str, errors: list[FileError]) -> Any:
    if name in _LISTS:
        return [part.strip() for part in cell.split("|") if part.strip()]
    if name in _PAIRS:
        pairs: dict[str, str] = {}
        for part in cell.split("|"):
            key, equals, value = part.partition("=")
            if not equals or not key.strip():
                errors.append(FileError(line, name, f"{part.strip()!r} is no pair: write key=value, separated by |"))
                return None
            pairs[key.strip()] = value.strip()
        return pairs
    if name in _MONEY and _COMMA.fullmatch(cell):
        return cell.replace(",", ".")
    return cell
