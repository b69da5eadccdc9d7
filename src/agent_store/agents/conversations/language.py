"""Which language a customer writes: Portuguese, English or Spanish, from the words themselves.

Deterministic and small on purpose: it runs on every message. Words that two of the three share count for neither.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from agent_store.agents.conversations.words import squeeze, tokens
from agent_store.contracts.common import Language

_STRONG = 2
_WEAK = 1
SWITCH_MARGIN = 3
"""A conversation changes its language only for a message that says so with about two words."""

_WORDS: dict[Language, tuple[str, str]] = {
    "pt": (
        # strong: only Portuguese has them
        """oi oie nao voce voces vc vcs tem temos tenho quero queria gostaria obrigado obrigada obg valeu blz beleza
        bom boa dia tarde noite tudo ate reais real um uma uns umas meu minha meus minhas esse essa isso aquele aquela
        qual quais quanto quanta quantos onde quando porque pra pro pras pros com sem mais muito muita sim dele dela
        eu ele ela eles elas nos voces estou esta ta tava sou somos ser fazer faz faco posso pode podem consigo
        preciso procuro procurando vestido vestidos vermelho vermelha azul preto preta branco branca amarelo amarela
        verde rosa roxo cinza sapato sapatos tenis camisa calca calcas blusa saia casaco jaqueta bolsa brinco brincos
        celular fone fones ouvido carregador teclado tela cadeira mesa sofa cama tapete almofada quadro luminaria
        batom perfume hidratante rosto pele cabelo sabonete esmalte jogo jogos controle presente mae pai filha filho
        namorada namorado esposa marido amiga amigo barato barata caro cara preco valor frete entrega retirar loja
        carrinho compra comprar pagar pagamento boleto pix cartao pedido endereco rua cep tamanho cor numero
        ainda agora depois hoje amanha entao mas tambem so ja aqui ali alguma algum nenhum nada outro outra
        gostei adorei amei manda mandar mostra mostrar ver olhar falar pessoa atendente tchau ola vlw""",
        # weak: Portuguese as a rule, but short or shared
        "o os em no na nos nas do da dos das ao aos e ou pelo pela nossa nosso ei opa",
    ),
    "en": (
        """hi hello hey the you your yours are is am was were have has had does did can could would should want need
        looking look show find buy price cheap cheaper expensive how much many what which where when who why please
        thanks thank yes yeah good morning afternoon evening i im my we they them this that these those with
        without and but or not dont doesnt some any there here it its of from under below less than more about
        dress dresses shirt shirts shoes shoe skirt jacket coat bag earrings red blue black white yellow green pink
        purple gray grey size color colour gift mother mom father dad daughter son girlfriend boyfriend wife husband
        friend headphones phone charger keyboard screen laptop chair table sofa bed rug pillow lamp lipstick perfume
        skin hair soap game games controller order shipping delivery pickup store cart pay payment card address
        speak talk human person someone agent tell give get like love something else another one two also just
        really right now today tomorrow bye great cancel back help""",
        "to in on at an by for so if up go",
    ),
    "es": (
        """hola buenas buenos dias tardes noches gracias quiero quisiera busco tienes tiene tienen tengo necesito
        usted ustedes tu yo el los las un unos una unas y pero si tambien con sin muy mucho mucha esta este esto ese
        eso aquel cual cuales cuanto cuanta cuantos donde cuando porque hasta mas menos rojo roja azul negro negra
        blanco blanca amarillo amarilla verde rosado morado gris zapatos zapato zapatillas camisa pantalon pantalones
        blusa falda chaqueta abrigo bolso aretes pendientes celular auriculares cargador teclado pantalla silla
        sofa cama alfombra almohada cuadro lampara labial piel cabello jabon esmalte juego juegos mando regalo madre
        padre hija hijo novia novio esposa esposo amiga amigo barato caro precio envio entrega recoger tienda carrito
        comprar pagar pago tarjeta pedido direccion calle talla talle tamano color hoy manana ahora despues entonces
        solo ya alli aqui alguna alguno algun ninguno nada otro otra gusta gusto encanta muestrame mostrar ver mirar
        hablar persona adios hay puedo puede pueden hacer soy estoy es vestido vestidos vale""",
        "la lo le en del al y o me te se su sus mi mis",
    ),
}

_ENDINGS: tuple[tuple[str, Language, int], ...] = (
    ("ção", "pt", _STRONG),
    ("ções", "pt", _STRONG),
    ("ão", "pt", _STRONG),
    ("õe", "pt", _STRONG),
    ("inho", "pt", _STRONG),
    ("inha", "pt", _STRONG),
    ("ción", "es", _STRONG),
    ("ciones", "es", _STRONG),
    ("illo", "es", _WEAK),
    ("illa", "es", _WEAK),
    ("ing", "en", _WEAK),
    ("n't", "en", _STRONG),
)
_LETTERS: Mapping[str, Language] = {
    "ã": "pt", "õ": "pt", "ç": "pt", "ê": "pt", "ô": "pt", "â": "pt", "à": "pt", "ñ": "es", "¿": "es", "¡": "es",
}  # fmt: skip
_ACCENTED: dict[str, Language | None] = {
    "olá": "pt",
    "está": None,
    "é": "pt",
    "você": "pt",
    "sí": "es",
    "día": "es",
    "qué": "es",
    "cuál": "es",
}
_PHRASES: tuple[tuple[re.Pattern[str], Language], ...] = (
    (re.compile(r"\bdo you\b|\bi'?m\b|\bi'?d\b|\bhow much\b", re.IGNORECASE), "en"),
    (re.compile(r"\bbuen[oa]s\s+(d[ií]as|tardes|noches)\b", re.IGNORECASE), "es"),
    (re.compile(r"\b(bom dia|boa tarde|boa noite|tudo bem)\b", re.IGNORECASE), "pt"),
)


def _weights() -> dict[str, dict[Language, int]]:
    found: dict[str, dict[Language, int]] = {}
    for language, (strong, weak) in _WORDS.items():
        for word in strong.split():
            found.setdefault(word, {})[language] = _STRONG
        for word in weak.split():
            found.setdefault(word, {}).setdefault(language, _WEAK)
    # "ola" without its accent is written by both neighbours, "no" and "me" by all three.
    for shared in ("ola", "no", "me", "a", "as", "do"):
        found.pop(shared, None)
    return found


_WEIGHTS = _weights()


def scores(text: str) -> dict[Language, int]:
    """Evidence for each language; zero everywhere for numbers, emoji and words that nobody owns."""
    total: dict[Language, int] = {"pt": 0, "en": 0, "es": 0}
    for word in tokens(text):
        weights = _WEIGHTS.get(word) or _WEIGHTS.get(squeeze(word))
        if not weights:
            continue
        best = max(weights.values())
        owners: list[Language] = [language for language, weight in weights.items() if weight == best]
        for language in owners:
            # A word that two share speaks only against the third.
            total[language] += best if len(owners) == 1 else _WEAK
    lowered = text.casefold()
    for letter, whose in _LETTERS.items():
        if letter in lowered:
            total[whose] += _STRONG
    for word in re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", lowered):
        owner = _ACCENTED.get(word)
        if owner is not None:
            total[owner] += _STRONG
        for ending, whose, weight in _ENDINGS:
            if len(word) > len(ending) + 1 and word.endswith(ending):
                total[whose] += weight
                break
    for phrase, whose in _PHRASES:
        if phrase.search(text):
            total[whose] += _STRONG
    return total


def listen(text: str, current: Language | None = None) -> tuple[Language, bool]:
    """The language of a message, and whether its words said so."""
    found = scores(text)
    ranked: list[Language] = sorted(found, key=lambda language: -found[language])
    best, second = ranked[0], ranked[1]
    margin = found[best] - found[second]
    if current is None:
        return (best if margin > 0 or found["pt"] < found[best] else "pt"), margin > 0
    if best == current or found[best] - found[current] < SWITCH_MARGIN or margin == 0:
        return current, best == current and margin > 0
    return best, True


def detect(text: str, current: Language | None = None) -> Language:
    """The language of a message. Short or ambiguous ones ("ok", "4242", "top!") keep `current`, else Portuguese."""
    return listen(text, current)[0]
