"""What is in a wish beside its words: prices, sizes, colours, options, positions, quantities, codes.

Each finder reads a text made by `normalise.plain`, and gives back what it found and the text without it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from agent_store.adapters.brains.rules.words import (
    AMBIGUOUS_COLORS,
    BARE_ONLY_IN_ENGLISH_OR_SPANISH,
    COLORS,
    LETTER_SIZES,
    NOUNS,
    NUMBER_WORDS,
    ORDINALS,
    SPANISH_NUMBERS,
    STOP,
    WORD_SIZES,
    bag,
)


@dataclass(slots=True)
class Slots:
    """Amounts are minor units (30000 is R$ 300,00). A position counts from 1; -1 is the last."""

    rest: str
    order: str | None = None
    cep: str | None = None
    card: str | None = None
    min_price: int | None = None
    max_price: int | None = None
    color: str | None = None
    size: str | None = None
    options: tuple[str, ...] = ()
    positions: tuple[int, ...] = ()
    quantity: int | None = None
    number: int | None = None
    """A bare number that may be a size, a position or a quantity: the dialogue knows what was asked."""
    pairs: tuple[tuple[int, int], ...] = field(default=())
    """Quantities that belong to positions: "2 do primeiro" is (2, 1)."""


_ORDER = re.compile(r"\b(as)-?([2-9a-hj-np-z]{6})\b", re.ASCII)
_CEP = re.compile(r"(?<![\d-])(?:cep[: ]*)?(\d{2})\.?(\d{3})[ ]?-?[ ]?(\d{3})(?![\d-])")
_NUMBER = r"(?:r\$ ?)?(\d{1,3}(?:\.\d{3})+(?:,\d{1,2})?|\d{1,6}(?:[.,]\d{1,2})?)"
_SCALE = r"(?: ?(mil|k|thousand)\b)?"
_MONEY = r"(?: ?(?:reais|conto|dolares|dollars|pesos|pratas|r\$))"
_AMOUNT = _NUMBER + _SCALE + _MONEY + "?"
_RANGE = re.compile(
    rf"\b(?:(?:que )?(?:custe[m]?|fique[m]?|na faixa|faixa) )?(?:entre|between|de|from) {_AMOUNT} (?:e|a|ate|and|to|y|hasta) {_AMOUNT}(?![\w/])"
)
_DASHED = re.compile(rf"(?:\b|(?=r\$)){_NUMBER} ?- ?{_NUMBER}{_MONEY}")
_UPPER = re.compile(
    r"\b(?:ate(?: uns| no maximo)?|menos (?:de|que|do que)|abaixo (?:de|dos?)|no maximo(?: de)?|maximo(?: de)?|max(?:\.|imum)?(?: of)?"
    r"|teto de|(?:nao|sem) (?:passe|passar|ultrapasse|ultrapassar|passando)(?: de| dos)?|dentro de|under|below|less than|up to"
    r"|at most|no more than|no mas (?:de|que)|nao mais (?:de|que|do que)|que no (?:pasen?|superen?)(?: de| los)?|cheaper than|hasta(?: unos)?|por menos de|menor (?:que|a)|debajo de|mais barato que"
    rf"|orcamento (?:e )?(?:de|ate)|budget (?:is |of )?|presupuesto (?:es )?(?:de )?|tenho|so tenho|i have|tengo) ?{_AMOUNT}(?![\w/])"
)
_LOWER = re.compile(
    r"\b(?:acima (?:de|dos?)|mais (?:de|que|do que)|a partir de|no minimo(?: de)?|minimo(?: de)?|min\.?|over|above|more than|at least"
    rf"|starting at|from|mas de|desde|por encima de|arriba de) ?{_AMOUNT}(?![\w/])"
)
_ABOUT = re.compile(
    rf"\b(?:uns|umas|cerca de|por volta de|em torno de|mais ou menos|na casa dos|around|about|roughly|unos|alrededor de|como) {_NUMBER}{_SCALE}{_MONEY}(?!\w)"
)
_PLAIN_MONEY = re.compile(
    rf"(?:\bde |\bpor |\bfor |\bpara )?(?:(?:r\$ ?){_NUMBER}{_SCALE}|\b{_NUMBER}{_SCALE}{_MONEY})(?!\w)"
)
_OPTION = re.compile(
    r"\b(\d{1,4}) ?(gb|tb|mb|ml|litros?|l|v|volts?|w|watts?|polegadas?|pol|inches|inch|pulgadas?|hz|mah|mm|cm|kg|fios)\b|\b(bivolt)\b|\b(\d{2})\""
)
_SIZE_CUE = re.compile(
    r"\b(?:no |na |do |da |de |em |in |en |the |e )?(?:tamanho|size|talla|talle|numeracao|numero|calco|uso|visto|veste|wear|num|nro)s?(?: e| o| is| es)?:? "
    r"(pp|p|m|gg|g|xgg|xg|eg|xs|xxs|s|l|xl|xxl|xxxl|ggg|3[3-9]|4[0-9]|5[0-8]|pequen[oa]|medi[oa]|grande|unic[oa]|small|medium|large|median[oa])\b"
)
_LETTER = re.compile(
    r"(?<![\w$/+-])(?:(?:no|na|do|in|en|o|um|uma) )?(pp|gg|xgg|xg|eg|xxs|xs|xxxl|xxl|xl|p|m|g|s|l)(?![\w$/+-])"
)
_SHOE = re.compile(r"(?<![\d$.,/+-])(3[3-9]|4[0-8])(?![\d.,%/-]| ?(?:reais|polegadas|pol|gb|ml|mil))")
_ORDINAL = "|".join(sorted(ORDINALS, key=len, reverse=True))
_QUANTITY_WORD = "|".join(sorted({**NUMBER_WORDS}, key=len, reverse=True))
_PAIR = re.compile(
    rf"\b(\d{{1,2}}|{_QUANTITY_WORD})(?: unidades?| units?)? (?:do|da|dos|das|of the|of|de la|del|de)(?: numero| item| number| opcao)? ?({_ORDINAL}|[1-9]|10)\b(?! ?(?:reais|unidades|gb))"
)
_POSITION = re.compile(
    rf"\b(?:(?:o|a|os|as|no|na|do|da|e|the|el|la|al|with|vs\.?|com|y|and|of|n)\b ?)?(?:numero |opcao |item |produto |number |option |opcion |n |no\. ?)?\b({_ORDINAL})(?: opcao| item| produto| one| option| opcion| uno)?\b"
)
_NUMBERED = re.compile(
    r"(?:#|\b(?:numero|opcao|item|produto|number|option|opcion|product|producto|modelo) )(10|[1-9])\b|"
    r"\b(?:o|a|the|el|la|do|da|no|na|of the|del|al|ao|sobre o|sobre a|about) (?:numero |n )?(10|[1-9])\b"
    r"(?! ?(?:reais|unidades?|pecas|x\b|mil|gb|ml|units))"
)
_MORE_NUMBERS = re.compile(r"^ ?(?:,|e|and|y|com|with|vs\.?|x|ou|or|contra|o|a|el|the|con| )+ ?(10|[1-9])\b")
_QUANTITY = re.compile(
    rf"\b(?:x ?(\d{{1,2}})|(\d{{1,2}}) ?x|(\d{{1,2}}|{_QUANTITY_WORD}) (?:unidades?|pecas?|units?|pieces?|piezas?|iguais|pares|pairs?|desses?|dessas?|deles|delas|of (?:them|those|these|it|this)|de (?:esos|esas|ese|esa|estos|estas|este)))\b"
)
_TIMES = re.compile(
    rf"\b(?:quero|queria|leva|levo|levar|adicion\w+|coloc\w+|bota|poe|want|add|take|agreg\w+|quiero|remove|tira|quita|manda|so|only|solo|mais|more|another|otros|otras) (?:mais )?(\d{{1,2}}|{_QUANTITY_WORD})\b(?! (?:reais|vestido))"
)
_THE_N = re.compile(r"\b(?:os|as|los|las) ([2-9]|duas|dois|tres|quatro|dos)\b")
_BARE = re.compile(r"^\W*(\d{1,3})\W*$")
_CARD = re.compile(r"(?<![\d.,$-])(4242|1111|2222|3333)(?![\d-]|[.,]\d)")
_CARD_WORDS = re.compile(
    r"\b(?:meu|minha|o|a|com|no|na|do|de|da|e|final|cartao|credito|debito|cartoes|codigo|numero|teste|testa|tenta|tentar|usa|usar|use|"
    r"pagar?|pago|passa|passar|cobra|pode|esse|este|agora|sim|my|the|card|credit|code|test|try|with|pay|is|here|charge|it|on|"
    r"tarjeta|mi|la|el|con|prueba|por|favor|please|ai|toma|segue|quero|vou|i|want|to|outro|outra|another|otra|ending|in|final|termina|terminado|em)\b|\W"
)


def _minor(number: str, scale: str | None) -> int:
    """ "1.299,90" → 129990; "1.5" with "mil" → 150000."""
    if "," in number:
        whole, _, cents = number.replace(".", "").partition(",")
    elif re.fullmatch(r"\d{1,3}(?:\.\d{3})+", number):
        whole, cents = number.replace(".", ""), ""
    else:
        whole, _, cents = number.partition(".")
    minor = int(whole or 0) * 100 + int((cents + "00")[:2])
    return minor * 1000 if scale else minor


def _cut(text: str, found: re.Match[str]) -> str:
    return f"{text[: found.start()]} {text[found.end() :]}"


def read(text: str, language: str) -> Slots:
    """All slots of one clause, each taken out of `rest` so that only the words of the wish are left."""
    slots = Slots(rest=text)
    _codes(slots)
    if slots.card is None:
        _prices(slots)
        _options(slots)
    _positions(slots, language)
    _sizes(slots, language)
    _colors(slots)
    bare = _BARE.match(slots.rest)
    if bare and slots.card is None:
        slots.number = int(bare[1])
    slots.rest = " ".join(slots.rest.split())
    return slots


def _codes(slots: Slots) -> None:
    found = _ORDER.search(slots.rest)
    if found and ("-" in found[0] or any(c.isdigit() for c in found[2])):
        slots.order = f"AS-{found[2].upper()}"
        slots.rest = _cut(slots.rest, found)
    found = _CEP.search(slots.rest)
    if found:
        slots.cep = f"{found[1]}{found[2]}-{found[3]}"
        slots.rest = _cut(slots.rest, found)
    found = _CARD.search(slots.rest)
    if found and not _CARD_WORDS.sub("", _cut(slots.rest, found)):
        slots.card = found[1]
        slots.rest = ""


def _prices(slots: Slots) -> None:
    text = slots.rest
    if not any(c.isdigit() for c in text):
        return
    found = _RANGE.search(text) or _DASHED.search(text)
    if found:
        groups = found.groups()
        low, low_scale, high, high_scale = groups if len(groups) == 4 else (groups[0], None, groups[1], None)
        first, second = _minor(low, low_scale or (high_scale if len(low) < 3 else None)), _minor(high, high_scale)
        if max(first, second) <= 1000 and "r$" not in found[0] and "reais" not in found[0]:
            return  # "between 1 and 3" are positions
        slots.min_price, slots.max_price = min(first, second), max(first, second)
        slots.rest = _cut(text, found)
        return
    found = _UPPER.search(text)
    if found:
        slots.max_price = _minor(found[1], found[2])
        slots.rest = text = _cut(text, found)
    found = _LOWER.search(text)
    if found:
        slots.min_price = _minor(found[1], found[2])
        slots.rest = text = _cut(text, found)
    if slots.max_price is not None or slots.min_price is not None:
        return
    found = _ABOUT.search(text)
    if found:
        middle = _minor(found[1], found[2])
        slots.min_price, slots.max_price = middle * 7 // 10, middle * 13 // 10
        slots.rest = _cut(text, found)
        return
    found = _PLAIN_MONEY.search(text)
    if found:
        slots.max_price = _minor(found[1] or found[3], found[2] or found[4])
        slots.rest = _cut(text, found)


def _options(slots: Slots) -> None:
    """Capacity, voltage, volume: kept in `rest` too, since a catalogue may have them in a product's name."""
    if not any(c.isdigit() for c in slots.rest) and "bivolt" not in slots.rest:
        return
    found: list[str] = []
    for match in _OPTION.finditer(slots.rest):
        if match[3]:
            found.append("bivolt")
        elif match[4]:
            found.append(f"{match[4]} polegadas")
        else:
            unit = match[2]
            unit = "v" if unit.startswith("v") else "w" if unit.startswith("w") else unit
            unit = " polegadas" if unit in ("pol", "inch", "inches") or unit.startswith(("poleg", "pulg")) else unit
            unit = "l" if unit.startswith("litro") else unit
            found.append(f"{match[1]}{unit}")
    if found:
        slots.options = tuple(dict.fromkeys(found))
        slots.rest = _OPTION.sub(" ", slots.rest)


