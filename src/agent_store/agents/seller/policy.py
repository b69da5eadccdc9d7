"""Which tools a brain may use, with which arguments, and what the customer must have said first. Pure.

The guards do not ask whether a brain is clever: an order is placed, cancelled or paid for only when the customer's own
latest words say so. A brain that tries without gets a refusal that tells it to ask.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast, get_args

from pydantic import ValidationError

from agent_store.agents.seller.model import fold
from agent_store.contracts.cart import AddToCart, ClearCart, GetCart, RemoveFromCart
from agent_store.contracts.catalog import GetProducts, ListCategories, Recommend, SearchProducts
from agent_store.contracts.chat import GetProfile, Remember
from agent_store.contracts.common import Address
from agent_store.contracts.fulfillment import ListPickup, QuoteDelivery
from agent_store.contracts.inventory import GetAvailability, ListLocations
from agent_store.contracts.orders import CancelOrder, GetMyOrder, ListMyOrders, PlaceOrder
from agent_store.contracts.payments import GetPendingPayment, SubmitTestCard
from agent_store.contracts.people import Reason
from agent_store.contracts.pricing import GetPrices, GetQuote
from agent_store.kernel.added import ToolContract, fits, made_of
from agent_store.kernel.brain import Line, ToolSpec
from agent_store.kernel.errors import InvalidInput
from agent_store.kernel.money import Money
from agent_store.kernel.tool import Tool

SHOW_PRODUCTS = "show_products"
OFFER_CHOICES = "offer_choices"
BRING_PERSON = "bring_person"
CONFIRM_ORDER = "confirm_order"
"""The payload of the button that says yes to an order."""
FORM = "form"
"""The payload of a form's answers: they inform, and neither confirm nor cancel anything."""

_ALLOWED: dict[str, type[Tool[Any]]] = {
    contract.tool_name: contract
    for contract in (
        SearchProducts, GetProducts, Recommend, ListCategories, GetPrices, GetQuote, GetAvailability, ListLocations,
        GetCart, AddToCart, RemoveFromCart, ClearCart, QuoteDelivery, ListPickup, PlaceOrder, ListMyOrders, GetMyOrder,
        CancelOrder, GetPendingPayment, SubmitTestCard, GetProfile, Remember,
    )
}  # fmt: skip


class BadCall(InvalidInput):
    """A brain's tool call that cannot be made; the message tells the brain how to mend it."""

    code = "invalid-arguments"


def tool_of(name: str, arguments: Mapping[str, Any], added: Sequence[ToolContract] = ()) -> Tool[Any]:
    """The call as its contract. Raises BadCall for a tool that is not on the list and for arguments that do not fit.

    `added`: what `usable` leaves of the contracts of added tools.
    """
    contract = _ALLOWED.get(name)
    if contract is None:
        found = next((one for one in added if one.name == name), None)
        if found is None:
            raise BadCall(f"there is no tool {name!r}", code="unknown-tool")
        try:
            return made_of(found).called_with(_plain_added(found, arguments))
        except InvalidInput as error:
            raise BadCall(error.message) from error
    try:
        return contract.model_validate(_plain_arguments(contract, arguments))
    except ValidationError as error:
        raise BadCall(f"{name}: {_complaints(error)}") from error


def _complaints(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)[:3]
    return "; ".join(f"{'.'.join(str(part) for part in one['loc']) or 'arguments'}: {one['msg']}" for one in found)


