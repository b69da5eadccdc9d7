"""Wishes that conversations hears itself, before any brain: a person, please; back to the assistant; no more reminders."""

from __future__ import annotations

import re

from agent_store.agents.conversations.words import one_typo, tokens

PERSON_PAYLOAD = "person"
BOT_PAYLOAD = "bot"

_VOCABULARY = frozenset(
    {
        "falar", "conversar", "pessoa", "pessoas", "humano", "humana", "atendente", "atendentes", "alguem", "vendedor",
        "vendedora", "gerente", "persona", "agente", "hablar", "human", "person", "someone", "somebody",
        "representative", "manager", "quero", "quiero", "chama", "transfere", "asesor", "atendimento", "personal",
        "humanos", "agent", "agents", "humans", "persons", "fala", "falo", "falta", "algum", "agentes", "personas", "pessoal",
    }
)  # fmt: skip
_CORRECTABLE = frozenset(
    {
        "pessoa", "humano", "humana", "atendente", "alguem", "vendedor", "vendedora", "gerente", "persona", "agente",
        "human", "person", "someone", "somebody", "representative", "conversar", "falar", "hablar",
    }
)  # fmt: skip
_BY_LETTER: dict[str, list[str]] = {}
for _word in sorted(_CORRECTABLE):
    _BY_LETTER.setdefault(_word[0], []).append(_word)

_WHO_PT = (
    r"(pessoas?|human[oa]s?|ser humano|atendentes?|alguem|vendedora?|gerente|responsavel|gente de verdade|"
    r"gente real|suporte|operadora?|consultora?|dono|dona)"
)
_WHO_EN = (
    r"(humans?|persons?|people|someone|somebody|agent|representative|rep|manager|seller|salesperson|operator|"
    r"advisor|assistant manager|supervisor|staff|employee)"
)
_WHO_ES = r"(personas?|human[oa]s?|ser humano|agentes?|asesora?|alguien|encargad[oa]|gerente|vendedora?|operadora?)"
_WHO = re.compile(rf"\b({_WHO_PT}|{_WHO_EN}|{_WHO_ES}|atendimento|atencion|live|real)\b")
_BETWEEN = r"( (com|a|o|um|uma|algum|alguma|outra|outro|essa|real|de|verdade|por|favor|so|vc|a|ai|mesmo))*"

_ASKS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b(falar|falo|conversar|converso|tratar|contato|atendid[oa]|fala)\b( \w+)?( com| por){_BETWEEN} {_WHO_PT}\b",
        r"\b(chama|chame|chamar|passa|passe|transfere|transfira|transferir|encaminha|encaminhe|cade|tem|me ve)\b"
        r"( me| eu| pra| para| com| a| o| um| uma| algum| alguma)* (human[oa]s?|atendentes?|pessoa de verdade|pessoa real|"
        r"gerente|gente de verdade|vendedora? de verdade)\b",
        r"\b(quero|queria|preciso|preciso de|gostaria de|desejo|prefiro)( um| uma| de| o| a| ter| algum)*"
        r" (atendente|human[oa]|atendimento humano|pessoa de verdade|pessoa real|gerente)\b",
        r"\batendimento (humano|pessoal|com (uma )?pessoa)\b|\bpessoa (de verdade|real) por favor\b",
        rf"\b(talk|speak|chat|connect|transfer|speaking|talking|put)\b( me)?( through)? (to|with)"
        rf"( (a|an|some|the|your|any|one of your|real|actual|live|another))* {_WHO_EN}\b",
        r"\b(want|need|get me|give me|is there|can i have|call)( to have)?( a| an| some| the| your)*( real| actual| live)*"
        r" (human|real person|agent|representative|live person|operator|manager)\b",
        r"\b(real|live|actual) (person|human|agent) please\b|\bhuman (agent|support|help|please)\b",
        rf"\b(hablar|hablo|chatear|conversar|comunicarme|comunicar|contactar|atienda|pasame|paseme|comuniqueme)\b( \w+)?"
        rf"( con| a)?( (una|un|el|la|algun|alguna|otra|su))* {_WHO_ES}\b( real| de verdad)?",
        r"\b(quiero|necesito|prefiero|deseo)( a| un| una| hablar con)* (agente|human[oa]|asesora?|persona real|"
        r"persona de verdad|atencion humana|encargad[oa])\b|\batencion humana\b",
    )
)
_ALONE = re.compile(
    r"(um |uma |a |o |an |un |una )?(atendentes?|human[oa]|humans?|atendimento humano|pessoa de verdade|pessoa real|real person|"
    r"live agent|human agent|representative|agente humano|agente|agent|asesor|persona real|gerente|manager|operator)"
    r"( por favor| pfv?| please| pls)?"
)
_NO = re.compile(
    r"\b(nao|not|dont|no|sem|sin|without|nem)\b( precisa| precisava| really| quero| quiero)?"
    r" (falar|conversar|preciso|quero|talk|speak|need|want|hablar|quiero|necesito|atendente|human|humano|chamar)\b"
)
_CLAUSE = re.compile(r"[.,;:!?¡¿\n]+")
_BACK = re.compile(
    r"(quero |queria |pode |prefiro |i want to |want to |let me |quiero |prefiero )?"
    r"(voltar|volta|cancelar|cancela|cancel|continuar|continua|continue|seguir|sigue|go back|back|volver|regresar|"
    r"deixa pra la|deixa|never ?mind|dejalo|olvidalo|esquece)"
    r"( com| ao| para| pra| o| a| with| to| the| al| con| el| la| agora| now| por favor| please)*"
    r"( assistente| atendimento virtual| robo| bot| assistant| asistente| robot| virtual| automatico)?( por favor| please)?"
)


