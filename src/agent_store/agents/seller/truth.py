"""The truth rule: what a reply states as fact stands in a tool result of its conversation and still holds. Pure.

Claims are read from the text in Portuguese, English and Spanish alike: amounts, discounts, stock counts, delivery days
and dates, order numbers, Pix codes and keys; and the deeds that a model likes to make up (put in the cart, ordered, paid, a link). It errs on
the strict side: a sentence that only looks like a claim costs one rewrite, an invented price costs a customer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal

from agent_store.agents.seller.model import SAO_PAULO, Fact, FactKind, Known, Ledger, addresses, fold
from agent_store.agents.seller.numbers import COUNT, IN_WORDS, NUMBER, count_of, from_words, minor_of

ClaimKind = Literal["price", "discount", "stock", "date", "order", "cart", "paid", "link", "pix"]


@dataclass(frozen=True, slots=True)
class Claim:
    """Something stated as fact. `holds` says which facts would support it; None: none can (no tool gives such a fact)."""

    kind: ClaimKind
    stated: str
    holds: Callable[[Fact], bool] | None
    start: int = 0
    minor: int | None = None
    """The amount, when it is one: a customer's own budget may be repeated."""


@dataclass(frozen=True, slots=True)
class Supported:
    claim: Claim
    known: Known


@dataclass(frozen=True, slots=True)
class Verdict:
    """`unsupported` must be empty for a text to reach a customer."""

    supported: tuple[Supported, ...] = ()
    unsupported: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True)
class Echo:
    """What the customer said themselves and may hear again: amounts (as a budget), order numbers, days."""

    amounts: frozenset[int] = frozenset()
    orders: frozenset[str] = frozenset()
    text: str = ""
    """Folded."""