def _plain_arguments(contract: type[Tool[Any]], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Forgive what models do to arguments: null or "" for what is left out, amounts as numbers or as Brazilians write
    them, an address in single fields (as `specs` offers it)."""
    fields = contract.model_fields
    plain: dict[str, Any] = {}
    address: dict[str, Any] = {}
    for name, value in arguments.items():
        if name in Address.model_fields and name not in fields and "address" in fields:
            if value not in (None, ""):
                address[name] = value
            continue
        field = fields.get(name)
        if field is not None and not field.is_required() and (value is None or (value == "" and field.default is None)):
            continue
        plain[name] = _amount(value) if field is not None and _is_money(field.annotation) else value
    if address and not isinstance(plain.get("address"), dict):
        plain["address"] = address
    return plain


def _is_money(annotation: Any) -> bool:
    return annotation is Money or Money in getattr(annotation, "__args__", ())


def _amount(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return f"{value}.00"
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, str):
        text = value.upper().replace("R$", "").replace("BRL", "").strip()
        if re.fullmatch(r"-?\d{1,3}(\.\d{3})*,\d{1,2}|-?\d+,\d{1,2}", text):
            return text.replace(".", "").replace(",", ".")
        return text
    return value


# --- tools of added agents -----------------------------------------------------------------------------------------

HOUSE = frozenset({
    "whatsapp", "conversations", "assistant", "catalog", "inventory", "pricing", "cart", "orders", "payments",
    "fulfillment", "seller",
})  # fmt: skip
"""The store's own agents: a seller uses of theirs what stands above, and no allow-list adds to it."""
MOST_ADDED = 32
_WORDY = 1000


def patterns(allowed: Sequence[str]) -> tuple[str, ...]:
    """Of a brand's allow-list, what may be asked for: names of other agents' tools."""
    return tuple(one for one in allowed if one.partition(".")[0] not in HOUSE and "." in one)


def usable(found: Sequence[ToolContract], allowed: Sequence[str]) -> tuple[ToolContract, ...]:
    """Of these contracts, those of tools that the brand's seller may use: allow-listed, not for staff, and with a name
    that no model can take for one of the store's own tools (models know names without points and dashes)."""
    wanted = patterns(allowed)
    taken = {_as_heard(name) for name in (*_ALLOWED, *VIRTUAL)}
    kept: list[ToolContract] = []
    for one in found:
        heard = _as_heard(one.name)
        if fits(one.name, wanted) and not one.staff_only and heard not in taken:
            taken.add(heard)
            kept.append(one)
    return tuple(kept[:MOST_ADDED])


def _as_heard(name: str) -> str:
    return name.replace(".", "_").replace("-", "_")


def _plain_added(contract: ToolContract, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """As `_plain_arguments`, by the schema: nothing for what is left out, an amount as the object that it is."""
    properties = _properties(contract)
    required = set(cast("Sequence[str]", contract.arguments.get("required", ())))
    plain: dict[str, Any] = {}
    for name, value in arguments.items():
        if value in (None, "") and name in properties and name not in required:
            continue
        money = name in properties and _refers_to_money(properties[name]) and isinstance(value, str | int | float)
        plain[name] = Money.parse(_amount(value)).model_dump() if money else value
    return plain


def _properties(contract: ToolContract) -> dict[str, Any]:
    return cast("dict[str, Any]", contract.arguments.get("properties", {}))


def _refers_to_money(schema: Mapping[str, Any]) -> bool:
    forms = [schema, *cast("Sequence[Mapping[str, Any]]", schema.get("anyOf", ()))]
    return any(str(one.get("$ref", "")).endswith("/Money") for one in forms)


def added_specs(contracts: Sequence[ToolContract]) -> tuple[ToolSpec, ...]:
    """Added tools as a model sees them; their own words about themselves are cut where they grow long."""
    return tuple(
        ToolSpec(
            name=one.name,
            description=one.description[:_WORDY],
            parameters={
                "type": "object",
                "properties": {
                    name: _told(schema, one.arguments.get("$defs", {})) for name, schema in _properties(one).items()
                },
                "required": list(one.arguments.get("required", ())),
            },
        )
        for one in contracts
    )


def _told(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    try:
        simple = _simple(schema, definitions)
    except (KeyError, StopIteration, RecursionError):
        simple = {}  # of a form that cannot be told in short: the call is checked against the whole of it
    if "const" in schema:
        simple["enum"] = [schema["const"]]
    words = _MONEY if _refers_to_money(schema) else str(schema.get("description", ""))
    return {**simple, "description": words[:_WORDY]} if words else simple


# --- what the customer said ----------------------------------------------------------------------------------------

_YES = frozenset({
    "sim", "s", "ss", "sss", "isso", "confirmo", "confirmar", "confirma", "confirmado", "confirmada", "fecha",
    "fechar", "fechado", "fechou", "finaliza", "finalizar", "finalizado", "ok", "okay", "okey", "beleza", "blz",
    "claro", "bora", "perfeito", "certo", "positivo", "combinado", "aceito", "aprovo", "fechamos", "confirmamos",
    "pode", "yes", "y", "yep", "yeah", "yup", "sure", "confirm", "confirmed", "proceed", "deal", "absolutely",
    "definitely", "si", "dale", "vale", "listo", "adelante", "perfecto", "hazlo", "acepto", "ordena",
})  # fmt: skip
_YES_PHRASES = (
    "manda ver", "pode mandar", "com certeza", "pode ser", "quero fechar", "quero comprar", "vou levar", "vou querer",
    "fazer o pedido", "faz o pedido", "faca o pedido", "go ahead", "place it", "place the order", "place my order",
    "do it", "sounds good", "buy it", "i'll take it", "de acuerdo", "haz el pedido", "lo llevo", "me lo llevo",
)  # fmt: skip
_NO = frozenset({
    "nao", "n", "nunca", "espera", "espere", "calma", "depois", "ainda", "cancela", "cancelar", "cancele", "muda",
    "mudar", "troca", "trocar", "tira", "tirar", "remove", "not", "don't", "dont", "never", "wait", "stop", "cancel",
    "change", "later", "nope", "todavia", "cambia", "cambiar", "quita", "mejor",
})  # fmt: skip
_WORD = re.compile(r"[\w']+")


def confirms(lines: Sequence[Line], language: str) -> bool:
    """Did the customer say yes in this burst, and not take it back? A tap on the button counts; a question does not."""
    said = False
    for line in lines:
        if line.role != "customer":
            continue
        if line.payload is not None:
            if line.payload.split(":", 1)[0] == CONFIRM_ORDER:
                said = True
            continue
        text = fold(line.text)
        words = _WORD.findall(text)
        no = bool(_NO.intersection(words)) or (bool(words) and words[0] == "no") or (language != "pt" and "no" in words)
        if no:
            said = False
        elif (
            len(words) <= 14
            and "?" not in text
            and (_YES.intersection(words) or any(one in text for one in _YES_PHRASES))
        ):
            said = True
    return said


_CANCEL = re.compile(r"\b(?:cancel\w*|desist\w*|anul\w*|nao quero mais|call it off|ya no (?:lo )?quiero)")


def asks_to_cancel(lines: Sequence[Line]) -> bool:
    """The customer's own words of this burst speak of cancelling; a form's fields are none."""
    return any(
        _CANCEL.search(fold(line.text)) or (line.payload or "").startswith("cancel")
        for line in lines
        if line.role == "customer" and line.payload != FORM
    )


@dataclass(frozen=True, slots=True)
class Said:
    """What the guards go by. `shown_cart`: the cart version whose amounts an earlier reply of this conversation stated."""

    lines: Sequence[Line]
    language: str
    shown_cart: int | None


@dataclass(frozen=True, slots=True)
class Refusal:
    code: str
    message: str


def refusal(tool: Tool[Any], said: Said) -> Refusal | None:
    """Why this call must not be made now; None when it may."""
    match tool:
        case PlaceOrder():
            if said.shown_cart is None or said.shown_cart != tool.cart_version:
                return Refusal(
                    "summary-needed",
                    f"cart version {tool.cart_version} has not been shown to the customer: state its items, delivery and "
                    "total, offer a button with the id confirm_order, and wait for the answer",
                )
            if not confirms(said.lines, said.language):
                return Refusal(
                    "confirmation-needed",
                    "the customer's latest message does not confirm the order: ask for a clear yes and wait for the answer",
                )
        case CancelOrder():
            if not asks_to_cancel(said.lines) and not confirms(said.lines, said.language):
                return Refusal(
                    "confirmation-needed",
                    "the customer's latest message does not ask to cancel: ask for a clear yes first",
                )
        case SubmitTestCard():
            if not any(
                tool.code in f"{line.text} {line.payload or ''}" for line in said.lines if line.role == "customer"
            ):
                return Refusal(
                    "code-needed", "the customer has not given this code: ask for it or point to the payment link"
                )
        case _:
            pass
    return None


# --- when a person is wanted ----------------------------------------------------------------------------------------

_REASON_WORDS: tuple[tuple[Reason, str], ...] = (
    ("asked", r"ask|pedi|pessoa|person|human|atendente"),
    ("sentiment", r"sentiment|ang(?:er|ry)|mood|raiva|irrit|furi|upset|insatisf"),
    ("not_understood", r"understand|understood|entend"),
    ("policy", r"polic|politica|troca|refund|reembols|return|devol|legal"),
    ("value", r"value|valor|desconto|discount|negoci"),
    ("failed", r"fail|falh|erro"),
)


def reason_of(words: str) -> Reason:
    """The contract's reason for what a brain gave in a few words; "complex" when it fits none."""
    first = words.split(":", 1)[0].strip().lower()
    if first in get_args(Reason):
        return cast(Reason, first)
    folded = fold(words)
    for reason, pattern in _REASON_WORDS:
        if re.search(pattern, folded):
            return reason
    return "complex"


# --- tools as a model sees them ------------------------------------------------------------------------------------

_SKU = "SKU of the variant, exactly as a tool gave it"
_CEP = "CEP (Brazilian postal code, eight digits)"
_MONEY = "amount in reais, like 299.90"
_STREET = "street, number and complement"

_SHOWN: tuple[tuple[type[Tool[Any]], dict[str, str], tuple[str, ...]], ...] = (
    (SearchProducts, {
        "text": "what the customer looks for, in their words", "category": "a category as catalog.categories names it",
        "color": "colour", "size": "size", "maker": "maker", "min_price": _MONEY, "max_price": _MONEY,
        "sort": "order of the hits", "limit": "how many hits, at most 10", "offset": "hits to leave out, for the next page",
        "brand": 'leave out for this shop; "*" searches all brands',
    }, ()),
    (GetProducts, {"ids": "product ids or SKUs"}, ("ids",)),
    (Recommend, {
        "product_id": "product id or SKU", "kind": '"complementary" goes with it, "similar" could take its place',
        "max_price": _MONEY, "limit": "how many",
    }, ("product_id",)),
    (ListCategories, {}, ()),
    (GetCart, {}, ()),
    (AddToCart, {"sku": _SKU, "quantity": "units"}, ("sku",)),
    (RemoveFromCart, {"sku": _SKU, "quantity": "units; leave out to remove the line"}, ("sku",)),
    (ClearCart, {}, ()),
    (QuoteDelivery, {"cep": _CEP, "lines": "leave out for the cart"}, ("cep",)),
    (ListPickup, {"near_cep": _CEP}, ()),
    (PlaceOrder, {
        "cart_version": "`version` of the cart that the customer has confirmed", "delivery": "delivery or pickup",
        "service": "service of the quote, for a delivery", "cep": _CEP, "street": _STREET, "city": "city",
        "state": "state, two letters", "location": "store id, for a pickup",
        "expected_total": "the total that the customer was told, like 319.80",
    }, ("cart_version", "delivery")),
    (ListMyOrders, {"limit": "how many"}, ()),
    (GetMyOrder, {"number": "order number like AS-7K3F9Q; leave out for the newest"}, ()),
    (CancelOrder, {"number": "order number", "reason": "why, in a few words"}, ("number",)),
    (GetPendingPayment, {}, ()),
    (SubmitTestCard, {"code": "the four digits that the customer gave"}, ("code",)),
    (GetProfile, {}, ()),
    (Remember, {
        "name": "the customer's name", "cep": _CEP, "street": _STREET, "city": "city", "state": "state, two letters",
        "delivery": "what they prefer", "pickup_location": "store id",
    }, ()),
)  # fmt: skip

_OWN: tuple[ToolSpec, ...] = (
    ToolSpec(
        name=SHOW_PRODUCTS,
        description="Show product cards (picture, price, stock) in your reply. Only products that a tool has returned.",
        parameters={
            "type": "object",
            "properties": {
                "ids": {"type": "array", "items": {"type": "string"}, "description": "product ids or SKUs, at most 10"},
                "text": {"type": "string", "description": "one sentence that goes with them"},
            },
            "required": ["ids"],
        },
    ),
    ToolSpec(
        name=OFFER_CHOICES,
        description="Let the customer tap an answer: up to 3 become buttons, up to 10 a list. Ends your reply. Use the id "
        f"{CONFIRM_ORDER} for the choice that confirms an order.",
        parameters={
            "type": "object",
            "properties": {
                "text": {"type": "string", "description": "the question"},
                "choices": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"id": {"type": "string"}, "title": {"type": "string"}},
                        "required": ["title"],
                    },
                    "description": "at most 10, titles of at most 20 characters",
                },
            },
            "required": ["text", "choices"],
        },
    ),
    ToolSpec(
        name=BRING_PERSON,
        description="Hand the conversation to a person of the staff: when the customer asks for one, is angry, or needs "
        "what no tool can do. Ends your turn.",
        parameters={
            "type": "object",
            "properties": {
                "reason": {
                    "type": "string",
                    "enum": ["asked", "sentiment", "complex", "value", "policy"],
                    "description": "why: the customer asked, is upset, or it is too complex, about terms, about a rule",
                },
                "note": {"type": "string", "description": "one sentence for the person"},
            },
            "required": ["reason"],
        },
    ),
)
VIRTUAL = frozenset(spec.name for spec in _OWN)
"""Tools that the turn loop carries out itself."""


