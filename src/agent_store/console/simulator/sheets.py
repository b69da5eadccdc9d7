"""What slides up from the phone's lower edge, as HTML: choices, the catalogue, forms. Pure.

A form is sent by the script as one action (`data-do`) with its fields; a button in it that has a `data-do` acts alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from agent_store.agents.whatsapp.phone import Bubble, Person, Product, ShopNumber
from agent_store.console.simulator import icons
from agent_store.console.simulator.bubbles import own, price, snippet
from agent_store.console.simulator.words import (
    clock,
    day,
    escaped,
    formatted,
    initials,
    local,
    plain,
    shown_person,
    size,
)

FACES: Final = ("#4f46e5", "#0f766e", "#b45309", "#be185d", "#1d4ed8", "#7c3aed")
EMOJI: Final = ("👍", "❤️", "😂", "😮", "😢", "🙏")
PLACES: Final = (
    ("Avenida Paulista, 1578", "Bela Vista, São Paulo - SP", -23.561414, -46.655881),
    ("Praia de Copacabana", "Copacabana, Rio de Janeiro - RJ", -22.971177, -43.182543),
    ("Praça da Liberdade", "Funcionários, Belo Horizonte - MG", -19.931860, -43.938011),
)
"""Well-known places, to share with one tap."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that was chosen and not sent yet."""

    name: str
    mime_type: str
    content: bytes
    preview: str = ""
    """A data: URL of a small picture."""


def hidden(**fields: str) -> str:
    return "".join(f"<input type='hidden' name='{name}' value='{escaped(value)}'>" for name, value in fields.items())


def field(name: str, label: str, *, more: str = "", value: str = "", hint: str = "") -> str:
    below = f"<small>{escaped(hint)}</small>" if hint else ""
    return (
        f"<label class='sim-field'><span>{escaped(label)}</span>"
        f"<input name='{name}' value='{escaped(value)}' autocomplete='off' {more}>{below}</label>"
    )


def face(person: Person, index: int) -> str:
    color = FACES[index % len(FACES)]
    return f"<span class='sim-face' style='background:{color}'>{escaped(initials(person.name))}</span>"


# --- a message -------------------------------------------------------------------------------------------------------


def menu(bubble: Bubble) -> str:
    """What to do with a message. What WhatsApp does not let a customer do any more, the simulator says when it is tried."""
    wamid = escaped(bubble.wamid)
    given = next((reaction.emoji for reaction in bubble.reactions if reaction.mine), "")
    faces = "".join(
        f"<button type='button' class='emoji{' on' if emoji == given else ''}' data-do='react' data-wamid='{wamid}' "
        f"data-emoji='{'' if emoji == given else escaped(emoji)}' aria-label='React with {escaped(emoji)}' "
        f"aria-pressed='{'true' if emoji == given else 'false'}'>{escaped(emoji)}</button>"
        for emoji in (*EMOJI, *((given,) if given and given not in EMOJI else ()))
    )
    rows = [_row("reply", wamid, icons.REPLY, "Reply")]
    if bubble.text:
        rows.append(
            f"<button type='button' class='sim-rowitem' data-copy='{escaped(bubble.text)}' data-closes>"
            f"{icons.COPY}<span class='name'><b>Copy</b></span></button>"
        )
    if bubble.mine:
        if bubble.kind in ("text", "image", "video", "document"):
            rows.append(_row("edit", wamid, icons.PENCIL, "Edit"))
        rows.append(_row("delete", wamid, icons.BIN, "Delete for everyone"))
        rows.append(
            _row(
                "again",
                wamid,
                icons.REPEAT,
                "Deliver again",
                "The same webhook once more: the store must not answer twice",
            )
        )
    return (
        f"<p class='sim-about'>{escaped(snippet(bubble)[:140])}</p><div class='sim-faces' role='group' aria-label='React'>{faces}"
        f"</div>{''.join(rows)}"
    )


def why(bubble: Bubble) -> str:
    code = f"<p class='code'>Error {bubble.error_code}</p>" if bubble.error_code is not None else ""
    reason = bubble.error or "The other side gave no reason."
    return f"<div class='sim-why'>{icons.ALERT}{code}<p>{escaped(reason)}</p></div>"


def _row(do: str, wamid: str, icon: str, title: str, below: str = "") -> str:
    small = f"<small>{escaped(below)}</small>" if below else ""
    return (
        f"<button type='button' class='sim-rowitem' data-do='{do}' data-wamid='{wamid}'>{icon}"
        f"<span class='name'><b>{escaped(title)}</b>{small}</span></button>"
    )


def options(bubble: Bubble) -> str:
    """A list's rows under the titles of their sections."""
    parts: list[str] = []
    for section, rows in groupby(bubble.options, key=lambda option: option.section):
        if section:
            parts.append(f"<h3>{escaped(section)}</h3>")
        for one in rows:
            below = f"<small>{escaped(one.description)}</small>" if one.description else ""
            parts.append(
                f"<button type='button' class='sim-rowitem' data-do='tap' data-wamid='{escaped(bubble.wamid)}' "
                f"data-option='{escaped(one.id)}'><span class='name'><b>{escaped(one.title)}</b>{below}</span>"
                "<i class='dot'></i></button>"
            )
    return "".join(parts)


