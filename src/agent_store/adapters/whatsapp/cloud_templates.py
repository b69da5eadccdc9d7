"""Message templates as the platform keeps them: a definition checked when it is submitted, a send checked against it. Pure.

Source: WhatsApp Business Management API, "Templates" (components, statuses); Cloud API, "Messages: template" and "Error codes"
(132000, 132001, 132005, 132012, 132015, 132016, 132018).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, cast

from agent_store.adapters.whatsapp.cloud import (
    GraphFault,
    Json,
    fault,
    invalid,
    object_in,
    objects_in,
    optional_in,
    string_in,
)
from agent_store.adapters.whatsapp.cloud_out import MediaPart, filled, read_spot, variables
from agent_store.adapters.whatsapp.simulator_content import Content
from agent_store.agents.whatsapp.phone import LinkButton, MediumKind, Option, Spot

TemplateStatus = Literal["PENDING", "APPROVED", "REJECTED", "PAUSED", "DISABLED"]
CATEGORIES = ("UTILITY", "MARKETING", "AUTHENTICATION")
BODY = 1024
HEADER = FOOTER = 60
BUTTON = 25
BUTTONS = 10
_NAME = re.compile(r"[a-z0-9_]{1,512}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?")
_SPACES = re.compile(r"[\n\t]| {5,}")


@dataclass(frozen=True, slots=True)
class Definition:
    """A template in one language."""

    id: str
    name: str
    language: str
    category: str
    components: tuple[Json, ...]
    status: TemplateStatus
    reason: str = ""

    def part(self, type: str) -> Json:
        nothing: Json = {}
        return next((part for part in self.components if str(part.get("type", "")).upper() == type), nothing)

    def as_json(self) -> Json:
        return {
            "id": self.id,
            "name": self.name,
            "language": self.language,
            "status": self.status,
            "category": self.category,
            "components": list(self.components),
            "parameter_format": "POSITIONAL" if self._positional else "NAMED",
            **({"rejected_reason": self.reason or "NONE"}),
        }

    @property
    def _positional(self) -> bool:
        return all(name.isdigit() for name in variables(str(self.part("BODY").get("text", ""))))


def _refused(sentence: str, subcode: int | None = None) -> GraphFault:
    refusal = GraphFault(400, 100, "Invalid parameter", subcode=subcode)
    refusal.body["error"] |= {"error_user_title": "The template was not taken", "error_user_msg": sentence}
    return refusal


def check_definition(body: Json) -> tuple[str, str, str, tuple[Json, ...]]:
    """Name, language, category and components of a submission. Raises GraphFault (100) that says what is wrong."""
    name, language = body.get("name"), body.get("language")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _refused("name has lower-case letters, digits and underscores only, at most 512")
    if not isinstance(language, str) or not _LANGUAGE.fullmatch(language):
        raise _refused("language is a code as pt_BR, en_US or es")
    return name, language, check_category(body), check_components(body)


def check_category(body: Json) -> str:
    category = body.get("category")
    if category not in CATEGORIES:
        raise _refused(f"category is one of {', '.join(CATEGORIES)}")
    return cast(str, category)


def check_components(body: Json) -> tuple[Json, ...]:
    components = objects_in(body, "components", most=8)
    types = [str(part.get("type", "")).upper() for part in components]
    if types.count("BODY") != 1 or len(set(types)) < len(types):
        raise _refused("there is one BODY, and at most one of each other component")
    for type, part in zip(types, components, strict=True):
        if type == "BODY":
            _check_body(part)
        elif type == "HEADER":
            _check_header(part)
        elif type == "FOOTER":
            if not 0 < len(str(part.get("text", ""))) <= FOOTER or variables(str(part.get("text", ""))):
                raise _refused(f"a footer has 1 to {FOOTER} characters and no variables")
        elif type == "BUTTONS":
            _check_buttons(part)
        else:
            raise _refused(f"the component {type[:40]!r} is not known")
    return tuple(components)


def _check_body(part: Json) -> None:
    text = part.get("text")
    if not isinstance(text, str) or not 0 < len(text) <= BODY:
        raise _refused(f"a body has 1 to {BODY} characters")
    names = variables(text)
    if not names:
        return
    if all(name.isdigit() for name in names) and sorted(int(name) for name in names) != list(range(1, len(names) + 1)):
        raise _refused("variables are numbered from {{1}} without gaps")
    if text.strip().startswith("{{") or text.strip().endswith("}}"):
        raise _refused("a body neither begins nor ends with a variable", 2388299)
    if not isinstance(part.get("example"), dict):
        raise _refused("a body with variables needs an example of each")


def _check_header(part: Json) -> None:
    form = str(part.get("format", "")).upper()
    if form not in ("TEXT", "IMAGE", "VIDEO", "DOCUMENT", "LOCATION"):
        raise _refused("header.format is TEXT, IMAGE, VIDEO, DOCUMENT or LOCATION")
    text = str(part.get("text", ""))
    if form == "TEXT" and (not 0 < len(text) <= HEADER or len(variables(text)) > 1):
        raise _refused(f"a header has 1 to {HEADER} characters and at most one variable")


def _check_buttons(part: Json) -> None:
    for button in objects_in(part, "buttons", most=BUTTONS):
        type = str(button.get("type", "")).upper()
        if type not in ("QUICK_REPLY", "URL", "PHONE_NUMBER", "COPY_CODE", "FLOW"):
            raise _refused(f"the button {type[:40]!r} is not known")
        if type != "COPY_CODE" and not 0 < len(str(button.get("text", ""))) <= BUTTON:
            raise _refused(f"a button's text has 1 to {BUTTON} characters")
        if type == "URL" and not str(button.get("url", "")).startswith(("http://", "https://")):
            raise _refused("a URL button needs an absolute url")


# --- sending ---------------------------------------------------------------------------------------------------------


def missing(name: str, language: str) -> GraphFault:
    return fault(132001, f"template name ({name}) does not exist in {language}")


def check_status(found: Definition) -> None:
    if found.status == "PAUSED":
        raise fault(132015, "the template is paused because of its low quality")
    if found.status == "DISABLED":
        raise fault(132016, "the template was paused too often and is disabled for good")
    if found.status != "APPROVED":
        raise missing(found.name, found.language)


def fill(found: Definition, call: Json) -> tuple[Content, MediaPart | None]:
    """What the customer sees of a template with the call's parameters in it. Raises GraphFault as the platform would."""
    check_status(found)
    given = objects_in(call, "components", most=20) if call.get("components") else []
    parts = {str(part.get("type", "")).lower(): part for part in given if str(part.get("type")).lower() != "button"}
    body = str(found.part("BODY").get("text", ""))
    text = filled(body, _values("body", variables(body), parts.get("body", {})))
    if len(text) > BODY:
        raise fault(132005, f"the body has {len(text)} characters with its variables filled in, at most {BODY}")
    header, media, spot = _header(found, parts.get("header", {}))
    options, links = _buttons(found, [part for part in given if str(part.get("type")).lower() == "button"])
    footer = str(found.part("FOOTER").get("text", ""))
    content = Content(
        "template", text, header=header, footer=footer, spot=spot, options=options, links=links, template=found.name
    )
    return content, media


