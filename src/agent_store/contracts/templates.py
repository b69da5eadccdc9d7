"""The store's WhatsApp message templates: what reaches a customer who has not written for 24 hours.

They are submitted to the platform as they stand here (`agent-store whatsapp templates submit`). Its rules, held by a
test: names are lower case with underscores; a body has at most 1,024 characters, neither begins nor ends with a
variable, and numbers its variables from {{1}} without gaps; a quick reply's title has at most 25 characters.
Source: WhatsApp Business Management API, "Templates".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from agent_store.contracts.common import Language
from agent_store.contracts.whatsapp import OutTemplate, Purpose
from agent_store.kernel.errors import InvalidInput

CODES: dict[Language, str] = {"pt": "pt_BR", "en": "en_US", "es": "es"}
"""The platform's code of each of the store's languages."""
BODY = 1024
"""Characters of a body with its variables filled in."""


@dataclass(frozen=True)
class Template:
    name: str
    category: Literal["UTILITY", "MARKETING"]
    purpose: Purpose
    values: tuple[str, ...]
    """What {{1}}, {{2}} … are, by name."""
    bodies: Mapping[Language, str]
    example: tuple[str, ...]
    """A value for each, for the platform's review."""
    buttons: Mapping[Language, tuple[str, ...]] = field(default_factory=dict[Language, tuple[str, ...]])
    """Titles of its quick replies."""
    payloads: tuple[str, ...] = ()
    """What a tap on each sends back."""

    def filled(self, language: Language, values: Mapping[str, str]) -> str:
        return _VARIABLE.sub(lambda found: values[self.values[int(found[1]) - 1]], self.bodies[language])


_VARIABLE = re.compile(r"\{\{(\d+)\}\}")


def out(name: str, language: Language, values: Mapping[str, str]) -> OutTemplate:
    """A template filled in. Line breaks, tabs and runs of spaces in a value become one space, as the platform demands; what
    would make the body too long is shortened.

    Raises InvalidInput for a template that there is not, or a value that is missing or empty.
    """
    found = TEMPLATES.get(name)
    if found is None:
        raise InvalidInput(f"there is no template {name}: there are {', '.join(sorted(TEMPLATES))}", field="name")
    flat = {key: " ".join(values.get(key, "").split()) for key in found.values}
    missing = [key for key, value in flat.items() if not value]
    if missing:
        raise InvalidInput(f"template {name} needs {', '.join(missing)}", field=missing[0])
    while len(text := found.filled(language, flat)) > BODY:
        longest = max(flat, key=lambda key: len(flat[key]))
        kept = max(1, len(flat[longest]) - (len(text) - BODY) - 1)
        flat[longest] = flat[longest][:kept].rstrip() + "…"
    return OutTemplate(
        name=name,
        language=CODES[language],
        values=tuple(flat[key] for key in found.values),
        buttons=found.payloads,
        text=text,
    )


def _of(*templates: Template) -> dict[str, Template]:
    return {one.name: one for one in templates}