def flow(bubble: Bubble) -> str:
    """The screens of a form are Meta's; here its answers are typed as they would come back."""
    return (
        f"<form data-do='fill'>{hidden(wamid=bubble.wamid)}<p class='sim-about'>The form itself lives with WhatsApp. Write what is "
        "filled in, one <b>name: value</b> a line.</p><label class='sim-field'><span>Answers</span>"
        "<textarea name='answers' rows='4' required>name: Ana\ncity: São Paulo</textarea></label>"
        "<button class='sim-solid'>Send</button></form>"
    )


def answers(text: str) -> dict[str, str]:
    """What `flow` was filled in with: one `name: value` a line; a line without a colon is no answer."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, colon, value in pairs if colon and name.strip()}


# --- the catalogue ---------------------------------------------------------------------------------------------------


def catalogue(products: Sequence[Product], number: ShopNumber) -> str:
    """Products with a counter each; the bar below sends what was counted as an order. The script does the sums."""
    if not products:
        return "<p class='sim-about'>There is nothing in this catalogue.</p>"
    parts: list[str] = []
    for section, some in groupby(products, key=lambda product: product.section):
        if section:
            parts.append(f"<h3>{escaped(section)}</h3>")
        parts += [_shelf(product) for product in some]
    return (
        f"<form class='sim-cart' data-do='order'><div class='shelves'>{''.join(parts)}</div>"
        "<div class='checkout'><label class='sim-field'><input name='note' maxlength='400' placeholder='Add a note' "
        "aria-label='Note to the shop' autocomplete='off'></label>"
        f"<button class='sim-solid' disabled>Send to {escaped(number.seller or number.name)}<span data-total></span></button></div></form>"
    )


def _shelf(product: Product) -> str:
    image = (
        f"<img src='{escaped(own(product.image))}' alt='' loading='lazy'>"
        if product.image
        else f"<span class='none'>{icons.BAG}</span>"
    )
    cost = price(product.price, product.currency)
    detail = f"<small class='detail'>{escaped(plain(product.description)[:140])}</small>" if product.description else ""
    title = escaped(product.title)
    ask = f"<button type='button' class='ask' data-do='about' data-product='{escaped(product.retailer_id)}'>Message about it</button>"
    counter = (
        f"<span class='counter'><button type='button' data-step='-1' aria-label='One less of {title}'>{icons.MINUS}</button>"
        f"<input type='number' name='q:{escaped(product.retailer_id)}' value='0' min='0' max='99' inputmode='numeric' "
        f"data-price='{product.price or 0}' aria-label='Quantity of {title}'>"
        f"<button type='button' data-step='1' aria-label='One more of {title}'>{icons.PLUS}</button></span>"
        if product.available
        else "<span class='soldout'>Sold out</span>"
    )
    return (
        f"<div class='sim-shelf'>{image}<span class='name'><b>{title}</b><span class='cost'>{escaped(cost)}</span>{detail}{ask}</span>"
        f"{counter}</div>"
    )


def wanted(fields: dict[str, str]) -> dict[str, int]:
    """The quantities of `catalogue`'s form, of what was wanted at all."""
    counted = {name[2:]: value for name, value in fields.items() if name.startswith("q:")}
    return {name: int(value) for name, value in counted.items() if value.isdecimal() and int(value) > 0}


def about(product: Product) -> str:
    image = f"<img src='{escaped(own(product.image))}' alt=''>" if product.image else ""
    return (
        f"<form data-do='ask'>{hidden(product=product.retailer_id)}<div class='sim-one'>{image}<b>{escaped(product.title)}</b>"
        f"<span class='cost'>{escaped(price(product.price, product.currency))}</span>"
        f"<p>{formatted(product.description)}</p></div>"
        f"{field('text', 'Your question', value='Oi! Ainda tem?', more='required maxlength=400 autofocus')}"
        "<button class='sim-solid'>Send</button></form>"
    )


# --- what is sent ----------------------------------------------------------------------------------------------------


def attach(*, has_catalogue: bool) -> str:
    """What can be sent. `data-pick` opens the browser's own choice of files."""
    tiles = [
        ("data-pick='image/*,video/*'", "#007bfc", icons.IMAGE, "Photos"),
        ("data-pick='*/*'", "#7f66ff", icons.FILE, "Document"),
        ("data-pick='audio/*'", "#ff6d3f", icons.MIC, "Audio"),
        ("data-pick='image/webp' data-as='sticker'", "#02a698", icons.FACE, "Sticker"),
        ("data-do='place'", "#1a8d3a", icons.PIN, "Location"),
        ("data-do='contact'", "#0a87c4", icons.PERSON, "Contact"),
    ]
    if has_catalogue:
        tiles.append(("data-do='catalogue'", "#b0468e", icons.BAG, "Catalogue"))
    made = "".join(
        f"<button type='button' class='tile' {does}><i style='background:{color}'>{icon}</i><span>{name}</span></button>"
        for does, color, icon, name in tiles
    )
    return f"<div class='sim-tiles'>{made}</div>"