def _values(where: str, names: list[str], part: Json) -> dict[str, str]:
    given = objects_in(part, "parameters", most=100) if part.get("parameters") else []
    if len(given) != len(names):
        raise fault(
            132000, f"{where}: number of localizable_params ({len(given)}) does not match the expected ({len(names)})"
        )
    found: dict[str, str] = {}
    for place, parameter in enumerate(given):
        type = parameter.get("type", "text")
        if type == "text":
            text = string_in(parameter, "text")
        elif type in ("currency", "date_time"):
            text = string_in(object_in(parameter, type), "fallback_value")
        else:
            raise fault(132012, f"{where}: parameter {place + 1} is of type {type}, expected is text")
        if _SPACES.search(text):
            raise fault(132018, f"{where}: a parameter has no new line, no tab and no more than four spaces in a row")
        name = parameter.get("parameter_name")
        if isinstance(name, str) and name not in names:
            raise fault(132012, f"{where}: there is no parameter {name[:40]!r}")
        found[name if isinstance(name, str) else names[place]] = text
    return found


def _header(found: Definition, part: Json) -> tuple[str, MediaPart | None, Spot | None]:
    header = found.part("HEADER")
    form = str(header.get("format", "")).upper()
    if form in ("", "TEXT"):
        text = str(header.get("text", ""))
        if not text and part.get("parameters"):
            raise fault(132000, "the template has no header")
        return filled(text, _values("header", variables(text), part)) if text else "", None, None
    parameters = objects_in(part, "parameters", most=1) if part.get("parameters") else []
    if not parameters or str(parameters[0].get("type", "")).upper() != form:
        given = parameters[0].get("type") if parameters else "nothing"
        raise fault(132012, f"header: format mismatch, expected {form}, received {given}")
    value = object_in(parameters[0], form.lower())
    if form == "LOCATION":
        return "", None, read_spot(value)
    if not (value.get("id") or value.get("link")):
        raise invalid("the header's medium has an id or a link", code=131008)
    kind = cast(MediumKind, form.lower())
    return (
        "",
        MediaPart(kind, optional_in(value, "id"), optional_in(value, "link"), optional_in(value, "filename")),
        None,
    )


def _buttons(found: Definition, given: list[Json]) -> tuple[tuple[Option, ...], tuple[LinkButton, ...]]:
    defined = [cast(Json, one) for one in cast("list[Any]", found.part("BUTTONS").get("buttons") or [])]
    parameters: dict[int, Json] = {}
    for part in given:
        index = str(part.get("index", ""))
        if not index.isdigit() or int(index) >= len(defined):
            raise fault(132000, f"the template has no button with index {index[:10]!r}")
        button = defined[int(index)]
        if str(part.get("sub_type", "")).upper() != str(button.get("type", "")).upper():
            raise fault(132012, f"button {index} is of type {button.get('type')}, received {part.get('sub_type')}")
        parameters[int(index)] = objects_in(part, "parameters", most=1)[0]
    options: list[Option] = []
    links: list[LinkButton] = []
    for index, button in enumerate(defined):
        title, value = str(button.get("text", "")), parameters.get(index, {})
        type = str(button.get("type", "")).upper()
        if type == "QUICK_REPLY":
            options.append(Option(string_in(value, "payload", 256) if value else title, title))
        elif type == "URL":
            url = str(button.get("url", ""))
            if names := variables(url):
                if not value:
                    raise invalid(f"button {index} needs the variable part of its URL", code=131008)
                url = filled(url, {names[0]: string_in(value, "text", 2000)})
            links.append(LinkButton(title, url))
        elif type == "PHONE_NUMBER":
            links.append(LinkButton(title, f"tel:{button.get('phone_number', '')}"))
        elif type == "COPY_CODE":
            code = string_in(value, "coupon_code", 20) if value else str(button.get("example", ""))
            links.append(LinkButton(title or "Copy code", copy=code))
    return tuple(options), tuple(links)