def _simple(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """A property without references, nulls and titles; money as text. Small models and strict servers take no more."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        return {"type": "string"} if name == "Money" else _simple(definitions[name], definitions)
    if "anyOf" in schema:
        first = next(one for one in schema["anyOf"] if one.get("type") != "null")
        return _simple(first, definitions)
    simple = {key: schema[key] for key in ("type", "enum", "minimum", "maximum") if key in schema}
    if "items" in schema:
        simple["items"] = _simple(schema["items"], definitions)
    if "properties" in schema:
        simple["properties"] = {name: _simple(one, definitions) for name, one in schema["properties"].items()}
        simple["required"] = list(schema.get("required", ()))
    return simple


def _spec(contract: type[Tool[Any]], shown: Mapping[str, str], required: Sequence[str]) -> ToolSpec:
    schema = contract.model_json_schema()
    definitions: dict[str, Any] = schema.get("$defs", {})
    known = {**definitions.get("Address", {}).get("properties", {}), **schema.get("properties", {})}
    properties = {name: {**_simple(known[name], definitions), "description": text} for name, text in shown.items()}
    return ToolSpec(
        name=contract.tool_name,
        description=contract.description(),
        parameters={"type": "object", "properties": properties, "required": list(required)},
    )


@cache
def specs() -> tuple[ToolSpec, ...]:
    """All that a model may call, with dots in the names; an adapter maps them to what its server takes."""
    return (*(_spec(*shown) for shown in _SHOWN), *_OWN)
