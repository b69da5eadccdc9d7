"""From what people write to what is looked up: folding, tokens, stems, sounds. Portuguese, English and Spanish.

The index and the query go through the same functions, so a stem need not be a word: it only has to come out the same
for the forms that should find one another.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_TOKEN = re.compile(r"[a-z0-9]+")

_STOP = (
    # Portuguese
    "a o as os um uma uns umas de do da dos das d em no na nos nas num numa por pelo pela pelos pelas pra pro pras pros"
    " para com sob sobre ate e ou mas que qual quais quem se me mim te voce vc vcs voces eu ele ela eles elas nos"
    " meu minha meus minhas seu sua seus suas teu tua dele dela isso isto esse essa esses essas este esta estes estas"
    " aquele aquela algum alguma alguns algumas algo tem tens temos teria tinha ter ai la aqui ha existe quero queria"
    " quer querem procuro procurando procurar busco buscando buscar preciso precisando gostaria gosto gosta gostei"
    " mostra mostre mostrar mostrem ver veja olhar achar acha comprar compro levar pegar vende vendem vendo voces mim"
    " oi ola opa eai fala por favor pfv pfvr obrigado obrigada valeu sim nao tambem tb mais"
    " muito muita bem so apenas ser seja sou estou esta ta to tou estava fosse foi vai vou ir quando onde como porque"
    " pq cade coisa coisas tipo tal reais real conto contos pila pilas brl rs preco valor custa custando menos"
    " maximo minimo abaixo acima entre barato barata baratos baratas baratinho baratinha produto produtos opcao opcoes"
    " loja modelo modelos dar dou presentear usar uso ficar fica pessoa gente mano moca moco querida amiga"
    # English
    " the an and or of to for in on at with from by is are am be do does did have has had i im you your my me"
    " we our us it its this that these those some any there here want wants wanted need needs looking look find search"
    " show buy get got give please hi hello hey thanks thank would like love can could will what which who how much"
    " under over below above between less than up cheap cheaper item items thing things something product products"
    " s t m re ve ll d"
    # Spanish
    " el los las un unos unas del al y u con hasta para por sobre entre desde este estos esos esas ese mi mis tu tus"
    " su sus yo tengo tienes tiene tienen hay quiero quisiera necesito busca buscamos deseo muestrame muestra mostrame"
    " ensename comprar favor gracias hola que cual cuales donde cuando cuanto algun"
    " alguno alguna algunos algunas algo muy mas menos bajo barato baratos pesos precio producto productos cosa cosas"
    " me gustaria gusta esta estoy es son"
)
STOP: frozenset[str] = frozenset(_STOP.split())
"""Words that say nothing about a product."""

_PRICE = re.compile(
    r"(?:\b(?:ate|hasta|under|below|max(?:imo)?|menos de|less than|abaixo de|por|de|up to)\s+)?"
    r"(?:r\$\s*\d[\d.,]*|\b\d[\d.,]*\s*(?:reais|real|brl|contos?|pilas?)\b)"
    r"|\b(?:ate|hasta|under|below|max(?:imo)?|menos de|less than|abaixo de|up to)\s+(?:r\$\s*)?\d[\d.,]*\b(?!\s*[a-z]*\d)"
)
"""An amount of money said in words: no search term. The caller has a filter for it."""

_SIZE = re.compile(r"\b(?:tamanho|tam|numero|num|nro|n|size|talla|talle)\s+([a-z0-9]{1,4})\b")


_GREETING = re.compile(
    r"\b(?:bom dia|boa tarde|boa noite|buen(?:os|as) (?:dias|tardes|noches)|buen dia|good (?:morning|afternoon|evening))\b"
)

_WITHOUT = frozenset(("sem", "sin", "without"))


@lru_cache(maxsize=65536)
def fold(text: str) -> str:
    """Lower case, without accents: "Calção" is "calcao". What is not Latin is dropped: no product is looked up by it."""
    lowered = text.lower()
    if lowered.isascii():
        return lowered
    return unicodedata.normalize("NFKD", lowered).encode("ascii", "ignore").decode()


def tokens(text: str) -> list[str]:
    """Folded letters and digits, in order; everything else separates."""
    return _TOKEN.findall(fold(text))


def content(text: str) -> list[str]:
    """The folded words of a text that say something. "sem fio" becomes one word: with and without are opposites."""
    return _content(_TOKEN.findall(fold(text)))


def _content(found: list[str]) -> list[str]:
    words: list[str] = []
    without = False
    for token in found:
        if token in _WITHOUT:
            without = True
        elif token not in STOP and (len(token) > 1 or token.isdigit()):
            words.append(f"sem{token}" if without else token)
            without = False
    return words


def question(text: str) -> tuple[list[str], list[str]]:
    """What of a customer's words is worth looking up, and the sizes that they name ("tamanho P", "size 38")."""
    folded = _PRICE.sub(" ", _GREETING.sub(" ", fold(text)))
    sizes = [match.group(1) for match in _SIZE.finditer(folded)]
    return _content(_TOKEN.findall(_SIZE.sub(" ", folded))), sizes