def _sizes(slots: Slots, language: str) -> None:
    found = _SIZE_CUE.search(slots.rest)
    if found:
        word = found[1]
        slots.size = LETTER_SIZES.get(word) or WORD_SIZES.get(word) or word
        slots.rest = _cut(slots.rest, found)
        return
    for match in _LETTER.finditer(slots.rest):
        letter = match[1]
        if letter in BARE_ONLY_IN_ENGLISH_OR_SPANISH and language == "pt" and match[0] != slots.rest:
            continue
        if letter == "g" and slots.rest[: match.start()].rstrip()[-1:].isdigit():
            continue
        slots.size = LETTER_SIZES[letter]
        slots.rest = _cut(slots.rest, match)
        return
    words = slots.rest.split()
    if any(word in _SCREENS for word in words) or len(words) < 2:
        return
    match = _SHOE.search(slots.rest)
    if match and any(word in NOUNS for word in words):
        slots.size = match[1]
        slots.rest = _cut(slots.rest, match)


_SCREENS = bag("tv tvs televisao televisor monitor monitores tela notebook screen pantalla")


def _colors(slots: Slots) -> None:
    words = slots.rest.split()
    for index, word in enumerate(words):
        clean = word.strip('.,;:!?"')
        color = COLORS.get(clean)
        if color is None:
            continue
        before = words[index - 1] if index else ""
        cue = before in _COLOR_CUES
        if clean in AMBIGUOUS_COLORS and not cue and len(words) > 1:
            after = words[index + 1].strip(".,;:!?") if index + 1 < len(words) else ""
            beside = (before in NOUNS and before not in AMBIGUOUS_COLORS) or (
                clean not in _COLORS_BEHIND and after in NOUNS and after not in COLORS
            )
            if not beside:
                continue
        if (
            color == "azul"
            and index + 1 < len(words)
            and COLORS.get(words[index + 1].strip(".,;:!?")) == "azul-marinho"
        ):
            color = "azul-marinho"
            words[index + 1] = ""
        if color == "azul-marinho" and index + 1 < len(words) and words[index + 1] == "blue":
            words[index + 1] = ""
        slots.color = color
        words[index] = ""
        if index + 1 < len(words) and words[index + 1].strip(".,;:!?") in _SHADES:
            words[index + 1] = ""
        if index and before in _SHADES:
            words[index - 1] = ""
        if cue:
            words[index - 1] = "" if before not in ("e", "o", "a") else before
        break
    slots.rest = " ".join(word for word in words if word)


