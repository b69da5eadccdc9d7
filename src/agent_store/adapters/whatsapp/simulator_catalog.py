"""The catalogue's side of the Graph API: batches of items, and what is in a catalogue.

Source: Marketing API, "Product Catalog Items Batch", "Check Batch Request Status", "Product Catalog Products".
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from typing import Any, cast

from agent_store.adapters.whatsapp.cloud import Json, fault
from agent_store.adapters.whatsapp.simulator_store import SimulatorStore

MOST = 5000
"""Requests of one batch."""
_METHODS = ("CREATE", "UPDATE", "DELETE")
_NEEDED = ("title", "description", "availability", "condition", "price", "link", "image_link")
_PRICE = re.compile(r"\d+(\.\d{1,2})? [A-Z]{3}")


def items_batch(store: SimulatorStore, catalog_id: str, body: Json) -> Json:
    """Worked through at once; what was wrong stands in the answer, by item."""
    if body.get("item_type") != "PRODUCT_ITEM":
        raise fault(100, "item_type must be PRODUCT_ITEM")
    requests: Any = body.get("requests")
    if isinstance(requests, str):
        try:
            requests = json.loads(requests)
        except ValueError as error:
            raise fault(100, "requests is not JSON") from error
    if not isinstance(requests, list) or not 1 <= len(cast("list[Any]", requests)) <= MOST:
        raise fault(100, f"requests has 1 to {MOST} elements")
    upsert = body.get("allow_upsert", True) is not False
    bad: list[Json] = []
    taken = 0
    for request in cast("list[Any]", requests):
        id, problem = _apply(store, catalog_id, request, upsert)
        if problem:
            bad.append({"retailer_id": id, "errors": [{"message": problem}], "warnings": []})
        else:
            taken += 1
    handle = f"handle-{secrets.token_hex(12)}"
    store.set_setting(f"batch:{catalog_id}:{handle}", {"taken": taken, "bad": len(bad)})
    return {"handles": [handle] if taken else [], "validation_status": bad}


def _apply(store: SimulatorStore, catalog_id: str, request: Any, upsert: bool) -> tuple[str, str]:
    """The item's id and what is wrong with it, "" when it was taken."""
    if not isinstance(request, dict):
        return "", "a request is an object"
    change = cast(Json, request)
    data: Any = change.get("data")
    item = cast(Json, data) if isinstance(data, dict) else {}
    id = str(item.get("id") or change.get("retailer_id") or "")
    method = change.get("method")
    if method not in _METHODS:
        return id, f"method is one of {', '.join(_METHODS)}"
    if not 0 < len(id) <= 100:
        return id, "id has 1 to 100 characters"
    known = store.item(catalog_id, id)
    if method == "DELETE":
        return id, "" if store.delete_item(catalog_id, id) else "there is no such item"
    if known is None and method == "UPDATE" and not upsert:
        return id, "there is no such item, and allow_upsert is false"
    whole = {**(known or {}), **item}
    lacking = [name for name in _NEEDED if not whole.get(name)]
    if lacking:
        return id, f"missing: {', '.join(lacking)}"
    for name in ("price", "sale_price"):
        if whole.get(name) and not _PRICE.fullmatch(str(whole[name])):
            return id, f'{name} is a number with a currency, as "199.90 BRL"'
    store.put_item(catalog_id, id, whole)
    return id, ""


def batch_status(store: SimulatorStore, catalog_id: str, handle: str) -> Json:
    found = store.setting(f"batch:{catalog_id}:{handle}")
    if found is None:
        raise fault(100, "there is no batch with this handle")
    return {"data": [{"handle": handle, "status": "finished", "errors_total_count": 0, "errors": [], "warnings": []}]}


def products(store: SimulatorStore, catalog_id: str, query: Mapping[str, str]) -> Json:
    asked = query.get("limit", "")
    most = max(1, min(int(asked) if asked.isdigit() else 25, 1000))
    found = store.items(catalog_id, after=query.get("after", ""), limit=most + 1)
    names = {name.strip() for name in query.get("fields", "").split(",") if name.strip()} or {"name", "retailer_id"}
    shown: list[Json] = []
    for id, data in found[:most]:
        whole = {**data, "name": data.get("title", id), "retailer_id": id}
        node = f"{catalog_id}{int.from_bytes(id.encode()[:6])}"
        shown.append({**{name: value for name, value in whole.items() if name in names}, "id": node})
    paging: Json = {"cursors": {"before": found[0][0], "after": found[:most][-1][0]}} if found else {}
    if len(found) > most:
        paging["next"] = f"?limit={most}&after={found[most - 1][0]}"
    return {"data": shown, **({"paging": paging} if paging else {})}
