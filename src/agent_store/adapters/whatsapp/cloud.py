"""What both directions of the simulated Cloud API share: how it refuses a call, and how parts of a body are read. Pure.

Source: WhatsApp Business Cloud API, "Error codes".
"""

from __future__ import annotations

from typing import Any, cast

Json = dict[str, Any]

ACCOUNT = "100000000000042"
"""The simulated WhatsApp business account's id."""
APP = "100000000000007"
"""The simulated Meta app's id."""

TITLES: dict[int, str] = {
    1: "API Unknown",
    2: "API Service",
    4: "API Too Many Calls",
    10: "Permission Denied",
    100: "Invalid parameter",
    190: "Access token has expired",
    368: "Temporarily blocked for policies violations",
    80007: "Rate limit issues",
    130429: "Rate limit hit",
    130472: "User's number is part of an experiment",
    131000: "Something went wrong",
    131005: "Access denied",
    131008: "Required parameter is missing",
    131009: "Parameter value is not valid",
    131016: "Service unavailable",
    131021: "Recipient cannot be sender",
    131026: "Message undeliverable",
    131031: "Account has been locked",
    131042: "Business eligibility payment issue",
    131047: "Re-engagement message",
    131048: "Spam rate limit hit",
    131049: "Meta chose not to deliver",
    131050: "User has stopped receiving marketing messages",
    131051: "Unsupported message type",
    131052: "Media download error",
    131053: "Media upload error",
    131056: "(Business Account, Consumer Account) pair rate limit hit",
    131057: "Business Account is in maintenance mode",
    132000: "Template param count mismatch",
    132001: "Template does not exist",
    132005: "Template hydrated text too long",
    132007: "Template format character policy violated",
    132012: "Template parameter format mismatch",
    132015: "Template is paused",
    132016: "Template is disabled",
    132018: "Issue with the parameters in the template",
    133010: "Phone number not registered",
}
STATUSES: dict[int, int] = {
    1: 500, 2: 503, 10: 403, 190: 401, 368: 403, 4: 429, 80007: 429, 130429: 429, 131000: 500, 131005: 403, 131016: 503,
    131031: 403, 131057: 503, 132001: 404,
}  # fmt: skip
"""HTTP status of a refused call where it is not 400."""


class GraphFault(Exception):
    """A Graph call refused, as the platform refuses it."""

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        details: str = "",
        *,
        kind: str = "OAuthException",
        subcode: int | None = None,
        retry_after: int | None = None,
        transient: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.body: Json = {
            "error": {
                "message": f"(#{code}) {message}",
                "type": kind,
                "code": code,
                **({"error_subcode": subcode} if subcode is not None else {}),
                **({"error_data": {"messaging_product": "whatsapp", "details": details}} if details else {}),
                **({"is_transient": True} if transient else {}),
                "fbtrace_id": "simulator",
            }
        }


def fault(code: int, details: str = "", *, status: int | None = None, retry_after: int | None = None) -> GraphFault:
    """A refusal by its code; title and status as the platform's table of error codes has them."""
    title = TITLES.get(code, "Something went wrong")
    return GraphFault(status or STATUSES.get(code, 400), code, title, details, retry_after=retry_after)


def unknown_object(id: str) -> GraphFault:
    return GraphFault(
        400, 100, f"Unsupported request. Object with ID '{id}' does not exist, or is none of this token's",
        kind="GraphMethodException", subcode=33,
    )  # fmt: skip


def status_error(code: int, details: str = "") -> Json:
    """An error as a failed status carries it."""
    title = TITLES.get(code, "Something went wrong")
    return {
        "code": code,
        "title": title,
        "message": title,
        "error_data": {"details": details or title},
        "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
    }


def digits(phone: str) -> str:
    """A phone number as WhatsApp writes it: country code first, digits only."""
    return "".join(character for character in phone if character in "0123456789")


# --- reading a body ----------------------------------------------------------------------------------------------


def invalid(details: str, *, code: int = 131009) -> GraphFault:
    return fault(code, details)


def object_in(parent: Json, name: str) -> Json:
    value = parent.get(name)
    if not isinstance(value, dict):
        raise invalid(f"the parameter {name} is required and is an object", code=131008)
    return cast(Json, value)


def objects_in(parent: Json, name: str, *, most: int) -> list[Json]:
    value = parent.get(name)
    if not isinstance(value, list) or not 1 <= len(cast("list[Any]", value)) <= most:
        raise invalid(f"{name} has 1 to {most} elements")
    parts = cast("list[Any]", value)
    if not all(isinstance(part, dict) for part in parts):
        raise invalid(f"{name} has an element that is no object")
    return cast("list[Json]", parts)


def string_in(parent: Json, name: str, most: int | None = None) -> str:
    value = parent.get(name)
    if not isinstance(value, str) or not value.strip():
        raise invalid(f"the parameter {name} is required", code=131008)
    if most is not None and len(value) > most:
        raise invalid(f"{name} has {len(value)} characters, at most {most} are allowed")
    return value


def optional_in(parent: Json, name: str, most: int | None = None) -> str:
    return string_in(parent, name, most) if parent.get(name) is not None else ""


def number_in(parent: Json, name: str, least: float, most: float) -> float:
    value = parent.get(name)
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise invalid(f"{name} is a number from {least:g} to {most:g}")
    return float(value)


def distinct(values: list[str], name: str) -> None:
    if len(set(values)) < len(values):
        raise invalid(f"{name} are not unique")