def attachment(one: Attachment, caption: str = "") -> str:
    sound = one.mime_type.startswith("audio/")
    if one.preview:
        shown = f"<img class='sim-preview' src='{escaped(one.preview)}' alt='The chosen picture'>"
    else:
        icon = icons.MIC if sound else icons.IMAGE if one.mime_type.startswith(("image/", "video/")) else icons.FILE
        shown = f"<div class='sim-file'>{icon}<b>{escaped(one.name)}</b><small>{size(len(one.content))}</small></div>"
    words = (
        "<label class='sim-check'><input type='checkbox' name='voice' value='1' checked> Spoken into the phone (voice note)</label>"
        if sound
        else field("caption", "Caption", value=caption, more="maxlength=1024 autofocus placeholder='Add a caption'")
    )
    return f"<form data-do='send-file'>{shown}{words}<button class='sim-solid'>Send</button></form>"


def place(reply_to: str = "") -> str:
    known = "".join(
        f"<button type='button' class='sim-rowitem' data-do='send-place' data-latitude='{latitude}' data-longitude='{longitude}' "
        f"data-name='{escaped(name)}' data-address='{escaped(address)}' data-reply_to='{escaped(reply_to)}'>{icons.PIN}"
        f"<span class='name'><b>{escaped(name)}</b><small>{escaped(address)}</small></span></button>"
        for name, address, latitude, longitude in PLACES
    )
    return (
        f"{known}<details><summary>Another place</summary><form data-do='send-place'>{hidden(reply_to=reply_to)}<div class='sim-two'>"
        f"{field('latitude', 'Latitude', more='required inputmode=decimal')}"
        f"{field('longitude', 'Longitude', more='required inputmode=decimal')}</div>"
        f"{field('name', 'Name', more='maxlength=100')}{field('address', 'Address', more='maxlength=200')}"
        "<button class='sim-solid'>Send location</button></form></details>"
    )


def contact(people: Sequence[Person], me: Person) -> str:
    known = "".join(
        f"<button type='button' class='sim-rowitem' data-do='send-contact' data-name='{escaped(person.name)}' "
        f"data-phone='{escaped(person.wa_id or '')}'>{face(person, index)}"
        f"<span class='name'><b>{escaped(person.name)}</b><small>{escaped(shown_person(person))}</small></span></button>"
        for index, person in enumerate(people)
        if person.id != me.id
    )
    return (
        f"{known}<details><summary>Somebody else</summary><form data-do='send-contact'>"
        f"{field('name', 'Name', more='required maxlength=60')}"
        f"{field('phone', 'Phone', more='required inputmode=tel maxlength=24', hint='Country code first')}"
        "<button class='sim-solid'>Send contact</button></form></details>"
    )


# --- customers -------------------------------------------------------------------------------------------------------


def people(everybody: Sequence[Person], me: Person) -> str:
    rows = "".join(
        f"<button type='button' class='sim-rowitem{' on' if person.id == me.id else ''}' data-do='become' data-person='{escaped(person.id)}'>"
        f"{face(person, index)}<span class='name'><b>{escaped(person.name)}</b><small>{escaped(shown_person(person))}</small></span>"
        f"{'<i class=dot></i>' if person.id == me.id else ''}</button>"
        for index, person in enumerate(everybody)
    )
    return rows + (
        f"<button type='button' class='sim-rowitem' data-do='new-person'><span class='sim-face plus'>{icons.PLUS}</span>"
        "<span class='name'><b>Another customer</b><small>With a phone number, or with a user id only</small></span></button>"
    )


def new_person() -> str:
    return (
        "<form data-do='add-person'>"
        f"{field('name', 'Name', more='required maxlength=60 autofocus')}"
        "<label class='sim-check'><input type='checkbox' name='with_phone' value='1' checked> Shows a phone number</label>"
        "<p class='sim-about'>Without it the store only gets a business-scoped user id, as from people who hide their number behind "
        "a username.</p><button class='sim-solid'>Add</button></form>"
    )


# --- the shop --------------------------------------------------------------------------------------------------------


def info(number: ShopNumber, until: datetime | None, now: datetime) -> str:
    """What a chat's head opens: the number, and if the store may write freely."""
    rows = {
        "Seller": number.seller, "Phone": number.display_phone, "Phone number id": number.phone_number_id,
        "Catalogue": number.catalog_id, "The store may answer freely": window(until, now),
    }  # fmt: skip
    lines = "".join(
        f"<li><span>{name}</span><span>{escaped(value)}</span></li>" for name, value in rows.items() if value
    )
    return f"<div class='sim-info'><i>{escaped(number.emoji)}</i><b>{escaped(number.name)}</b></div><ul class='lines'>{lines}</ul>"


def window(until: datetime | None, now: datetime) -> str:
    if until is None:
        return "no: the customer has not written yet"
    if until <= now:
        return "no: only templates"
    return f"until {day(local(until).date(), local(now).date()).lower()} {clock(until)}"
