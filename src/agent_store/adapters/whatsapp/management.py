"""The side of the Graph API that people manage: templates, catalogues, profiles, numbers. For commands, so it blocks.

Source: WhatsApp Business Management API ("Templates", "Business phone numbers", "Business profiles", "Subscribed apps") and
Marketing API ("Product Catalog Items Batch", "Check Batch Request Status").
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, cast

import httpx

from agent_store.kernel.errors import PermanentError, TemporaryError

Json = dict[str, Any]

_TRIES = 5
_LATER = frozenset({1, 2, 4, 17, 341, 80004, 80007, 80008, 80014})
"""Codes that mean "not now"."""
_PAGE = 100


class Refused(PermanentError):
    """Meta's own sentence, and its code."""

    code = "refused-by-meta"

    def __init__(self, message: str, platform_code: int | None) -> None:
        super().__init__(message, platform_code=platform_code)
        self.platform_code = platform_code


class GraphManagement:
    """Calls with the access token. What fails for now is tried again with growing pauses, then TemporaryError."""

    def __init__(
        self,
        graph_url: str,
        api_version: str,
        token: str,
        *,
        pause: float = 1.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(
            base_url=f"{graph_url.rstrip('/')}/{api_version.strip('/')}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=60.0,
            transport=transport,
        )
        self._pause = pause

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def call(self, method: str, path: str, *, repeatable: bool = True, **options: Any) -> Json:
        """Raises Refused for an answer that stays as it is, TemporaryError when the last try failed for now.

        `repeatable=False`: what would be made twice is only tried again when Meta said that it did not take it.
        """
        trouble = ""
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(self._pause * 2 ** (attempt - 1))
            try:
                answer = self._http.request(method, path, **options)
            except httpx.HTTPError as error:
                trouble = f"the Graph API does not answer ({type(error).__name__})"
                if not repeatable and not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                    raise TemporaryError(f"{trouble}: look if it was done before you try again") from error
                continue
            body = _object(answer)
            if answer.is_success:
                return body
            told = _part(body, "error")
            code, sentence = told.get("code"), _sentence(answer, told)
            if code in _LATER or answer.status_code == 429 or (answer.status_code >= 500 and repeatable):
                trouble = sentence
                continue
            raise Refused(sentence, code if isinstance(code, int) else None)
        raise TemporaryError(f"{trouble}: tried {_TRIES} times")

    def pages(self, path: str, **params: Any) -> Iterator[Json]:
        """The objects of a list, over all of its pages."""
        after: str | None = None
        while True:
            more = {"after": after} if after else {}
            body = self.call("GET", path, params={"limit": _PAGE, **params, **more})
            yield from _objects(body, "data")
            page = _part(body, "paging")
            following = _part(page, "cursors").get("after")
            if not page.get("next") or not following or following == after:
                return
            after = str(following)

    # --- templates

    def templates(self, account: str) -> list[Json]:
        return list(self.pages(f"/{account}/message_templates", fields="id,name,language,status,category,components"))

    def create_template(self, account: str, body: Json) -> Json:
        return self.call("POST", f"/{account}/message_templates", json=body, repeatable=False)

    def edit_template(self, template_id: str, body: Json) -> Json:
        return self.call("POST", f"/{template_id}", json={key: body[key] for key in ("category", "components")})

    # --- catalogue

    def retailer_ids(self, catalog: str) -> set[str]:
        return {str(one["retailer_id"]) for one in self.pages(f"/{catalog}/products", fields="retailer_id")}

    def send_items(self, catalog: str, requests: Sequence[Json]) -> str:
        """Returns the handle by which the batch is asked about. Raises Refused that names the first bad items."""
        body: Json = {"item_type": "PRODUCT_ITEM", "allow_upsert": True, "requests": list(requests)}
        answer = self.call("POST", f"/{catalog}/items_batch", json=body)
        bad = [
            f"{one.get('retailer_id')}: {'; '.join(str(error.get('message')) for error in errors)}"
            for one in _objects(answer, "validation_status")
            if (errors := _objects(one, "errors"))
        ]
        if bad:
            raise Refused(f"{len(bad)} items were refused. {' | '.join(bad[:5])}", None)
        handles = answer.get("handles")
        if not isinstance(handles, list) or not handles:
            raise Refused("Meta took the items and gave no handle to ask about them by", None)
        return str(cast("list[Any]", handles)[0])

    def batch_errors(self, catalog: str, handle: str, *, seconds: float) -> list[str]:
        """Waits until a batch was worked through; what went wrong in it. Raises TemporaryError when it takes longer."""
        deadline = time.monotonic() + seconds
        while True:
            answer = self.call("GET", f"/{catalog}/check_batch_request_status", params={"handle": handle})
            state = next(iter(_objects(answer, "data")), Json())
            if str(state.get("status", "")).lower() in ("finished", "error"):
                return [
                    f"{one.get('id', '')}: {one.get('message', '')}".lstrip(": ") for one in _objects(state, "errors")
                ]
            if time.monotonic() > deadline:
                raise TemporaryError(f"Meta still works on batch {handle} after {seconds:g} s")
            time.sleep(self._pause)

    # --- numbers

    def profile(self, number: str) -> Json:
        answer = self.call("GET", f"/{number}/whatsapp_business_profile", params={"fields": ",".join(PROFILE)})
        return next(iter(_objects(answer, "data")), Json())

    def set_profile(self, number: str, fields: Mapping[str, Any]) -> None:
        self.call("POST", f"/{number}/whatsapp_business_profile", json={"messaging_product": "whatsapp", **fields})

    def number(self, number: str) -> Json:
        return self.call("GET", f"/{number}", params={"fields": ",".join(NUMBER)})

    def subscribed_apps(self, account: str) -> list[Json]:
        return list(self.pages(f"/{account}/subscribed_apps"))

    def subscribe(self, account: str) -> None:
        """The business account's webhooks go to the token's app from then on."""
        self.call("POST", f"/{account}/subscribed_apps")

    def register(self, number: str, pin: str) -> None:
        """Makes a number usable with the Cloud API; `pin` is its two-step verification's."""
        self.call("POST", f"/{number}/register", json={"messaging_product": "whatsapp", "pin": pin})


PROFILE = ("about", "address", "description", "email", "vertical", "websites")
NUMBER = ("display_phone_number", "verified_name", "quality_rating", "throughput", "name_status", "status")


def _object(answer: httpx.Response) -> Json:
    try:
        value: Any = answer.json()
    except ValueError:
        return {}
    return cast(Json, value) if isinstance(value, dict) else {}


def _part(whole: Json, name: str) -> Json:
    value = whole.get(name)
    return cast(Json, value) if isinstance(value, dict) else {}


def _objects(whole: Json, name: str) -> list[Json]:
    """The objects of a list; [] for anything else."""
    value = whole.get(name)
    parts = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast(Json, part) for part in parts if isinstance(part, dict)]


def _sentence(answer: httpx.Response, fault: Json) -> str:
    parts = [str(fault[key]) for key in ("message", "error_user_msg") if fault.get(key)]
    return " – ".join(dict.fromkeys(parts)) or f"HTTP {answer.status_code}"