_SHADES = bag("claro clara escuro escura light dark oscuro oscura royal bebe forte neon pastel")
"""A shade of a colour: the filter goes by the colour itself."""
_COLORS_BEHIND = bag("creme crema")
"""Portuguese and Spanish put a colour behind its noun: "blusa creme", but "creme hidratante" is a thing."""
_COLOR_CUES = bag("cor em na color colour in en")


def _as_number(word: str, language: str) -> int:
    if word.isdigit():
        return int(word)
    return NUMBER_WORDS.get(word) or (SPANISH_NUMBERS.get(word, 0) if language == "es" else 0)


def _positions(slots: Slots, language: str) -> None:
    text = slots.rest
    if language == "es":
        text = re.sub(r"\bdos\b", "2", text)
    pairs: list[tuple[int, int]] = []
    while (found := _PAIR.search(text)) is not None:
        place = ORDINALS.get(found[2]) or int(found[2]) if not found[2].isdigit() else int(found[2])
        quantity = _as_number(found[1], language)
        if quantity and place:
            pairs.append((quantity, place))
        text = _cut(text, found)
    slots.pairs = tuple(pairs)
    places: list[int] = []
    while (found := _POSITION.search(text)) is not None and found[1] in ORDINALS:
        if found[1] in ("quarto", "quarta", "segunda", "last") and not found[0].strip().startswith(
            ("o ", "a ", "the ", "la ")
        ):
            break
        places.append(ORDINALS[found[1]])
        text = _cut(text, found)
    while (found := _NUMBERED.search(text)) is not None:
        places.append(int(found[1] or found[2]))
        tail = text[found.end() :]
        head = text[: found.start()]
        while (more := _MORE_NUMBERS.match(tail)) is not None:
            places.append(int(more[1]))
            tail = tail[more.end() :]
        text = f"{head} {tail}"
    slots.positions = tuple(dict.fromkeys([*(place for _, place in pairs), *places]))
    found = _QUANTITY.search(text)
    if found is None and (group := _THE_N.search(text)) is not None:
        slots.quantity = _as_number(group[1], language) or None
        text = _cut(text, group)
    elif found:
        slots.quantity = _as_number(found[1] or found[2] or found[3], language) or None
        text = _cut(text, found)
    elif slots.pairs:
        slots.quantity = slots.pairs[0][0]
    else:
        found = _TIMES.search(text)
        if found and found[1] not in _ARTICLES:
            number = _as_number(found[1], language)
            if number and number <= 30:
                slots.quantity = number
                text = text[: found.start(1)] + " " + text[found.end(1) :]
    slots.rest = text


_ARTICLES = frozenset(("um", "uma", "un", "una", "uno", "one"))


def query(rest: str, translate: dict[str, str], phrases: dict[str, str]) -> tuple[str, bool]:
    """The words worth searching, in the catalogue's language, and whether one of them is a known noun."""
    words = [word for token in rest.replace("\n", " ").split() if (word := token.strip('.,;:!?"#+%$/-'))]
    found: list[str] = []
    known = False
    index = 0
    while index < len(words):
        for length in (3, 2):
            phrase = phrases.get(" ".join(words[index : index + length])) if index + length <= len(words) else None
            if phrase:
                found.append(phrase)
                known = True
                index += length
                break
        else:
            word = words[index]
            index += 1
            if word in STOP and word not in translate:
                continue
            if len(word) == 1 and not word.isdigit():
                continue
            known = known or word in NOUNS
            found.append(translate.get(word, word))
    return " ".join(dict.fromkeys(" ".join(found).split()))[:160], known
