"""How angry a customer is, by a small lexicon: 0 furious … 1 delighted. Under `ANGRY` a person takes over.

Anger has to be said to the shop. Profanity that praises ("caralho, que lindo"), rubbish bins ("lixeira") and a "not
bad" are no anger: so a weak word never escalates alone, praise takes back, and a negation before a cue cancels it.
"""

from __future__ import annotations

import re
from functools import cache

from agent_store.agents.conversations.words import fold

NEUTRAL = 0.6
ANGRY = 0.3
"""Scores below it bring a person (events.md: chat.sentiment.changed)."""

_STRONG = (
    # Portuguese
    r"(voces?|vcs?|loja|empresa|site|robo|bot|atendimento|isso|isto|tudo|bando de|cambada de|seus?|sua)"
    r"( aqui)?( e| sao| esta| ta)?( uns?| umas?| um| uma| so| so uns| pra la de)?"
    r" (ladr(ao|oes|a)|golpistas?|estelionatari[oa]s?|safad[oa]s?|palhac(os?|ada)|idiotas?|imbec(il|eis)|burr[oa]s?|"
    r"lixo|merda|bosta|porcaria|golpe|fraude|picaretas?|incompetentes?|inut(il|eis)|desonest[oa]s|vergonha|"
    r"absurdo|desrespeito|descaso|engana(cao|dor(es)?))\b",
    r"\bque (palhacada|vergonha|desrespeito|descaso|falta de respeito|sacanagem)\b|"
    r"\bque (lixo|merda|bosta|porcaria) de (atendimento|servico|loja|empresa|site|robo|bot)\b",
    r"\b(vai|vao|va) (se|te) (fod(er|e)|lascar|ferrar|catar)\b|\bvai tomar\b|\bvtnc\b|\bvsf\b|\bfdp\b|\btnc\b",
    r"\bfilh[oa]s? d[ae] (puta|mae)\b|\bputa que (o |te |vos )?pariu\b.*\b(demora|errad|atras|dinheiro|resposta)",
    r"\b(vou|irei) (te |voces? |vcs? |a voces? )?(processar|denunciar|chamar a policia|no procon|ao procon)|"
    r"\bprocon\b|\breclame ?aqui\b|\bvou (abrir|entrar com) (um )?(processo|boletim)|\bmeu advogado\b",
    r"\bestou (muito |super |bem |completamente )?(furios[oa]|indignad[oa]|revoltad[oa]|put[oa]( da vida)?|possess[oa])\b|"
    r"\bt(o|ou) (muito |bem )?(put[oa]|furios[oa]|indignad[oa]|revoltad[oa])\b",
    r"\b(pessim[oa]|horrivel|lixo de|merda de|bosta de|porcaria de) (atendimento|servico|loja|empresa|site|robo|bot)\b|"
    r"\b(atendimento|servico|loja|empresa|site) (e |esta |ta |muito |e um |e uma )*(pessim[oa]|horrivel|lixo|ridicul[oa])\b",
    r"\bnunca mais (compro|volto|quero|vou comprar|piso)\b|\bcansei de (voces|esperar|tudo isso|ser enganad[oa])\b|"
    r"\bme (enganaram|roubaram|fizeram de (trouxa|idiota|palhac[oa]))\b|\bquero (o )?meu dinheiro (de volta )?(agora|ja)\b",
    # English
    r"\b(you|u|ur|you are|youre|this is|this shop is|this store is|what) ?(guys |people |all )?(are |is )?(just |such |so |"
    r"nothing but |all |fucking |bloody )*(a |an )?(bunch of )?(total |complete |fucking |bloody )?(idiots?|morons?|"
    r"thie(f|ves)|crooks?|scam(mers?)?|liars?|useless|incompetent|joke|disgrace|rip ?off|fraud(s|sters)?|garbage|trash|"
    r"crap|bullshit|outrageous|ridiculous|unacceptable)\b",
    r"\bfuck (you|off|this|your)\b|\bscrew you\b|\bgo to hell\b|\bpiece of (shit|crap)\b|\bwtf is (this|wrong)\b|\bassholes?\b",
    r"\b(worst|terrible|horrible|awful|disgusting|appalling) (ever )?(service|store|shop|experience|company|support)\b|"
    r"\b(service|shop|store|support) is (so |really |absolutely )?(terrible|horrible|awful|disgusting|a joke|useless)\b",
    r"\b(im|i am) (so |really |very |absolutely |extremely |fucking )*(furious|livid|pissed( off)?|outraged|fed up|"
    r"sick of (this|you))\b|\bi hate (you|this (shop|store|bot|company|service))\b",
    r"\b(i will|ill|im going to|gonna) (sue|report) (you|this)\b|\bmy lawyer\b|\bnever (buy|buying|shop|shopping) (from|here)"
    r"|\bi want my money back (now|immediately|right now)\b|\byou (robbed|scammed|cheated|lied to) me\b",
    # Spanish
    r"\b(ustedes|uds|tienda|empresa|sitio|servicio|esto|son|eres|bola de|manga de|robot|bot|su)( aqui)?( es| son| esta)?"
    r"( unos?| unas?| un| una| puros)? (ladron(es)?|estafador(es)?|estafa|idiotas?|imbecil(es)?|payasos?|basura|mierda|"
    r"porqueria|inutil(es)?|incompetentes?|mentiros[oa]s|fraude|verguenza|robo|asco|burla|inaceptable)\b",
    r"\b(vete|vayanse|andate) (a la mierda|al diablo|al carajo)\b|\bhij[oa]s? de puta\b|\bhdp\b|\bchinga(te|r|da)?\b|"
    r"\bque te jodan\b|\bjodete\b",
    r"\b(pesim[oa]|horrible|maldit[oa]) (servicio|atencion|tienda|empresa|robot|bot)\b|"
    r"\b(servicio|atencion|tienda) (es |esta |muy |es un |es una )*(pesim[oa]|horrible|basura|asco)\b",
    r"\bestoy (muy |super |bien |realmente )?(furios[oa]|indignad[oa]|hart[oa]|enojad[oa]|molest[oa] con)\b|"
    r"\b(los|les|te) voy a (demandar|denunciar)\b|\bvoy a (demandar|denunciar)(los|te|les)?\b|\bmi abogado\b|\bprofeco\b",
    r"\bnunca mas (compro|vuelvo|les compro)\b|\bme (robaron|estafaron|enganaron|mintieron)\b|"
    r"\bquiero mi dinero (de vuelta )?(ya|ahora)\b",
)
_WEAK = (
    r"\babsurdo\b|\bridicul[oa]\b|\bpessim[oa]\b|\bhorrivel\b|\bdecepcionad[oa]\b|\bdecepcao\b|\bdemora(ndo)?\b.*\bdemais\b|"
    r"\bpalhacada\b|\bmerda\b|\bporra\b|\bcaralho\b|\bodeio\b|\braiva\b|\birritad[oa]\b|\bninguem (me )?responde\b|"
    r"\bque saco\b|\bsacanagem\b|\bvergonhos[oa]\b|\bnao funciona\b",
    r"\bridiculous\b|\bterrible\b|\bhorrible\b|\bawful\b|\bunacceptable\b|\bdisappoint(ed|ing)\b|\bannoy(ed|ing)\b|"
    r"\bfrustrat(ed|ing)\b|\bshit\b|\bfuck(ing)?\b|\bdamn\b|\bhate\b|\bangry\b|\bnobody (answers|replies)\b|\bwaste of\b",
    r"\bridicul[oa]\b|\bpesim[oa]\b|\bhorrible\b|\bmolest[oa]\b|\bdecepcion(ad[oa])?\b|\bmierda\b|\bcarajo\b|\bodio\b|"
    r"\bnadie (me )?(responde|contesta)\b|\binaceptable\b|\bno sirve\b",
)
_PRAISE = re.compile(
    r"\b(lind[oa]s?|maravilhos[oa]s?|amei|adorei|amo|otim[oa]s?|perfeit[oa]s?|excelentes?|show|top|massa|incrive(l|is)|"
    r"obrigad[oa]|valeu|parabens|gostei|barat[oa]|gracinha|love|loved|great|awesome|amazing|beautiful|nice|perfect|"
    r"thanks|thank you|gorgeous|cool|hermos[oa]s?|encant(a|o)|bonit[oa]s?|perfect[oa]|genial|gracias|increible|"
    r"k{3,}|(ha){2,}|(rs){2,}|(je){2,}|lol)\b|[❤😍🥰😊😀😁😂🤣👏👍💕💖✨🎉]"
)
_NOT = re.compile(r"\b(nao|nem|sem|not|isnt|arent|dont|never said|no|ni|sin|nada)( \w+)?\s*$")
_SHOUT = re.compile(r"[A-ZÁÉÍÓÚÂÊÔÃÕÇÑ]{4,}")


