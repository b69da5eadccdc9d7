"""What the laboratory offers: trouble on purpose, the clock, news of the platform. HTML, and what its forms mean. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from agent_store.agents.whatsapp.phone import ChatState, NewsKind, Person, Trouble
from agent_store.console.simulator.drawing import Fields
from agent_store.console.simulator.sheets import field, window
from agent_store.console.simulator.words import escaped, shown_person
from agent_store.kernel.errors import InvalidInput

REFUSALS: Final[dict[int, str]] = {
    130429: "rate limit of the number hit",
    131056: "too many messages to this customer",
    131047: "more than 24 hours since the customer wrote",
    131026: "message undeliverable",
    131000: "something went wrong",
    131016: "service unavailable",
    131031: "account locked",
    368: "account blocked for policy violations",
}
"""Error codes of the Cloud API that a send can be refused with. Source: "Error codes"."""
FAILURES: Final[dict[int, str]] = {
    131026: "message undeliverable",
    131047: "more than 24 hours since the customer wrote",
    131049: "not delivered, to keep the ecosystem healthy",
    131053: "medium could not be uploaded",
    130472: "customer is part of an experiment",
    131000: "something went wrong",
}
"""Error codes that a send can be reported as failed with, after it was taken."""
NEWS: Final[dict[NewsKind, tuple[str, tuple[str, ...]]]] = {
    "quality": ("Quality of the number", ("GREEN", "YELLOW", "RED")),
    "limit": ("Messaging limit", ("TIER_250", "TIER_2K", "TIER_10K", "TIER_100K", "TIER_UNLIMITED")),
    "template": ("Status of a template", ("APPROVED", "REJECTED", "PAUSED", "DISABLED")),
    "account": (
        "Business account",
        ("ACCOUNT_RESTRICTION", "ACCOUNT_VIOLATION", "DISABLED_UPDATE", "VERIFIED_ACCOUNT"),
    ),
}
OUTAGES: Final[dict[str, str]] = {
    "none": "answers",
    "busy": "answers 503",
    "lost": "sends, but answers 504",
    "garbage": "sends, but answers no JSON",
}
_HOURS = (1, 6, 23, 25, 24 * 7)
_DELAYS = (0, 2, 10, 60)


def is_troubled(trouble: Trouble) -> bool:
    return trouble != Trouble()


def in_short(trouble: Trouble) -> list[str]:
    """What goes wrong at this moment, in words."""
    said = [
        f"webhooks {trouble.delay:g} s late" if trouble.delay else "",
        "every webhook twice" if trouble.twice else "",
        "webhooks out of order" if trouble.reorder else "",
        "webhooks lost at first" if trouble.lost else "",
        f"sends refused with {trouble.refuse}" if trouble.refuse is not None else "",
        f"sends fail with {trouble.fail}" if trouble.fail is not None else "",
        OUTAGES[trouble.outage] if trouble.outage != "none" else "",
        "access token expired" if trouble.token_expired else "",
    ]
    return [one for one in said if one]


def standing(now: datetime, real: datetime, person: Person, state: ChatState | None) -> str:
    """How things stand: the simulator's clock beside the real one, the open chat's window, who one is."""
    ahead = now - real
    moved = (
        f"<span class='warn'>{_hours(ahead)} ahead</span>" if ahead > timedelta(minutes=1) else "<span>as it is</span>"
    )
    rows = [("Clock", f"{now.astimezone():%d/%m %H:%M} {moved}")]
    if state is not None:
        rows.append(("Free answers", escaped(window(state.window_until, now))))
    rows.append(("You are", escaped(f"{person.name}, {shown_person(person)}")))
    lines = "".join(f"<li><span>{name}</span><span>{value}</span></li>" for name, value in rows)
    return f"<ul class='lines'>{lines}</ul>"


def _hours(gap: timedelta) -> str:
    hours = round(gap.total_seconds() / 3600, 1)
    return f"{hours / 24:g} days" if hours >= 48 and hours % 24 == 0 else f"{hours:g} h"


def clock_part() -> str:
    buttons = "".join(
        f"<button type='button' class='sim-chip' data-do='move-clock' data-hours='{hours}'>"
        f"+{hours if hours < 48 else hours // 24} {'h' if hours < 48 else 'days'}</button>"
        for hours in _HOURS
    )
    return f"<div class='sim-chips'>{buttons}<button type='button' class='sim-chip' data-do='reset-clock'>Back to now</button></div>"


def trouble_part(trouble: Trouble) -> str:
    delays = _choices("delay", [(str(one), f"{one} s" if one else "at once") for one in _DELAYS], f"{trouble.delay:g}")
    outages = _choices("outage", list(OUTAGES.items()), trouble.outage)
    refusals = _choices("refuse", [("", "nothing: it takes them"), *((str(one), f"{one} {name}") for one, name in REFUSALS.items())],
                        str(trouble.refuse or ""))  # fmt: skip
    failures = _choices("fail", [("", "nothing: it arrives"), *((str(one), f"{one} {name}") for one, name in FAILURES.items())],
                        str(trouble.fail or ""))  # fmt: skip
    off = (
        "<button type='button' class='sim-chip stop' data-do='no-trouble'>Stop all trouble</button>"
        if is_troubled(trouble)
        else ""
    )
    return (
        "<form data-do='trouble'><div class='sim-two'>"
        f"<label class='sim-field'><span>Webhooks come</span>{delays}</label><label class='sim-field'><span>The Graph API</span>{outages}</label></div>"
        f"<label class='sim-field'><span>It refuses sends with</span>{refusals}</label>"
        f"<label class='sim-field'><span>What it took fails with</span>{failures}</label>"
        f"{_check('twice', 'Every webhook comes twice', trouble.twice)}"
        f"{_check('lost', 'Webhooks are lost at first, and come again', trouble.lost)}"
        f"{_check('reorder', 'Webhooks overtake one another', trouble.reorder)}"
        f"{_check('token_expired', 'The access token has expired', trouble.token_expired)}"
        f"<div class='sim-chips'><button class='sim-chip solid'>Make trouble</button>{off}</div></form>"
    )


def news_part() -> str:
    kinds = "".join(
        f"<optgroup label='{escaped(name)}'>"
        + "".join(f"<option value='{kind}:{state}'>{escaped(name)}: {state}</option>" for state in states)
        + "</optgroup>"
        for kind, (name, states) in NEWS.items()
    )
    return (
        f"<form data-do='news'><label class='sim-field'><span>What is told</span><select name='news'>{kinds}</select></label>"
        f"{field('name', 'Template', value='order_confirmed', more='maxlength=512', hint='For the status of a template only')}"
        "<button class='sim-chip solid'>Tell the store</button></form>"
    )


def customer_part() -> str:
    return (
        "<div class='sim-chips'><button type='button' class='sim-chip' data-do='change-number'>Take a new phone number</button>"
        "<button type='button' class='sim-chip' data-do='unsupported'>Send what the API has no kind for</button></div>"
        "<form data-do='from-ad'>"
        f"{field('headline', 'Come from an ad', value='Vestidos com 20% off', more='required maxlength=80')}"
        f"{field('text', 'First words', value='Oi! Vi o anúncio.', more='required maxlength=400')}"
        "<button class='sim-chip solid'>Tap the ad and write</button></form>"
    )


def part(name: str, content: str, *, opened: bool = True) -> str:
    return f"<details{' open' if opened else ''}><summary>{escaped(name)}</summary><div>{content}</div></details>"


def _choices(name: str, values: list[tuple[str, str]], chosen: str) -> str:
    made = "".join(
        f"<option value='{escaped(value)}'{' selected' if value == chosen else ''}>{escaped(words)}</option>"
        for value, words in values
    )
    return f"<select name='{name}'>{made}</select>"


def _check(name: str, words: str, on: bool) -> str:
    return f"<label class='sim-check'><input type='checkbox' name='{name}' value='1'{' checked' if on else ''}> {escaped(words)}</label>"


# --- what the forms mean ---------------------------------------------------------------------------------------------


def trouble_of(fields: Fields) -> Trouble:
    outage = fields.get("outage", "none")
    if outage not in ("none", "busy", "lost", "garbage"):
        raise InvalidInput("choose how the Graph API answers")
    try:
        return Trouble(
            delay=float(fields.get("delay") or 0),
            twice="twice" in fields,
            reorder="reorder" in fields,
            lost="lost" in fields,
            refuse=int(fields["refuse"]) if fields.get("refuse") else None,
            fail=int(fields["fail"]) if fields.get("fail") else None,
            outage=outage,
            token_expired="token_expired" in fields,
        )
    except ValueError as error:
        raise InvalidInput("a delay and an error code are numbers") from error


def news_of(fields: Fields) -> tuple[NewsKind, str]:
    kind, _, state = fields.get("news", "").partition(":")
    for known, (_name, states) in NEWS.items():
        if known == kind and state in states:
            return known, state
    raise InvalidInput("choose what the store is told")
