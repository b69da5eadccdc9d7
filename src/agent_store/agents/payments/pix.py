"""BR Codes: the text behind a Pix QR code, which a bank's app takes as "copia e cola". Pure.

A BR Code is EMV's merchant-presented payload (EMVCo, "QR Code Specification for Payment Systems, Merchant-Presented Mode"): fields
of a two-digit id, a two-digit length and a value, some with fields of their own, and at the end a CRC-16 over all that stands
before it, its own id and length among that. What Pix puts into it: Banco Central do Brasil, "Manual de Padrões para Iniciação do
Pix" and "Manual do BR Code".

A dynamic code names no key and no txid, but the place (`url`, without its scheme) where the payer's bank reads the charge; its
field 62-05 is `***`. A static code names the key itself, and a txid of at most 25 letters and digits.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from agent_store.kernel.errors import InvalidInput
from agent_store.kernel.money import Money

GUI = "br.gov.bcb.pix"
NO_TXID = "***"
LONGEST = 512
LONGEST_NAME, LONGEST_CITY = 25, 15
LONGEST_URL, LONGEST_KEY = 77, 77
_ACCOUNT, _MOST = "26", 99
_TXID = re.compile(r"[A-Za-z0-9]{26,35}", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9]{1,25}", re.ASCII)
_AMOUNT = re.compile(r"\d{1,10}\.\d{2}", re.ASCII)
_PRINTABLE = re.compile(r"[\x20-\x7e]+")
_URL = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]*(?:/[A-Za-z0-9._~%-]+)+", re.ASCII)


@dataclass(frozen=True, slots=True)
class BrCode:
    """What a code says. Either `key` (static) or `url` (dynamic) is there; `txid` is None for `***`."""

    name: str
    city: str
    key: str | None = None
    url: str | None = None
    info: str | None = None
    """A word for the payer, of static codes."""
    amount: Money | None = None
    """None: the payer types it in."""
    txid: str | None = None
    mcc: str = "0000"
    once: bool = False
    """Field 01 is 12: this code is for one payment."""


def dynamic(*, url: str, amount: Money, name: str, city: str, mcc: str = "0000") -> str:
    """The code of one charge that stands at `url` (no scheme, at most 77 characters).

    Raises InvalidInput when the code could not be read by a bank's app.
    """
    if len(url) > LONGEST_URL or not _URL.fullmatch(url):
        raise InvalidInput(
            f"a charge's place is host and path without https://, at most {LONGEST_URL} characters", field="url"
        )
    return _build(_tlv("25", url), amount, name, city, NO_TXID, mcc, once=True)


def static(
    *,
    key: str,
    name: str,
    city: str,
    amount: Money | None = None,
    txid: str | None = None,
    info: str = "",
    mcc: str = "0000",
) -> str:
    """A code that may be paid again and again, to this key. Raises InvalidInput, as `dynamic`."""
    if not key or len(key) > LONGEST_KEY or not _PRINTABLE.fullmatch(key) or " " in key:
        raise InvalidInput(f"a Pix key has 1 to {LONGEST_KEY} plain characters", field="key")
    if txid is not None and not _LABEL.fullmatch(txid):
        raise InvalidInput("the txid of a static code has 1 to 25 letters and digits", field="txid")
    account = _tlv("01", key)
    # What is left of the account's 99 characters, less id and length of each field.
    room = _MOST - len(_tlv("00", GUI)) - len(account) - 4
    if (text := fold(info, max(0, room))) != "":
        account += _tlv("02", text)
    return _build(account, amount, name, city, txid or NO_TXID, mcc, once=False)


def _build(account: str, amount: Money | None, name: str, city: str, label: str, mcc: str, *, once: bool) -> str:
    merchant, place = fold(name, LONGEST_NAME), fold(city, LONGEST_CITY)
    if not merchant or not place:
        raise InvalidInput("a code needs the merchant's name and city, in Latin letters", field="name")
    if not re.fullmatch(r"\d{4}", mcc, re.ASCII):
        raise InvalidInput("a merchant category code has four digits (ISO 18245)", field="mcc")
    text = "".join(
        (
            _tlv("00", "01"),
            _tlv("01", "12") if once else "",
            _tlv(_ACCOUNT, _tlv("00", GUI) + account),
            _tlv("52", mcc),
            _tlv("53", "986"),
            "" if amount is None else _tlv("54", _written(amount)),
            _tlv("58", "BR"),
            _tlv("59", merchant),
            _tlv("60", place),
            _tlv("62", _tlv("05", label)),
            "6304",
        )
    )
    return text + crc16(text)


def _written(amount: Money) -> str:
    if amount.currency != "BRL":
        raise InvalidInput(f"Pix moves reais, not {amount.currency}", field="amount")
    text = f"{amount.minor // 100}.{amount.minor % 100:02}"
    if amount.minor <= 0 or len(text) > 13:
        raise InvalidInput("the amount of a code is above zero and has at most 13 characters", field="amount")
    return text


def _tlv(id: str, value: str) -> str:
    return f"{id}{len(value):02}{value}"


def fold(text: str, most: int) -> str:
    """Plain letters, digits, spaces and hyphens, so that every reader counts the same length; cut to `most`."""
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    return " ".join(re.sub(r"[^A-Za-z0-9 -]", " ", letters).split())[:most].strip()


def is_txid(text: str) -> bool:
    """May it name a charge with the provider (Pix API: 26 to 35 letters and digits)?"""
    return _TXID.fullmatch(text) is not None


def crc16(text: str) -> str:
    """CRC-16/CCITT-FALSE (polynomial 0x1021, initial value 0xFFFF), four hexadecimal digits."""
    crc = 0xFFFF
    for byte in text.encode("utf-8", "surrogatepass"):
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021) & 0xFFFF if crc & 0x8000 else crc << 1
    return f"{crc:04X}"


# --- reading -------------------------------------------------------------------------------------------------------


def check(code: str) -> bool:
    """Is it a whole Pix code, with its own CRC?"""
    try:
        read(code)
    except InvalidInput:
        return False
    return True


def read(code: str) -> BrCode:
    """What a code says. Raises InvalidInput that says what is wrong with it."""
    if len(code) > LONGEST:
        raise InvalidInput(f"a code has at most {LONGEST} characters")
    if len(code) < 8 or code[-8:-4] != "6304" or crc16(code[:-4]) != code[-4:]:
        raise InvalidInput("the code is damaged: its CRC is not that of its text")
    fields = _fields(code)
    if next(iter(fields)) != "00" or list(fields)[-1] != "63" or fields["00"] != "01":
        raise InvalidInput("the code does not begin with its format or end with its CRC")
    account = _fields(fields.get(_ACCOUNT, ""))
    if account.get("00", "").lower() != GUI:
        raise InvalidInput("the code is not for Pix")
    key, url = account.get("01"), account.get("25")
    if (key is None) == (url is None):
        raise InvalidInput("a Pix code names a key or a charge, one of the two")
    if fields.get("53") != "986" or fields.get("58") != "BR":
        raise InvalidInput("a Pix code is in reais and from Brazil")
    label = _fields(fields.get("62", "")).get("05", NO_TXID)
    return BrCode(
        name=_needed(fields, "59", LONGEST_NAME),
        city=_needed(fields, "60", LONGEST_CITY),
        key=key,
        url=url,
        info=account.get("02"),
        amount=_money(fields.get("54")),
        txid=None if label == NO_TXID else label,
        mcc=_needed(fields, "52", 4),
        once=fields.get("01") == "12",
    )


def _needed(fields: Mapping[str, str], id: str, most: int) -> str:
    value = fields.get(id, "")
    if not value or len(value) > most:
        raise InvalidInput(f"field {id} has 1 to {most} characters")
    return value


def _money(text: str | None) -> Money | None:
    if text is None:
        return None
    if not _AMOUNT.fullmatch(text) and not re.fullmatch(r"\d{1,12}(?:\.\d)?", text, re.ASCII):
        raise InvalidInput("field 54 is an amount like 66.66")
    return Money(minor=int(Decimal(text) * 100))


def _fields(text: str) -> dict[str, str]:
    """The fields of a template in order. Raises InvalidInput for a length that doesn't fit, or an id that comes twice."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        id, length = text[at : at + 2], text[at + 2 : at + 4]
        if not (len(length) == 2 and (id + length).isascii() and (id + length).isdigit()):
            raise InvalidInput(f"there is no field at position {at}")
        value = text[at + 4 : at + 4 + int(length)]
        if len(value) != int(length) or id in found:
            raise InvalidInput(f"field {id} is cut off, or there twice")
        found[id] = value
        at += 4 + int(length)
    return found
