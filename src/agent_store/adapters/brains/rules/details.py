"""Name, CEP and street out of what a customer writes when asked for them, in one message or in several."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent_store.adapters.brains.rules.lexicon import ENGLISH_STREET, NAME_CUE, STREET_CUE
from agent_store.adapters.brains.rules.normalise import strip_accents
from agent_store.adapters.brains.rules.understanding import understand
from agent_store.adapters.brains.rules.words import COLORS, NOUNS, STOP, bag

_CEP = re.compile(
    r"(?i)(?:\b(?:meu |o |my |mi )?(?:cep|zip|zip code|código postal|codigo postal|postal code)\b[ :éeis]*)?(?<![\d-])(\d{2})\.?(\d{3})[ ]?-?[ ]?(\d{3})(?![\d-])"
)
_LETTERS = re.compile(r"^[A-Za-zÀ-ÖØ-öø-ÿ'’. -]{2,80}$")
_LABEL = re.compile(
    r"(?i)^\s*(?:meu |minha |o |a |my |mi )?(?:endere[cç]o|rua|address|direcci[oó]n|moro n[ao]|fica n[ao]|i live (?:at|on)|vivo en|entrega(?:r)? (?:em|na|no))\s*(?:é|e|is|es)?\s*[:,-]?\s*"
)
_COMPLEMENT = re.compile(r"(?i)(?:ap(?:to|artamento|\.)?|bloco|bl\.?|casa|complemento|fundos|apt|unit|depto|bairro)\b")
_SPLIT = re.compile(r"[\n;]+")
_NOT_A_NAME = bag(
    "sim nao ok oi ola quero entrega retirar retirada loja casa beleza obrigado obrigada frete cep rua numero yes no hi "
    "hello delivery pickup store si hola envio retiro tienda quanto qual quando onde como porque what how when where why "
    "cuanto cual donde carrinho pedido cart order carrito pagar cancelar ajuda help ayuda desconto caro tem esqueci "
    "depois nenhum nada errado isso esse valeu tchau bom boa por favor ja falei mandei entregar prazer expresso expressa express "
    "expreso economico economica economic sedex pac rapido rapida normal padrao urgente continuar voltar qualquer tanto "
    "cartao nome name nombre desisto disse continue back card whatever tarjeta seguir volver cualquiera"
)
_NAMELIKE = frozenset({"search", "unclear", "attributes", "praise"})
"""What the words of a name are taken for: things nobody knows, a colour ("Rosa"), a praise ("Linda"); never a wish."""
_SURE_NAME = re.compile(
    r"(?i)\b(?:meu nome|me chamo|no nome de|em nome de|nome:|my (?:full )?name|mi nombre|me llamo|a nombre de|nombre:|name:)"
)
_SURE_STREET = re.compile(
    r"(?i)(?:^|[\s,;:])(?:rua|r\.|av\.?|avenida|alameda|travessa|pra[çc]a|rodovia|estrada|calle|avda\.?|street|avenue|road)\s"
)


@dataclass(frozen=True, slots=True)
class Details:
    """What was found; `street` holds street, number and complement as written, `house` a bare number."""

    name: str | None = None
    cep: str | None = None
    street: str | None = None
    house: str | None = None

    def __bool__(self) -> bool:
        return bool(self.name or self.cep or self.street or self.house)


def read(text: str, *, want_name: bool, want_street: bool, partial_street: bool = False) -> Details:
    """Read one burst. `want_name` and `want_street` say what was asked: only then is a bare text taken for it."""
    text = text[:400]
    cep = None
    found = _CEP.search(text)
    if found:
        cep = f"{found[1]}{found[2]}-{found[3]}"
        text = f"{text[: found.start()]}\n{text[found.end() :]}"
    name = _cued_name(text)
    if name is not None:
        text = text.replace(name, "\n", 1)
        text = NAME_CUE.sub("\n", text, count=1)
    street, text = _street(text)
    house = None
    for part in _parts(text, split=want_name and name is None):
        if name is None and want_name and _is_name(part):
            name = part
        elif street is None and want_street and not partial_street and _looks_like_street(part):
            street = part
        elif (
            street is None
            and want_street
            and partial_street
            and re.search(r"\d|s/?n", part.lower())
            and len(part) <= 60
        ):
            house = part
        elif (
            street is not None
            and re.fullmatch(r"(?i)(?:n[º°o.]?\s*|n[uú]mero\s*)?\d{1,6}\s*[A-Za-z]?", part)
            and not has_number(street)
        ) or (street is not None and _COMPLEMENT.match(part)):
            street = f"{street}, {part}"
    return Details(name=name, cep=cep, street=street[:160] if street else None, house=house)


def volunteered(text: str) -> bool:
    """Do these words, which nobody asked for, tell a name or an address beyond doubt? A question never does."""
    if "?" in text:
        return False
    found = read(text, want_name=False, want_street=False)
    if found.name and (_SURE_NAME.search(text) or _capitalised(found.name)):
        return True
    return bool(found.street and has_number(found.street) and (found.cep or _SURE_STREET.search(text)))


def full_name(text: str) -> str | None:
    """A name and nothing else but a CEP, written as names are: "Ana Souza", "Ana de Souza 01310-100"."""
    name = read(text, want_name=True, want_street=False).name
    return name if name and len(name.split()) > 1 and _capitalised(name) else None


def _capitalised(name: str) -> bool:
    words = [word for word in name.split() if word.lower() not in _PARTICLES]
    return all(word[:1].isupper() for word in words)


def has_number(street: str) -> bool:
    return bool(re.search(r"\d|\bs/?n\b", street.lower()))


def _cued_name(text: str) -> str | None:
    found = NAME_CUE.search(text)
    if not found:
        return None
    rest = re.split(
        r"[\n,;:!?\d]|\.\s|\s(?:e o|e meu|e moro|moro|and|y vivo|y mi|cep|rua|av\.?)\s", text[found.end() :], maxsplit=1
    )[0].strip(" .-")
    return rest if _is_name(rest) else None


def _is_name(part: str) -> bool:
    if not _LETTERS.match(part):
        return False
    words = strip_accents(part).replace(".", " ").split()
    if not 1 <= len(words) <= 7 or any(word in _NOT_A_NAME for word in words):
        return False
    if any(act.intent not in _NAMELIKE or act.cue for act in understand(part)):
        return False
    if words[-1] in _BEFORE_A_PLACE:
        return False
    strange = [word for word in words if word in NOUNS or (word in STOP and word not in _PARTICLES) or word in COLORS]
    return len(words[0]) > 1 and len(strange) * 2 < len(words) + (1 if len(words) > 1 else 0)


_BEFORE_A_PLACE = bag("na no em at on in en a o para to for de da do del")
_PARTICLES = bag("de da do das dos e del la los y i")


def _looks_like_street(part: str) -> bool:
    return bool(re.search(r"[A-Za-zÀ-ÿ]{3}", part)) and has_number(part) and len(part) <= 160 and "?" not in part


def _street(text: str) -> tuple[str | None, str]:
    """The street with its number, from its cue up to the end of the line, and the text without it."""
    found = STREET_CUE.search(text) or ENGLISH_STREET.search(text)
    if not found:
        return None, text
    end = re.search(r"[\n;]", text[found.start() :])
    stop = found.start() + end.start() if end else len(text)
    street = text[found.start() : stop].strip(" ,.-")
    street = re.sub(
        r"(?i)[\s,]+(?:e )?(?:o |meu |my |mi )?(?:cep|zip(?: code)?|c[oó]digo postal)\s*(?:é|e|is|es|:)?\s*$",
        "",
        street,
    ).strip(" ,.-")
    head = re.sub(
        r"(?i)(?:\b(?:e )?(?:moro|eu moro|endere[cç]o|address|direcci[oó]n|i live|vivo|fica|entrega(?:r)?)(?: (?:na|no|em|at|on|en|é|e|is|es|a|la))*\s*[:,-]?\s*)$",
        "\n",
        text[: found.start()],
    )
    return street or None, f"{head}\n{text[stop:]}"


def _parts(text: str, *, split: bool) -> list[str]:
    parts: list[str] = []
    for line in _SPLIT.split(text):
        line = _LABEL.sub("", line)
        bits = line.split(",") if split or not has_number(line) else [line]
        parts.extend(bit.strip(" .-") for bit in bits)
    return [part for part in parts if part]