_GENDERED = frozenset(
    [
        "preta",
        "roxa",
        "longa",
        "curta",
        "nova",
        "fina",
        "larga",
        "justa",
        "baixa",
        "alta",
        "seca",
        "doce",
        "macia",
        "lisa",
        "fosca",
        "crua",
        "rasa",
        "reta",
        "solta",
        "leve",
        "preto",
        "roxo",
        "longo",
        "curto",
        "novo",
        "fino",
        "largo",
        "justo",
        "baixo",
        "alto",
        "seco",
        "macio",
        "liso",
        "fosco",
        "cru",
        "raso",
        "reto",
        "solto",
        "roja",
        "rojo",
        "negra",
        "negro",
        "larga",
        "corta",
        "corto",
        "gris",
    ]
)
"""Short adjectives whose last vowel only tells the gender; long words lose it anyway (see `stem`)."""

_WHOLE = frozenset(["tenis", "lapis", "oasis", "gratis", "bus", "plus", "gas", "mais"])


@lru_cache(maxsize=131072)
def stem(word: str) -> str:
    """What number and gender leave of a folded word: "vermelhas", "vermelho" → "vermelh"; "dresses" → "dress"."""
    if len(word) <= 3 or not word.isalpha() or word in _WHOLE:
        return word
    gendered = word in _GENDERED or (word.endswith("s") and word[:-1] in _GENDERED)
    if word.endswith("s") and not word.endswith("ss"):
        if word.endswith(("oes", "aes", "aos")) and len(word) > 4 and word[-4] != "h":
            word = word[:-3] + "ao"
        elif word.endswith(("ais", "eis", "ois", "uis")) and len(word) > 4:
            word = word[:-2] + "l"
        elif word in ("infantis", "juvenis"):
            word = word[:-1] + "l"
        else:
            word = word[:-1]
    if word.endswith("e") and len(word) > 3:
        word = word[:-1]
    elif word.endswith("y") and len(word) > 3:
        word = word[:-1] + "i"
    elif word.endswith("m") and len(word) > 3:
        word = word[:-1] + "n"
    if word.endswith(("a", "o")) and not word.endswith("ao") and (len(word) >= 6 or gendered):
        word = word[:-1]
    return word


def stems(text: str) -> list[str]:
    """Stems of the words of a text that say something."""
    return [stem(word) for word in content(text)]


_SOUNDS: tuple[tuple[str, str], ...] = (
    ("ph", "f"), ("sh", "x"), ("ch", "x"), ("lh", "li"), ("nh", "ni"), ("oo", "u"), ("ee", "i"), ("ss", "s"),
    ("sc", "s"), ("ce", "se"), ("ci", "si"), ("qu", "k"), ("c", "k"), ("z", "s"), ("w", "v"), ("y", "i"), ("h", ""),
    ("ou", "o"), ("ei", "e"),
)  # fmt: skip


@lru_cache(maxsize=65536)
def sound(word: str) -> str:
    """About how a folded word is spoken in Portuguese: "xampu" and "shampoo" come out the same."""
    for written, spoken in _SOUNDS:
        word = word.replace(written, spoken)
    spoken = "".join(c for index, c in enumerate(word) if index == 0 or c != word[index - 1])
    if spoken.endswith(("e", "o")):  # spoken i and u at the end of a word
        spoken = spoken[:-1] + ("i" if spoken[-1] == "e" else "u")
    return spoken[:-1] + "n" if spoken.endswith("m") else spoken


_SIZES: dict[str, str] = {
    alias: key
    for key, aliases in {
        "pp": "pp xs", "p": "p s small pequeno pequena pequenos chico chica", "m": "m medium medio media mediano",
        "g": "g l large grande", "gg": "gg xl xg", "xgg": "xgg xxl eg g2", "u": "u un unico unica unique",
    }.items()
    for alias in aliases.split()
}  # fmt: skip


def size_key(size: str) -> str:
    """One key for a size under its Portuguese, English and Spanish names: "L" and "grande" are "g"; "38" stays."""
    plain = " ".join(tokens(size))
    for prefix in ("tamanho ", "size ", "talla ", "numero "):
        plain = plain.removeprefix(prefix)
    return _SIZES.get(plain, plain.replace(" ", ""))