def _plain(text: str) -> str:
    words: list[str] = []
    for word in tokens(text.replace("'", "").replace("’", "")):
        if len(word) >= 4 and word not in _VOCABULARY:
            word = next((meant for meant in _BY_LETTER.get(word[0], ()) if one_typo(word, meant)), word)
        words.append(word)
    return " ".join(words)


def wants_person(text: str, payload: str | None = None) -> bool:
    """ "Quero falar com um atendente", "talk to a human", "un agente, por favor": with a typo too, not when denied."""
    if payload is not None:
        return payload == PERSON_PAYLOAD
    if len(text) > 600:
        return False
    whole = _plain(text)
    if not _WHO.search(whole):
        return False  # nearly every message: nobody is named that one could talk to
    if _ALONE.fullmatch(whole):
        return True
    # By clauses, so that "não, quero falar com alguém" is no denial.
    return any(
        not _NO.search(said) and any(pattern.search(said) for pattern in _ASKS)
        for said in map(_plain, _CLAUSE.split(text))
    )


def wants_bot(text: str, payload: str | None = None) -> bool:
    """While nobody has claimed it: "voltar", "cancelar", "continue with the assistant" as the whole message."""
    if payload is not None:
        return payload == BOT_PAYLOAD
    return _BACK.fullmatch(_plain(text)) is not None


# --- reminders, surveys and offers: no, or yes

OPT_OUT_PAYLOAD = "opt_out"
OPT_IN_PAYLOAD = "opt_in"

_THINGS = (
    r"(mensage(m|ns)|msgs?|ofertas?|promoc(ao|oes)|lembretes?|pesquisas?|propagandas?|novidades|avisos|messages?|offers?|"
    r"promotions?|promos?|reminders?|surveys?|texts|news|updates|marketing|mensajes?|promociones|recordatorios?|encuestas?|"
    r"novedades|publicidad)"
)
_MANY = (
    rf"((as|os|suas|seus|essas|estas|esses|mais|minhas|the|your|any|more|all|los|las|sus|esos|estos|mas|de) )*{_THINGS}"
)
_SOME = rf"{_MANY}(( e| and| y| ou| or| o)? {_MANY})*"
_PLEASE = r"( (por favor|pfv?|please|pls|obrigad[oa]|thanks|thank you|gracias))?"

_OUT = re.compile(
    r"(sair|parar|pare|descadastrar|descadastre|me descadastr[ae]|quero me descadastrar|cancelar (a )?(inscricao|assinatura)|"
    r"stop|stop ?all|unsubscribe( me)?|opt(ing)? ?out|i want to (opt out|unsubscribe)|cancel (my )?subscription|"
    r"salir|baja|dar(me|se)? de baja|(quiero|quisiera) dar(me|se) de baja|dame de baja|desuscribir(me|se)?|"
    r"cancelar (la |mi )?suscripcion|"
    r"((quero|quiero) )?(sair|salir|me remov[ae]|me tir[ae]|remove me|take me off|sacame|quitame|eliminame)"
    r"( (da|dessa|desta|de|from|la|esta|sua|su|the|your|this|mailing))+ (lista|list)|"
    rf"(cancel(ar|a|e)?|par(ar|e)|stop|deten(er|gan)|suspender|unsubscribe from)( (de|com|con))?"
    rf"( (me |nos )?(receber|mandar|enviar|sending|getting|receiving|recibir))?( me)? {_SOME}|"
    rf"(par(ar|e|em)|stop|deja|dejen|dejar) (de )?(me )?(mandar|enviar|enviarme|mandarme|sending( me)?|texting( me)?) {_SOME}|"
    rf"(eu |yo |i )?(nao|no|dont|do not) (quero|queria|quiero|deseo|desejo|want( to)?)( mais| mas)?"
    rf"( (receber|recibir|get|receive|mais|mas|any))* {_SOME}|"
    rf"(nao|no|nunca) (receber|recibir) ((mais|mas)( {_SOME})?|{_SOME})|no more {_THINGS}|nao (me )?(envie|envia|mande|manda)m?( mais)? {_SOME})"
    rf"{_PLEASE}"
)
_IN = re.compile(
    r"(voltar a receber|volver a recibir|re ?subscribe|subscribe( me)?|unstop|opt ?in|i want to (opt in|subscribe)|"
    r"(quero )?me inscrever|inscrever|suscribir(me|se)?|(quiero )?suscribirme|dar(me|se)? de alta|"
    rf"(eu |yo )?((quero|quiero)( sim| si)? )?(voltar a |volver a )?(receber|recibir)( de novo| otra vez)? {_SOME}|"
    rf"(i want( to)? |start |resume )((get|getting|receive|receiving) )*{_SOME})"
    rf"{_PLEASE}"
)
_BACK_AGAIN = re.compile(rf"(start|quero receber|quiero recibir){_PLEASE}")
_LONGEST_WISH = 80


def wants_contact(text: str, payload: str | None = None, *, opted_out: bool = False) -> bool | None:
    """False: no reminders, surveys and offers any more; True: they are welcome; None: the message is about something else.

    It has to be the whole message: "quero sair com esse vestido" is none, and "cancelar" alone is about an order.
    "Start" begins many a chat and "quero receber" answers "delivery or pickup?": these two are a yes in capitals, as one copies
    an instruction, or from a customer who had said no.
    """
    if payload is not None:
        return {OPT_OUT_PAYLOAD: False, OPT_IN_PAYLOAD: True}.get(payload)
    if not text or len(text) > _LONGEST_WISH:
        return None
    said = " ".join(tokens(text.replace("'", "").replace("’", "")))
    if _OUT.fullmatch(said):
        return False
    if _IN.fullmatch(said):
        return True
    if _BACK_AGAIN.fullmatch(said) and (opted_out or text.isupper()):
        return True
    return None