TEMPLATES = _of(
    Template(
        "order_confirmed", "UTILITY", "order", ("number", "total", "promise"),
        {
            "pt": "Pedido {{1}} confirmado ✅ Total: {{2}}. {{3}} Qualquer dúvida, é só responder aqui.",
            "en": "Order {{1}} is confirmed ✅ Total: {{2}}. {{3}} Any question? Just answer here.",
            "es": "Pedido {{1}} confirmado ✅ Total: {{2}}. {{3}} Si tienes dudas, responde aquí.",
        },
        ("AS-10293", "R$ 259,90", "Entrega até 12/03."),
    ),
    Template(
        "order_rejected", "UTILITY", "order", ("number", "money"),
        {
            "pt": "Infelizmente faltou estoque para o pedido {{1}} e ele não pôde ser confirmado. {{2}} Responda aqui para ver alternativas.",
            "en": "Unfortunately stock ran out for order {{1}} and we could not confirm it. {{2}} Answer here to see alternatives.",
            "es": "Lamentablemente faltó stock para el pedido {{1}} y no pudo confirmarse. {{2}} Responde aquí para ver alternativas.",
        },
        ("AS-10293", "Nada foi cobrado."),
    ),
    Template(
        "order_cancelled", "UTILITY", "order", ("number",),
        {
            "pt": "O pedido {{1}} foi cancelado. Se quiser retomar a compra, responda aqui.",
            "en": "Order {{1}} was cancelled. If you want to buy again, answer here.",
            "es": "El pedido {{1}} fue cancelado. Si quieres retomar la compra, responde aquí.",
        },
        ("AS-10293",),
    ),
    Template(
        "order_picked", "UTILITY", "shipping", ("number",),
        {
            "pt": "Seu pedido {{1}} já foi separado e está sendo preparado para sair.",
            "en": "Your order {{1}} has been picked and is being prepared to leave.",
            "es": "Tu pedido {{1}} ya fue preparado y está listo para salir.",
        },
        ("AS-10293",),
    ),
    Template(
        "order_shipped", "UTILITY", "shipping", ("number", "details"),
        {
            "pt": "Seu pedido {{1}} está a caminho 🚚 {{2}} Acompanhe por aqui quando quiser.",
            "en": "Your order {{1}} is on its way 🚚 {{2}} Ask here about it at any time.",
            "es": "Tu pedido {{1}} está en camino 🚚 {{2}} Consulta por aquí cuando quieras.",
        },
        ("AS-10293", "Rastreio: BR123456789BR."),
    ),
    Template(
        "order_ready", "UTILITY", "shipping", ("number", "place"),
        {
            "pt": "Seu pedido {{1}} está pronto para retirada em {{2}}. Leve um documento com foto.",
            "en": "Your order {{1}} is ready for pickup at {{2}}. Please bring a photo ID.",
            "es": "Tu pedido {{1}} está listo para retirar en {{2}}. Lleva un documento con foto.",
        },
        ("AS-10293", "Loja Paulista"),
    ),
    Template(
        "order_delivered", "UTILITY", "shipping", ("number",),
        {
            "pt": "Seu pedido {{1}} foi entregue. Se algo não estiver certo, responda aqui.",
            "en": "Your order {{1}} was delivered. If anything is not right, answer here.",
            "es": "Tu pedido {{1}} fue entregado. Si algo no está bien, responde aquí.",
        },
        ("AS-10293",),
    ),
    Template(
        "payment_due", "UTILITY", "payment", ("number", "total", "link", "until"),
        {
            "pt": "O pedido {{1}} de {{2}} espera o pagamento: {{3}} O link vale até {{4}} (horário de Brasília).",
            "en": "Order {{1}} of {{2}} is waiting for payment: {{3}} The link is valid until {{4}} (Brasília time).",
            "es": "El pedido {{1}} de {{2}} espera el pago: {{3}} El enlace vale hasta las {{4}} (hora de Brasilia).",
        },
        ("AS-10293", "R$ 259,90", "https://loja.example/pay/abc", "15:30"),
    ),
    Template(
        "payment_failed", "UTILITY", "payment", ("number", "reason"),
        {
            "pt": "O pagamento do pedido {{1}} não foi aprovado. {{2}} Responda aqui para tentar de outro jeito.",
            "en": "The payment of order {{1}} did not go through. {{2}} Answer here to try another way.",
            "es": "El pago del pedido {{1}} no fue aprobado. {{2}} Responde aquí para intentar de otra forma.",
        },
        ("AS-10293", "O cartão não tinha limite."),
    ),
    Template(
        "payment_refunded", "UTILITY", "payment", ("amount", "number"),
        {
            "pt": "Estornamos {{1}} do pedido {{2}}. O valor aparece conforme o prazo do seu banco.",
            "en": "We refunded {{1}} of order {{2}}. Your bank decides when it shows up.",
            "es": "Reembolsamos {{1}} del pedido {{2}}. El valor aparece según el plazo de tu banco.",
        },
        ("R$ 259,90", "AS-10293"),
    ),
    Template(
        "conversation_news", "UTILITY", "service", ("shop",),
        {
            "pt": "Temos uma resposta para o seu atendimento em {{1}}. Responda a esta mensagem para continuar.",
            "en": "We have an answer to your request at {{1}}. Reply to this message to go on.",
            "es": "Tenemos una respuesta para tu consulta en {{1}}. Responde a este mensaje para continuar.",
        },
        ("Agent Store",),
    ),
    Template(
        "cart_reminder", "MARKETING", "cart_reminder", ("shop", "items"),
        {
            "pt": "Sua sacola na {{1}} ainda está guardada: {{2}}. Quer que eu finalize para você? Para não receber lembretes, responda SAIR.",
            "en": "Your bag at {{1}} is still here: {{2}}. Shall I check it out for you? To get no more reminders, answer STOP.",
            "es": "Tu bolsa en {{1}} sigue guardada: {{2}}. ¿Quieres que la finalice? Para no recibir recordatorios, responde SALIR.",
        },
        ("Agent Store", "Vestido Midi Aurora, vermelho, P"),
        {"pt": ("Ver minha sacola", "Não receber mais"), "en": ("See my bag", "No more reminders"),
         "es": ("Ver mi bolsa", "No recibir más")},
        ("show_cart", "opt_out"),
    ),
    Template(
        "survey", "MARKETING", "survey", ("number", "shop"),
        {
            "pt": "Como foi a sua compra {{1}} na {{2}}? Sua opinião ajuda a gente a melhorar. Para não receber pesquisas, responda SAIR.",
            "en": "How was your order {{1}} at {{2}}? Your opinion helps us do better. To get no more surveys, answer STOP.",
            "es": "¿Cómo fue tu compra {{1}} en {{2}}? Tu opinión nos ayuda a mejorar. Para no recibir encuestas, responde SALIR.",
        },
        ("AS-10293", "Agent Store"),
        {"pt": ("Gostei", "Poderia ser melhor", "Não receber mais"), "en": ("Liked it", "Could be better", "No more surveys"),
         "es": ("Me gustó", "Podría ser mejor", "No recibir más")},
        ("survey:good", "survey:bad", "opt_out"),
    ),
)  # fmt: skip