@cache
def _compiled() -> tuple[tuple[re.Pattern[str], ...], tuple[re.Pattern[str], ...]]:
    """Strong and weak cues; at the first message and not at import, since it takes some 15 ms."""
    return tuple(map(re.compile, _STRONG)), tuple(map(re.compile, _WEAK))


def _cues(patterns: tuple[re.Pattern[str], ...], text: str) -> int:
    return sum(
        1
        for pattern in patterns
        for match in pattern.finditer(text)
        if not _NOT.search(text[max(0, match.start() - 24) : match.start()])
    )


def score(text: str) -> float:
    """0 (furious) … 1 (delighted); `NEUTRAL` when nothing is felt. The same text gives the same score."""
    folded = re.sub(r"\s+", " ", re.sub(r"['’`´.,;:!?¡¿()\"*_-]", " ", fold(text).replace("'", "").replace("’", "")))
    strong_cues, weak_cues = _compiled()
    strong = _cues(strong_cues, folded)
    weak = min(3, _cues(weak_cues, folded))
    praise = min(3, len(_PRAISE.findall(folded)))
    value = NEUTRAL - 0.4 * strong - 0.11 * weak + 0.12 * praise
    if (strong or weak >= 2) and not praise:
        loud = len(_SHOUT.findall(text)) >= 2 or "!!!" in text
        value -= 0.12 if loud else 0.0
    return round(min(1.0, max(0.0, value)), 3)