@dataclass(slots=True)
class _Sentence:
    """`text` as written, `folded` as matched; both of one length. What a rule has read is blanked in `left`."""

    text: str
    folded: str
    question: bool
    choice: bool
    language: str
    start: int = 0
    """Where it begins in the text."""
    heading: str = ""
    """The line above that ends with a colon ("Entrega:"), folded: a list under it speaks of the same."""
    left: str = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.folded

    def take(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """Matches in what is left, each blanked once it has been yielded."""
        for match in list(pattern.finditer(self.left)):
            self.blank(match)
            yield match

    def blank(self, match: re.Match[str]) -> None:
        start, end = match.span()
        self.left = f"{self.left[:start]}{' ' * (end - start)}{self.left[end:]}"

    def said(self, match: re.Match[str]) -> str:
        return " ".join(self.text[match.start() : match.end()].split())

    def denied(self, at: int) -> bool:
        """A "no" stands shortly before, in the same clause."""
        no = _NO if self.language == "pt" else _NO_OR_NOT
        return bool(no.search(self.folded[max(0, at - 30) : at]))


_HIDDEN = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff*_~`]")
_SENTENCE = re.compile(r"[^\n.!?;…]*(?:[.!?;…](?!\s|$)[^\n.!?;…]*)*[.!?;…\n]*")
_NO = re.compile(r"\b(?:nao|sem|nunca|nem|nenhum[a]?|ainda nao)\b(?!\s*(?:so|apenas|somente))[^,;:]{0,25}$")
_NO_OR_NOT = re.compile(
    r"(?:\b(?:no|not|without|never|cannot|sin|ningun[a]?|nunca|nao|sem)\b|n't\b|n’t\b)(?!\s*(?:only|just|solo|so))[^,;:]{0,25}$"
)


def clean(text: str) -> str:
    """As a reader sees it: full-width digits as digits, no invisible characters, no marks of emphasis; links as they
    are."""
    parts: list[str] = []
    at = 0
    for start, end in addresses(text):
        parts += [_seen(text[at:start]), text[start:end]]
        at = end
    return "".join([*parts, _seen(text[at:])])


def _seen(text: str) -> str:
    return _HIDDEN.sub("", unicodedata.normalize("NFKC", text))


def sentences(text: str, *, language: str = "pt", choice: bool = False) -> list[_Sentence]:
    found: list[_Sentence] = []
    heading = ""
    for match in _SENTENCE.finditer(clean(text)):
        piece = match[0]
        if piece.strip():
            asks = piece.rstrip().endswith("?")
            sentence = _Sentence(piece, fold(piece), asks, choice, language, match.start(), heading)
            found.append(sentence)
            if piece.rstrip().endswith(":"):
                heading = sentence.folded
        if "\n\n" in piece:
            heading = ""
    return found


def check(text: str, ledger: Ledger, echo: Echo, *, language: str = "pt", choice: bool = False) -> Verdict:
    """Read the claims of one text (a paragraph, a button's title) and look each up.

    `choice`: the text is an answer for the customer to tap ("até R$ 200"), where a budget states nothing.
    A claim in a sentence that names a product needs a fact of that product, or one that belongs to no product.
    A date that is part of a street's name or of somebody's is no date.
    """
    text, supported, unsupported = _pix(text, ledger)
    names: frozenset[str] | None = None
    today = ledger.now.astimezone(SAO_PAULO).date()
    for sentence in sentences(text, language=language, choice=choice):
        claims = _claims(sentence.text, sentence.language, sentence.heading, today)
        if not claims:
            continue
        names = ledger.names() if names is None else names
        named = [name for name in names if name in sentence.folded]
        for claim in claims:
            if _echoed(claim, sentence, echo):
                continue
            known = _support(claim, ledger.facts(), named)
            if known is None and claim.kind == "date":
                spot = _spot(claim, sentence, fold(clean(text)))
                if _on_the_customers_street(spot, echo):
                    continue
                known = _in_a_name(spot, ledger.facts())
            if known is None:
                unsupported.append(claim)
            else:
                supported.append(Supported(claim, known))
    return Verdict(tuple(supported), tuple(unsupported))


# --- Pix -----------------------------------------------------------------------------------------------------------

_LIKE_A_CODE = re.compile(r"000201(?:01021[12])?26\d\d00|br\.gov\.bcb\.pix")
_A_KEY = re.compile(
    r"\bpix\b[^\n]{0,60}?(?:[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b\d{3}\.?\d{3}\.?\d{3}-?\d{2}\b|"
    r"\b\d{2}\.?\d{3}\.?\d{3}/?\d{4}-?\d{2}\b|\+?(?:55 ?)?\(?\b\d{2}\)? ?9\d{4}[- ]?\d{4}\b)"
)


def _pix(text: str, ledger: Ledger) -> tuple[str, list[Supported], list[Claim]]:
    """The text without the codes that a tool has given, letter by letter; and what else in it would have somebody pay: a code
    that none has given, or a key, which none gives."""
    supported: list[Supported] = []
    unsupported: list[Claim] = []
    for known in ledger.facts():
        code = str(known.fact.value)
        if known.fact.kind == "pix" and code in text:
            supported.append(Supported(Claim("pix", code, _is("pix", code)), known))
            text = text.replace(code, " ")
    seen = fold(clean(text))
    if found := _LIKE_A_CODE.search(re.sub(r"\s", "", seen)):
        unsupported.append(Claim("pix", f"the Pix code {found[0]}…", None))
    if found := _A_KEY.search(fold(clean(_unlinked(text)))):
        unsupported.append(Claim("pix", found[0], None))
    return text, supported, unsupported


def _unlinked(text: str) -> str:
    """An id in a link's path is no key."""
    for start, end in reversed(list(addresses(text))):
        text = f"{text[:start]} {text[end:]}"
    return text


def _support(claim: Claim, facts: Sequence[Known], named: Sequence[str]) -> Known | None:
    if claim.holds is None:
        return None
    for known in facts:
        about = known.fact.about
        if about and named and not any(about.startswith(name) for name in named):
            continue
        if claim.holds(known.fact):
            return known
    return None


# --- names and streets ---------------------------------------------------------------------------------------------

_WORD = re.compile(r"\w+")
_STREET = re.compile(
    r"\b(?:rua|r\.|avenida|av|avda|alameda|travessa|trav|praca|pca|rodovia|rod|estrada|calle|plaza|paseo|street|avenue|road)"
    r"\b\.?\s+(?:(?:d[aeo]s?|del)\s+)?$"
)
_WHEN = frozenset({"dia", "ate", "em", "el", "hasta", "on", "by", "until", "chega", "llega", "arrives", "entrega"})
"""Words before a date that make it one, whatever a street is called."""


@dataclass(frozen=True, slots=True)
class _Spot:
    """A claim in its folded text: its words, and what stands before and after them."""

    words: tuple[str, ...]
    before: str
    after: str


def _spot(claim: Claim, sentence: _Sentence, folded: str) -> _Spot:
    words = tuple(_WORD.findall(fold(claim.stated)))
    at = sentence.start + claim.start
    found = re.compile(r"\W+".join(map(re.escape, words))).search(folded, at)
    start, end = found.span() if found else (at, at)
    return _Spot(words, folded[max(0, start - 60) : start], folded[end : end + 40])


def _in_a_name(spot: _Spot, facts: Sequence[Known]) -> Known | None:
    """The name or address of which the words are a part, together with the word before them or after them."""
    before, after = _WORD.findall(spot.before)[-1:], _WORD.findall(spot.after)[:1]
    if not spot.words or (before and before[0] in _WHEN):
        return None
    parts = [part for part in ((*before, *spot.words), (*spot.words, *after)) if len(part) > len(spot.words)]
    for known in facts:
        if known.fact.kind == "words":
            name = _spaced(_WORD.findall(str(known.fact.value)))
            if any(_spaced(part) in name for part in parts):
                return known
    return None


def _on_the_customers_street(spot: _Spot, echo: Echo) -> bool:
    """The customer wrote of that street in these words: "Rua 7 de Setembro", never a day on which something arrives."""
    street = _STREET.search(spot.before)
    if street is None:
        return False
    return _spaced([*_WORD.findall(street[0]), *spot.words]) in _spaced(_WORD.findall(echo.text))


def _spaced(words: Sequence[str]) -> str:
    return f" {' '.join(words)} "


# --- what the customer said ----------------------------------------------------------------------------------------

_BUDGET = re.compile(
    r"(?:\bate|no maximo|maximo(?: de)?|limite de|abaixo de|menos de|orcamento(?: de| e)*|faixa de|em torno de|gastar|"
    r"\bunder|up to|below|within|less than|max(?:imum)?(?: of)?|budget(?: of| is)*|around|"
    r"hasta|por debajo de|presupuesto(?: de| es)*|maximo)\s*$"
)
_BETWEEN = re.compile(
    r"(?:\bentre|\bbetween|\bde|\bfrom)\s*$|(?:\bentre|\bbetween|\bde|\bfrom)\b[^.]{1,20}(?:\be|\bay?|\by|\bate|\band|\bto|-|–)\s*$"
)
_ABOVE = re.compile(r"(?:acima de|mais de|a partir de|\bover|above|more than|from|mas de|desde)\s*$")
_PRICED = re.compile(
    r"custa|\bsai|\bfica\b|por apenas|por so\b|\bagora|preco (?:e|final|fica)\b|cost|\bnow\b|price is|cuesta|\bvale\b|ahora|precio es"
)


def _echoed(claim: Claim, sentence: _Sentence, echo: Echo) -> bool:
    before = sentence.folded[max(0, claim.start - 40) : claim.start]
    if claim.kind == "price" and claim.minor is not None:
        if sentence.choice and (
            _BUDGET.search(before) or _BETWEEN.search(before) or _ABOVE.search(before) or _in_range(claim, sentence)
        ):
            return True
        budget = claim.minor in echo.amounts and (_BUDGET.search(before) or _BETWEEN.search(before))
        return bool(budget) and not _PRICED.search(before)
    if claim.kind == "order":
        # "I find no order AS-XXXXXX" repeats the customer's number to deny it.
        number = claim.stated.upper()
        return number in echo.orders and (sentence.question or bool(_NOT_FOUND.search(sentence.folded)))
    if claim.kind == "date" and not _DELIVERY.search(sentence.folded):
        return fold(claim.stated) in echo.text
    return False


def _in_range(claim: Claim, sentence: _Sentence) -> bool:
    """One end of "R$ 100 a R$ 200" or "100–200"."""
    if re.search(r"\d\s*(?:a|ate|to|-|–)\s*(?:r\$|\$)?\s*$", sentence.folded[: claim.start]):
        return True
    return bool(re.match(r"(?:r\$\s*)?[\d.,]+\s*(?:a|ate|to|-|–)\s*(?:r\$|\$)?\s*\d", sentence.folded[claim.start :]))


_NOT_FOUND = re.compile(r"\b(?:nao|not|no|n't|cannot|couldn't|sin|sem)\b")


# --- reading claims ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _claims(text: str, language: str, heading: str, today: date) -> tuple[Claim, ...]:
    """The claims of one sentence. Each rule takes what it reads out of the sentence, so the order matters.

    Kept in memory, since a shop says many of its sentences again and again.
    """
    sentence = _Sentence(
        text, fold(text), text.rstrip().endswith("?"), choice=False, language=language, heading=heading
    )
    return (
        *_links(sentence),
        *_orders(sentence),
        *_discounts(sentence),
        *_instalments(sentence),
        *_dates(sentence, today),
        *_amounts(sentence),
        *_stock(sentence),
        *_deeds(sentence),
    )


def _is(kind: FactKind, value: int | str) -> Callable[[Fact], bool]:
    return lambda fact: fact.kind == kind and fact.value == value


_LINK = re.compile(
    r"(?:https?://|www\.)[^\s<>()\"']+|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|net|org|shop|store|app|io|link|me|br)\b(?:/[^\s<>()\"']*)?"
)


def _links(sentence: _Sentence) -> Iterator[Claim]:
    for match in sentence.take(_LINK):
        address = sentence.text[match.start() : match.end()].rstrip(".,;:!?")
        yield Claim("link", address, _is("link", address), match.start())


_ORDER = re.compile(r"\bas[-‐‑–]([a-z0-9]{3,10})\b")
_NUMBERED = re.compile(
    r"\b(?:pedidos?|orders?|orden|ordenes)\s*(?:n(?:umero|umber|um|[.oº°])*\s*)?[:#]*\s*#?\s*(\d{4,})(?![.,]?\d)"
)
_DONE = re.compile(
    r"\b(?:pedido|compra|order|purchase|orden)\b[^.!?\n]{0,40}?\b(?:feit[oa]|realizad[oa]|confirmad[oa]|criad[oa]|fechad[oa]|finalizad[oa]|"
    r"registrad[oa]|enviad[oa]|despachad[oa]|entregue|cancelad[oa]|placed|confirmed|created|shipped|delivered|cancelled|canceled|complete[d]?|"
    r"hech[oa]|cread[oa]|entregad[oa])\b"
)
_FINISHED = re.compile(
    r"\b(?:fechei|finalizei|fiz|registrei|confirmei|cancelei|placed|confirmed|cancelled|canceled|hice|registre|confirme|cancele)\b[^.!?\n]{0,20}?\b(?:pedido|compra|order|orden)\b"
)
_IF = re.compile(
    r"\b(?:se|quando|assim que|depois que|apos|antes|caso|para que|ate que|posso|quer|vamos|if|when|once|after|before|as soon as|until|"
    r"shall|would|want|can i|si|cuando|en cuanto|despues|antes|puedo|quieres)\b"
)


def _orders(sentence: _Sentence) -> Iterator[Claim]:
    for match in sentence.take(_ORDER):
        number = f"AS-{match[1].upper()}"
        yield Claim("order", number, _is("order", number), match.start())
    for match in sentence.take(_NUMBERED):
        yield Claim("order", sentence.said(match), None, match.start())
    if sentence.question or _IF.search(sentence.folded):
        return
    for pattern in (_DONE, _FINISHED):
        for match in pattern.finditer(sentence.folded):
            if not sentence.denied(match.start()) and not _NOT_FOUND.search(match[0]):
                yield Claim("order", sentence.said(match), lambda fact: fact.kind == "order", match.start())
                return


_DISCOUNT_WORD = re.compile(
    r"\boff\b|descont|discount|descuent|rebaj|promo|liquida|\bsale\b|cashback|barat|cheap|econom|\bsav(?:e|ing|ings)\b|ahorr|reduc|"
    r"\bcupo[mn]|coupon|\bpix\b|a vista"
)
_PERCENT = re.compile(rf"(-\s*)?({NUMBER}|{IN_WORDS})\s*(?:%|por\s*cento\b|per\s?cent\b|por\s*ciento\b)")
_HALF = re.compile(r"metade do preco|half(?:\s+the)?\s+price|half\s+off|mitad\s+del?\s+precio")
_BUNDLE = re.compile(
    r"\b(?:leve|compre|pague|lleva|llevate|paga|buy)\s+\d+\W+(?:e\s+|y\s+|and\s+)?(?:pague|leve|paga|lleva|get|ganhe)\s*(?:\d+|one|um|uno)?|\b\d\s*x\s*1\b|"
    r"\bbuy one,?\s*(?:and\s+)?get one"
)
_A_DISCOUNT = r"\b(?:\W+\w+){0,4}?\W+(?:descontos?|discounts?|descuentos?)\b"
_PROMISE = re.compile(
    r"\b(?:dou|dar|darei|faco|fazer|consigo|conseguir|conseguimos|aplico|aplicar|apliquei|libero|liberar|liberei|ofereco|oferecer|garanto|"
    rf"give|giving|offer|offering|apply|applied|doy|darte|hago|aplique|ofrezco){_A_DISCOUNT}"
)
_HAS_DISCOUNT = re.compile(rf"\b(?:ganha|tem|esta com|with a|gets?|has|tiene[s]?|con){_A_DISCOUNT}")
_COUPON = re.compile(
    r"(?:\b(?:cupom|cupon|coupon|voucher)(?:\s+(?:de\s+desconto|code))?|promo\s*code|codigo\s+(?:promocional|de\s+desconto))\s*:?\s*[\"“'«]?(?=[a-z0-9]{0,14}[a-z])[a-z0-9]{3,15}"
)
_FREE = re.compile(
    r"\bgratis\b|\bgratuit[oa]s?\b|\bde graca\b|\bsem custo\b|\bsem frete\b|\bcortesia\b|\bbrindes?\b|\bsin costo\b|\bfree of charge\b|\bfor free\b|\bat no cost\b|"
    r"(?<![-\w])free\s+(?:shipping|delivery|pick\s?-?up|gift|returns?)\b|\b(?:is|are|it's|shipping|delivery|pick\s?-?up)\s+free\b(?!\s+to\b)|:\s*free\b(?!\s+to\b)|\bno obsequio\b"
)
_FREE_DELIVERY = re.compile(r"frete|entrega|envio|shipping|deliver")
_FREE_PICKUP = re.compile(r"retir|pick\s?-?up|recog|buscar|na loja|in store|en tienda")


def _discounts(sentence: _Sentence) -> Iterator[Claim]:
    cheap = bool(_DISCOUNT_WORD.search(sentence.folded))
    for match in list(_PERCENT.finditer(sentence.left)):
        if not cheap and not match[1]:
            continue  # "100 % algodão" is a composition
        figure = match[2]
        percent = minor_of(figure) if figure[0].isdigit() else from_words(re.findall(r"[a-z]+", figure)) * 100
        yield Claim("discount", sentence.said(match), _percent(percent), match.start())
    for match in sentence.take(_HALF):
        yield Claim("discount", sentence.said(match), _percent(5000), match.start())
    for match in sentence.take(_BUNDLE):
        yield Claim("discount", sentence.said(match), None, match.start())
    for match in _COUPON.finditer(sentence.left):
        # A code is written in capitals or with figures; "cupom para você" is no code.
        code = re.split(r"[\s:\"“'«]+", sentence.text[match.start() : match.end()])[-1]
        if code.isupper() or any(letter.isdigit() for letter in code):
            yield Claim("discount", sentence.said(match), None, match.start())
    for match in _PROMISE.finditer(sentence.folded):
        if not sentence.denied(match.start()):
            yield Claim("discount", sentence.said(match), None, match.start())  # no tool gives one
    if not sentence.question and not _PERCENT.search(sentence.folded):
        for match in _HAS_DISCOUNT.finditer(sentence.folded):
            if not sentence.denied(match.start()):
                yield Claim("discount", sentence.said(match), lambda fact: fact.kind == "discount", match.start())
    for match in _FREE.finditer(sentence.folded):
        if sentence.denied(match.start()) and match[0] not in ("sem custo", "sem frete"):
            continue
        yield Claim("discount", sentence.said(match), _free(sentence), match.start())


def _percent(hundredths: int) -> Callable[[Fact], bool]:
    """Stated in whole or tenth percent: off by less than one percent from what it is."""
    return lambda fact: fact.kind == "discount" and abs(int(fact.value) - hundredths) < 100


def _free(sentence: _Sentence) -> Callable[[Fact], bool] | None:
    """Fetching is free by what a store says; delivery is by its price, which is zero."""
    if _FREE_PICKUP.search(sentence.folded):
        return _is("free", "pickup")
    spoken_of = (sentence.folded, sentence.heading)
    if any(_FREE_DELIVERY.search(text) for text in spoken_of) or _WORKING_DAYS.search(sentence.folded):
        return _delivered_for_nothing
    return None


def _delivered_for_nothing(fact: Fact) -> bool:
    if fact.kind != "price" or fact.value != 0:
        return False
    return fact.ref.startswith(("quote:", "single:")) or fact.ref.endswith(":delivery")


_INSTALMENT = re.compile(
    r"\b\d{1,2}\s*x\s*(?:de\b|sem\b|s/|of\b|sin\b|interest|no cartao|r\$)|\b\d{1,2}\s*(?:vezes|parcelas|prestacoes|instal?lments|cuotas)\b"
)


def _instalments(sentence: _Sentence) -> Iterator[Claim]:
    for match in _INSTALMENT.finditer(sentence.left):
        yield Claim("price", sentence.said(match), None, match.start())


# --- dates ---------------------------------------------------------------------------------------------------------

_DELIVERY = re.compile(
    r"\bcheg|entreg|\breceb|\benvi[aoe]|\bprazo|\bfrete|\bretir|\bpront[oa]|despach|postad|\bdeliver|\barriv|\bship|\breceiv|pick\s?-?up|\bready\b|"
    r"\blleg|\brecib|\bplazo|\brecog|\blist[oa]\b|\btrocar?\s+(?:em|ate|dentro|por ate)\b|\btrocas\b|\b(?:de|para|fazer a) troca\b|devol|\breturn|\bexchange|\bcambi|reembols|refund|estorn"
)
_MONTHS = {
    "janeiro": 1, "fevereiro": 2, "marco": 3, "abril": 4, "maio": 5, "junho": 6, "julho": 7, "agosto": 8, "setembro": 9,
    "outubro": 10, "novembro": 11, "dezembro": 12,
    "january": 1, "february": 2, "march": 3, "april": 4, "may": 5, "june": 6, "july": 7, "august": 8, "september": 9,
    "october": 10, "november": 11, "december": 12,
    "enero": 1, "febrero": 2, "marzo": 3, "mayo": 5, "junio": 6, "julio": 7, "septiembre": 9, "octubre": 10,
    "noviembre": 11, "diciembre": 12,
    "jan": 1, "feb": 2, "fev": 2, "abr": 4, "apr": 4, "jun": 6, "jul": 7, "ago": 8, "aug": 8, "sep": 9, "oct": 10,
    "nov": 11, "dez": 12, "dec": 12, "dic": 12,
}  # fmt: skip
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_SLASHED = re.compile(r"(?<![\d/])(\d{1,2})/(\d{1,2})(?:/(\d{4}|\d{2}))?(?![\d/])")
_DAY_MONTH = re.compile(
    rf"\b(\d{{1,2}})(?:o|º|st|nd|rd|th)?\s+(?:de\s+|of\s+)?({_MONTH})\b(?:\s+(?:de\s+|of\s+)?(\d{{4}}))?"
)
_MONTH_DAY = re.compile(rf"\b({_MONTH})\s+(\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(\d{{4}}))?")
_SPAN = re.compile(
    rf"({COUNT})(?:\s*(?:a|ate|-|–|to|ou|or|o|e|y|and)\s*({COUNT}))?\s*(?:(?:business|working|calendar|full)\s+)?(dias?|days?|semanas?|weeks?)\b(?:\s+(?:uteis|util|corridos|business|working|habiles|habil))?"
)
_WORKING_DAYS = re.compile(r"\bdias?\s+(?:uteis|util|habiles|habil)\b|\b(?:business|working)\s+days?\b")
_HOURS = re.compile(
    rf"({COUNT})(?:\s*(?:a|ate|-|–|to|ou|or|o)\s*({COUNT}))?\s*(?:horas?|hours?|hrs?)\b|\b(?:em|in|within|en|menos de|under)\s+(?:ate\s+)?(\d{{1,3}})\s*h\b"
)
_RELATIVE = re.compile(
    r"\bdepois de amanha\b|\bday after tomorrow\b|\bpasado manana\b|\bamanha\b|\btomorrow\b|\bhoje\b|\btoday\b|\btonight\b|\bhoy\b|\bmanana\b"
)
_AHEAD = {"depois de amanha": 2, "day after tomorrow": 2, "pasado manana": 2, "amanha": 1, "tomorrow": 1, "manana": 1}
_WEEKDAYS = {
    "segunda": 0, "terca": 1, "quarta": 2, "quinta": 3, "sexta": 4, "sabado": 5, "domingo": 6,
    "monday": 0, "tuesday": 1, "wednesday": 2, "thursday": 3, "friday": 4, "saturday": 5, "sunday": 6,
    "lunes": 0, "martes": 1, "miercoles": 2, "jueves": 3, "viernes": 4,
}  # fmt: skip
_WEEKDAY = re.compile(
    r"\b(segunda|terca|quarta|quinta|sexta)-?\s?feira\b|\b(?:na|ate|ate a|nesta|essa|esta|para|pra)\s+(?:proxima\s+)?(segunda|terca|quarta|quinta|sexta)\b|"
    r"\b(sabado|domingo|monday|tuesday|wednesday|thursday|friday|saturday|sunday|lunes|martes|miercoles|jueves|viernes)\b"
)
_NEXT_WEEK = re.compile(
    r"\bsemana que vem\b|\bproxima semana\b|\bnext week\b|\bfim de semana\b|\bweekend\b|\bfin de semana\b"
)
_ENDS = re.compile(r"\bexpir|\bvence|\bvalid|\bvalendo|\blink\b|\breservad")
_CLOCK = re.compile(r"\b([01]?\d|2[0-3])\s?[:h]\s?([0-5]\d)\b")
_MINUTES = re.compile(rf"({COUNT})\s*(?:minutos?|minutes?|mins?)\b")


def _dates(sentence: _Sentence, today: date) -> Iterator[Claim]:
    delivery = bool(_DELIVERY.search(sentence.folded) or _DELIVERY.search(sentence.heading))
    for match in sentence.take(_ISO):
        yield _day_claim(sentence, match, [(int(match[1]), int(match[2]), int(match[3]))])
    for match in list(_SLASHED.finditer(sentence.left)):
        first, second, year = int(match[1]), int(match[2]), match[3]
        if match[0] == "24/7" or (not delivery and not year and len(match[1]) < 2 and len(match[2]) < 2):
            continue  # "1/2 xícara"
        options = (
            [(year, second, first), (year, first, second)] if sentence.language == "en" else [(year, second, first)]
        )
        if any(1 <= month <= 12 and 1 <= day <= 31 for _, month, day in options):
            sentence.blank(match)
            yield _day_claim(sentence, match, [(_year(y), month, day) for y, month, day in options], today)
    for match in sentence.take(_DAY_MONTH):
        yield _day_claim(sentence, match, [(_year(match[3]), _MONTHS[match[2]], int(match[1]))], today)
    for match in sentence.take(_MONTH_DAY):
        yield _day_claim(sentence, match, [(_year(match[3]), _MONTHS[match[1]], int(match[2]))], today)
    if _ENDS.search(sentence.folded):
        for match in sentence.take(_CLOCK):
            yield Claim("date", sentence.said(match), _is("clock", f"{int(match[1]):02d}:{match[2]}"), match.start())
        for match in sentence.take(_MINUTES):
            yield Claim("date", sentence.said(match), None, match.start())
    if delivery or _WORKING_DAYS.search(sentence.folded):
        yield from _spans(sentence)
    if delivery:
        yield from _relative(sentence, today)


def _year(text: str | None) -> int | None:
    if text is None:
        return None
    return int(text) if len(text) == 4 else 2000 + int(text)


def _day_claim(
    sentence: _Sentence, match: re.Match[str], options: Sequence[tuple[int | None, int, int]], today: date | None = None
) -> Claim:
    days: set[str] = set()
    for year, month, day in options:
        if year is not None:
            days.add(f"{year:04d}-{month:02d}-{day:02d}")
        elif today is not None:
            days |= {f"{near:04d}-{month:02d}-{day:02d}" for near in (today.year - 1, today.year, today.year + 1)}
    return Claim("date", sentence.said(match), lambda fact: fact.kind == "day" and fact.value in days, match.start())


def _spans(sentence: _Sentence) -> Iterator[Claim]:
    for match in sentence.take(_SPAN):
        weeks = match[3].startswith(("semana", "week"))
        for figure in filter(None, (match[1], match[2])):
            count = count_of(figure)
            meant = {count * 5, count * 7} if weeks else {count}
            yield Claim(
                "date",
                sentence.said(match),
                lambda fact, meant=meant: fact.kind == "days" and fact.value in meant,
                match.start(),
            )
    for match in sentence.take(_HOURS):
        for figure in filter(None, (match[1], match[2], match[3])):
            yield Claim("date", sentence.said(match), _is("hours", count_of(figure)), match.start())


def _relative(sentence: _Sentence, today: date) -> Iterator[Claim]:
    for match in sentence.take(_RELATIVE):
        if sentence.denied(match.start()) or (
            match[0] == "manana" and re.search(r"\b(?:la|por la|esta)\s+$", sentence.folded[: match.start()])
        ):
            continue
        day = (today + timedelta(days=_AHEAD.get(match[0], 0))).isoformat()
        yield Claim("date", sentence.said(match), _is("day", day), match.start())
    for match in sentence.take(_WEEKDAY):
        wanted = _WEEKDAYS[match[1] or match[2] or match[3]]
        yield Claim(
            "date",
            sentence.said(match),
            _on(lambda day, wanted=wanted: day.weekday() == wanted and day < today + timedelta(days=8)),
            match.start(),
        )
    for match in sentence.take(_NEXT_WEEK):
        monday = today + timedelta(days=7 - today.weekday())
        yield Claim(
            "date",
            sentence.said(match),
            _on(lambda day, monday=monday: monday <= day < monday + timedelta(days=7)),
            match.start(),
        )


def _on(fits: Callable[[date], bool]) -> Callable[[Fact], bool]:
    return lambda fact: fact.kind == "day" and fits(date.fromisoformat(str(fact.value)))


# --- amounts -------------------------------------------------------------------------------------------------------

_REAIS = r"(?:reais|real|reales|brl|contos?|pilas?|pratas?|mangos?)"
_FOREIGN = r"(?:dolar(?:es)?|dollars?|bucks?|usd|euros?|eur|pesos?|pounds?)"
_SYMBOL = re.compile(
    rf"(?P<sign>r\s?\$|us\s?\$|u\$s|\$|\bbrl|\busd|\beur|€|£)\s*(?P<figure>-?{NUMBER})(?P<thousand>\s*(?:mil|k)\b)?"
)
_NAMED = re.compile(
    rf"(?P<figure>{NUMBER})(?P<thousand>\s*(?:mil|k)\b)?\s*(?:de\s+)?(?P<unit>{_REAIS}|{_FOREIGN})\b(?:\s*(?:e|y|and|con|com)\s*(?P<cents>\d{{1,2}})(?:\s*(?:centavos?|cents?))?\b)?"
)
_SPELLED = re.compile(
    rf"\b(?P<words>{IN_WORDS})\s+(?:de\s+)?(?P<unit>{_REAIS}|{_FOREIGN})\b(?:\s+(?:e|y|and|con|com)\s+(?P<cents>{IN_WORDS}|\d{{1,2}})\s*(?:centavos?|cents?)\b)?"
)
_CENTS = re.compile(rf"(?P<figure>{COUNT})\s*(?:centavos?|cents?)\b")
_LEAD = (
    r"(?:\b(?:custa[mr]?|custam|custando|costs?|cuestan?|valen?)(?:\s+(?:so|apenas|somente|only|just|solo))?|\bsa(?:i|em|indo)\s+(?:por|a)(?:\s+(?:so|apenas))?|"
    r"\bfica(?:m|ndo)?\s+(?:por|em|a)(?:\s+(?:so|apenas))?|\bpor\s+(?:apenas|so|somente|solo)|\b(?:for|at)\s+(?:only|just)|priced\s+at|\bsalen?\s+(?:a|por)|"
    r"\b(?:precos?|valor|(?:sub)?total|frete|prices?|shipping|precios?|envio)(?:\s+(?:e|de|final|fica|sai|por|especial|is|of|costs|es|cuesta|total|do pedido))*\s*:?)"
)
_LED = re.compile(
    rf"{_LEAD}\s*(?P<figure>{NUMBER})(?P<thousand>\s*(?:mil|k)\b)?(?=\s*(?:[.,;:!?)\]\n]|$|(?:e|y|and|com|no|na|a|por|cada|each|pra|para|with|in|ou|or|o|el|la|-|–)\b))"
)
_FROM_TO = re.compile(
    rf"\bde\s+(?P<first>{NUMBER})\s+por\s+(?:apenas\s+|so\s+)?(?P<figure>{NUMBER})(?!\s*(?:%|dias|days))"
)
_DECIMAL = re.compile(
    r"(?<![\d.,/:\w-])(?<!\d x )(?<!\dx)(?<!\d × )(?P<figure>\d{1,3}(?:[.,]\d{3})*[.,]\d{2}|\d+[.,]\d{2})(?![\d%/:]|[.,]\d)"
    r"(?!\s*(?:cm|mm|m|km|kg|g|mg|ml|l|litros?|polegadas?|pol|inch(?:es)?|in|gb|tb|mb|mhz|ghz|hz|mah|wh?|kw|v|pulgadas?|h|estrelas|stars|estrellas)\b|\s*[%\"”″'’]|\s*[x×]\s*\d)"
)


def _amount(sentence: _Sentence, match: re.Match[str], minor: int | None, start: int | None = None) -> Claim:
    holds = None if minor is None else _is("price", minor)
    at = match.start() if start is None else start
    return Claim("price", sentence.said(match), holds, at, minor)


def _minor(match: re.Match[str]) -> int:
    groups = match.groupdict()
    minor = minor_of(groups["figure"]) * (1000 if groups.get("thousand") else 1)
    return minor + (int(groups["cents"]) if groups.get("cents") else 0)


def _amounts(sentence: _Sentence) -> Iterator[Claim]:
    for match in sentence.take(_SYMBOL):
        foreign = match["sign"].replace(" ", "") not in ("r$", "$", "brl")
        yield _amount(sentence, match, None if foreign else _minor(match))
    for match in sentence.take(_NAMED):
        foreign = re.fullmatch(_FOREIGN, match["unit"]) is not None
        yield _amount(sentence, match, None if foreign else _minor(match))
    for match in sentence.take(_SPELLED):
        foreign = re.fullmatch(_FOREIGN, match["unit"]) is not None
        minor = from_words(re.findall(r"[a-z]+", match["words"])) * 100
        if cents := match["cents"]:
            minor += int(cents) if cents[0].isdigit() else from_words(re.findall(r"[a-z]+", cents))
        yield _amount(sentence, match, None if foreign else minor)
    for match in sentence.take(_CENTS):
        yield _amount(sentence, match, count_of(match["figure"]))
    for match in sentence.take(_FROM_TO):
        yield _amount(sentence, match, minor_of(match["first"]), match.start("first"))
        yield _amount(sentence, match, minor_of(match["figure"]), match.start("figure"))
    for match in sentence.take(_LED):
        yield _amount(sentence, match, _minor(match), match.start("figure"))
    for match in sentence.take(_DECIMAL):
        yield _amount(sentence, match, minor_of(match["figure"]))


# --- stock ---------------------------------------------------------------------------------------------------------

_NOT_STOCK = (
    r"(?!\s*(?:\w+\s+)?(?:dias?|semanas?|mes(?:es)?|anos?|horas?|minut|days?|weeks?|months?|years?|hours?|novidade|tendencia|lancament|pedido|order|vez|vezes|opc|option|"
    r"model|cor(?:es)?\b|colou?r|tamanh|sizes?\b|talla|passo|step|pergunt|question|coisa|thing|cosa|produto|product|estilo|style))"
)
_LAST_N = re.compile(
    rf"(?:\brest(?:a|am|ou|aram|ando)|\bsobr(?:a|am|ou|aram)|\bquedan?|\bultim[oa]s|\bthe last|\blast|"
    rf"\b(?:so|apenas|somente|solo|only|just)\s+(?:tem(?:os)?|ha|hay|tenemos|(?:we\s+)?(?:have|has|got)|mais)|\b(?:temos|tenemos|we have|have|we've got)\s+(?:so|apenas|somente|solo|only|just))"
    rf"\s+(?:(?:so|somente|apenas|solo|only|just|as|os|las|los|ultim[oa]s)\s+)*({COUNT}){_NOT_STOCK}"
)
_N_LEFT = re.compile(
    rf"({COUNT})\s+(?:\w+\s+){{0,2}}?(?:left\b|remaining\b|in stock\b|em estoque|no estoque|en stock|em pronta entrega|restantes?\b|disponive(?:l|is)\b|disponibles?\b|available\b)"
)
_STOCK_N = re.compile(rf"\b(?:estoque|stock)(?:\s+(?:de|atual|e|is|of|es))*\s*:?\s*({COUNT})\b")
_ONLY_UNITS = re.compile(
    rf"\b(?:so|apenas|somente|solo|only|just)\s+({COUNT})\s+(?:unidades?|pecas?|pares?|units?|pieces?|pairs?|piezas?|exemplares?)\b"
)
_LAST_ONE = re.compile(
    r"\bultim[oa]\s+(?:unidade|peca|par|unidad|pieza|exemplar)\b|\blast\s+(?:one|piece|unit|pair|item)\b|\b(?:so resta|resta so|resta apenas|solo queda)\s+(?:um|uma|un|una|uno)\b"
)
_SOME = re.compile(r"\bem estoque\b|\bno estoque\b|\bpronta[- ]entrega\b|\bin stock\b|\ben stock\b")
_NONE = re.compile(
    r"\besgot(?:ad[oa]s?|ou)\b|\b(?:sem|fora de) estoque\b|\bsold out\b|\bout of stock\b|\bagotad[oa]s?\b|\bsin stock\b"
)
_LOOKING = re.compile(
    r"\b(?:verific|confer|consult|check|ver\b|veja|vejo|veo|see|look|busc|procur|se\b|if\b|si\b|antes|before|pode|quando|when|cuando)"
)


def _stock(sentence: _Sentence) -> Iterator[Claim]:
    for pattern in (_LAST_N, _ONLY_UNITS, _N_LEFT, _STOCK_N):
        for match in sentence.take(pattern):
            yield Claim("stock", sentence.said(match), _is("stock", count_of(match[1])), match.start())
    for match in sentence.take(_LAST_ONE):
        yield Claim("stock", sentence.said(match), _is("stock", 1), match.start())
    if sentence.question or _LOOKING.search(sentence.folded):
        return
    for match in sentence.take(_NONE):
        yield Claim("stock", sentence.said(match), _is("stock", 0), match.start())
    for match in sentence.take(_SOME):
        if not sentence.denied(match.start()):
            yield Claim(
                "stock", sentence.said(match), lambda fact: fact.kind == "stock" and int(fact.value) > 0, match.start()
            )


# --- deeds ---------------------------------------------------------------------------------------------------------

_IN_CART = re.compile(
    r"\b(?:adicionei|adicionad[oa]s?|coloquei|inclui|acrescentei|botei|pus|i(?:'ve| have)? added|added|i(?:'ve| have)? put|agregue|agregad[oa]s?|anadi|puse|"
    r"tirei|removi|removed|saque|quite)\b[^.!?\n]{0,70}\b(?:carrinho|sacola|cesta|cart|basket|carrito)\b|\b(?:ja esta|is now|ya esta)\s+(?:no|na|in|en)\s+(?:seu\s+|sua\s+|the\s+|your\s+|tu\s+|el\s+)?(?:carrinho|sacola|cart|basket|carrito)\b"
)
_PAID = re.compile(
    r"\b(?:pagamento|payment|pago)\b[^.!?\n]{0,30}\b(?:aprovad[oa]|confirmad[oa]|recebid[oa]|realizad[oa]|approved|received|confirmed|went through|aprobado|recibido)\b"
)


def _deeds(sentence: _Sentence) -> Iterator[Claim]:
    if sentence.question:
        return
    for match in _IN_CART.finditer(sentence.folded):
        if not sentence.denied(match.start()):
            yield Claim("cart", sentence.said(match), lambda fact: fact.kind == "cart", match.start())
            break
    if _IF.search(sentence.folded):
        return
    for match in _PAID.finditer(sentence.folded):
        if not sentence.denied(match.start()) and not _NOT_FOUND.search(match[0]):
            yield Claim("paid", sentence.said(match), lambda fact: fact.kind == "paid", match.start())
            break


def orders_in(folded: str) -> frozenset[str]:
    """The order numbers in a customer's words."""
    return frozenset(f"AS-{match[1].upper()}" for match in _ORDER.finditer(folded))
