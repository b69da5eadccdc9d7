"""Everything that conversations itself says, in Portuguese, English and Spanish. Sellers have their own words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone

from agent_store.contracts.common import Language

BRAZIL = timezone(timedelta(hours=-3))
"""Brasília time. Brazil has had no daylight saving since 2019 (Decreto 9.772), so no time zone data is needed."""

TEXTS: Mapping[str, Mapping[Language, str]] = {
    # --- finding the shop
    "which_brand": {
        "pt": "Oi! Que bom ter você aqui 😊 Com qual das nossas lojas você quer falar?",
        "en": "Hi! Lovely to have you here 😊 Which of our shops would you like?",
        "es": "¡Hola! Qué bueno tenerte aquí 😊 ¿Con cuál de nuestras tiendas quieres hablar?",
    },
    "which_brand_again": {
        "pt": "Ainda não sei qual loja é a certa para isso. Toque em uma delas, por favor:",
        "en": "I'm not sure yet which shop is right for that. Please tap one of them:",
        "es": "Todavía no sé cuál tienda es la indicada. Toca una de ellas, por favor:",
    },
    "which_brand_button": {"pt": "Ver lojas", "en": "See shops", "es": "Ver tiendas"},
    "no_shop_open": {
        "pt": "Nossas lojas estão fechadas agora. Sua mensagem ficou guardada e respondemos assim que abrirmos.",
        "en": "Our shops are closed right now. We've kept your message and will answer as soon as we open.",
        "es": "Nuestras tiendas están cerradas ahora. Guardamos tu mensaje y te respondemos en cuanto abramos.",
    },
    # --- what stands on a button, or above one, when the speaker gave no words
    "open_page": {"pt": "Abrir", "en": "Open", "es": "Abrir"},
    "where_are_you": {
        "pt": "Onde você está? Toque abaixo para mandar a sua localização.",
        "en": "Where are you? Tap below to send your location.",
        "es": "¿Dónde estás? Toca abajo para enviar tu ubicación.",
    },
    # --- what cannot be read
    "cannot_read": {
        "pt": "Obrigado! Por enquanto eu só consigo ler textos e botões. Me conta em palavras o que você procura?",
        "en": "Thank you! For now I can only read text and buttons. Could you tell me in words what you're looking for?",
        "es": "¡Gracias! Por ahora solo puedo leer textos y botones. ¿Me cuentas con palabras qué buscas?",
    },
    "cannot_listen": {
        "pt": "Recebi seu áudio, mas por aqui não consigo ouvir 🙏 Pode me escrever o que você disse?",
        "en": "I got your voice message, but I can't listen to it here 🙏 Could you write me what you said?",
        "es": "Recibí tu audio, pero por aquí no puedo escucharlo 🙏 ¿Me escribes lo que dijiste?",
    },
    "cannot_see": {
        "pt": "Recebi sua foto, mas por aqui não consigo ver imagens 🙏 Me conta em palavras o que você procura?",
        "en": "I got your picture, but I can't look at images here 🙏 Could you tell me in words what you're looking for?",
        "es": "Recibí tu foto, pero por aquí no puedo ver imágenes 🙏 ¿Me cuentas con palabras qué buscas?",
    },
    "file_too_large": {
        "pt": "O arquivo que você mandou é grande demais para mim. Pode mandar um menor, ou me escrever?",
        "en": "The file you sent is too large for me. Could you send a smaller one, or write to me?",
        "es": "El archivo que enviaste es demasiado grande para mí. ¿Me envías uno más pequeño, o me escribes?",
    },
    "file_refused": {
        "pt": "Não consigo abrir esse tipo de arquivo. Pode me escrever o que você procura?",
        "en": "I can't open that kind of file. Could you write me what you're looking for?",
        "es": "No puedo abrir ese tipo de archivo. ¿Me escribes qué buscas?",
    },
    "file_failed": {
        "pt": "O que você mandou não chegou inteiro até mim. Pode mandar de novo, ou me escrever?",
        "en": "What you sent didn't quite reach me. Could you send it again, or write to me?",
        "es": "Lo que enviaste no me llegó completo. ¿Lo envías de nuevo, o me escribes?",
    },
    "hasty": {
        "pt": "Recebi tudo! Chegou bastante coisa de uma vez: leio com calma e já respondo tudo junto, em até um minutinho 🙂",
        "en": "I've got it all! That was quite a lot at once: I'll read it and answer everything together in about a minute 🙂",
        "es": "¡Recibí todo! Llegó mucho de una vez: lo leo con calma y te respondo todo junto en un minutito 🙂",
    },
    # --- people
    "waiting_asked": {
        "pt": "Claro! Já chamei uma pessoa da nossa equipe, ela responde aqui mesmo. Até lá eu fico em silêncio.",
        "en": "Of course! I've called someone from our team, they'll answer right here. I'll stay quiet until then.",
        "es": "¡Claro! Ya llamé a una persona de nuestro equipo, te responde por aquí. Mientras tanto guardo silencio.",
    },
    "waiting_sentiment": {
        "pt": "Sinto muito por isso. Quero que você seja bem cuidado: chamei uma pessoa da nossa equipe, ela responde aqui.",
        "en": "I'm really sorry about this. I want you to be well looked after: I've called someone from our team, they'll "
        "answer here.",
        "es": "Lamento mucho esto. Quiero que te atiendan bien: llamé a una persona de nuestro equipo, te responde por aquí.",
    },
    "waiting_failed": {
        "pt": "Desculpe, não consegui te responder direito. Já chamei uma pessoa da nossa equipe, ela responde aqui mesmo.",
        "en": "Sorry, I couldn't give you a proper answer. I've called someone from our team, they'll answer right here.",
        "es": "Perdona, no pude responderte bien. Ya llamé a una persona de nuestro equipo, te responde por aquí.",
    },
    "waiting_other": {
        "pt": "Isso merece uma pessoa de verdade: já chamei alguém da nossa equipe, que responde aqui mesmo.",
        "en": "This deserves a real person: I've called someone from our team, who'll answer right here.",
        "es": "Esto merece una persona de verdad: ya llamé a alguien de nuestro equipo, que te responde por aquí.",
    },
    "waiting_back": {"pt": "Voltar ao assistente", "en": "Back to assistant", "es": "Volver al asistente"},
    "person_here": {
        "pt": "{person} está com você agora 👋",
        "en": "{person} is with you now 👋",
        "es": "{person} está contigo ahora 👋",
    },
    "bot_again_seller": {
        "pt": "{seller} de volta com você! Em que posso ajudar?",
        "en": "It's {seller} again! How can I help?",
        "es": "¡{seller} de vuelta contigo! ¿En qué te ayudo?",
    },
    "bot_again": {
        "pt": "Estou de volta com você! Em que posso ajudar?",
        "en": "I'm back with you! How can I help?",
        "es": "¡Estoy de vuelta contigo! ¿En qué te ayudo?",
    },
    # --- reminders, surveys and offers: no, yes, an answer
    "opted_out": {
        "pt": "Pronto: você não recebe mais lembretes, pesquisas e ofertas. Avisos dos seus pedidos continuam, e aqui a gente "
        "segue respondendo. Para voltar a receber, escreva *VOLTAR A RECEBER*.",
        "en": "Done: no more reminders, surveys and offers. You'll still get news of your orders, and we go on answering "
        "here. To get them again, write *OPT IN*.",
        "es": "Listo: ya no recibes recordatorios, encuestas ni ofertas. Los avisos de tus pedidos continúan, y aquí te "
        "seguimos respondiendo. Para volver a recibirlos, escribe *VOLVER A RECIBIR*.",
    },
    "opted_in": {
        "pt": "Combinado: você recebe nossos lembretes, pesquisas e ofertas. Para parar quando quiser, escreva *SAIR*.",
        "en": "All right: you'll get our reminders, surveys and offers. To stop at any time, write *STOP*.",
        "es": "De acuerdo: recibes nuestros recordatorios, encuestas y ofertas. Para parar cuando quieras, escribe *SALIR*.",
    },
    "survey_good": {
        "pt": "Que bom saber! Obrigado por contar 💛",
        "en": "So good to hear! Thank you for telling us 💛",
        "es": "¡Qué bueno saberlo! Gracias por contarnos 💛",
    },
    "survey_bad": {
        "pt": "Obrigado pela sinceridade, e desculpe por não ter sido melhor. Se quiser contar o que houve, chamo uma pessoa da "
        "equipe.",
        "en": "Thank you for being frank, and sorry that it wasn't better. If you'd like to tell what happened, I'll call "
        "someone from our team.",
        "es": "Gracias por tu sinceridad, y perdona que no haya sido mejor. Si quieres contar qué pasó, llamo a una persona del "
        "equipo.",
    },
    # --- product cards
    "want_it": {"pt": "Quero este", "en": "I want this", "es": "Quiero este"},
    "see_products": {"pt": "Ver produtos", "en": "See products", "es": "Ver productos"},
    "products": {"pt": "Separei estes para você:", "en": "I picked these for you:", "es": "Elegí estos para ti:"},
    "choose": {"pt": "Escolha uma opção:", "en": "Choose an option:", "es": "Elige una opción:"},
    "was": {"pt": "de {price}", "en": "was {price}", "es": "antes {price}"},
    # --- payment
    "pay_pix": {
        "pt": "Prefere *Pix*? O código copia e cola é a próxima mensagem: copie e cole no app do seu banco.",
        "en": "Rather pay with *Pix*? The next message is the code: copy it and paste it into your bank's app.",
        "es": "¿Prefieres *Pix*? El próximo mensaje es el código: cópialo y pégalo en la app de tu banco.",
    },
    "pix_caption": {
        "pt": "QR code Pix do pedido *{number}*: {total}.",
        "en": "Pix QR code of order *{number}*: {total}.",
        "es": "Código QR Pix del pedido *{number}*: {total}.",
    },
    "pay_link": {
        "pt": "Pedido *{number}*: {total}.\n\nPague com segurança pelo botão abaixo. O link vale até {until}.",
        "en": "Order *{number}*: {total}.\n\nPay safely with the button below. The link is good until {until}.",
        "es": "Pedido *{number}*: {total}.\n\nPaga con seguridad con el botón de abajo. El enlace vale hasta {until}.",
    },
    "pay_button": {"pt": "Pagar agora", "en": "Pay now", "es": "Pagar ahora"},
    "pay_test_codes": {
        "pt": "Loja de teste: responda *4242* (aprovado), *1111* (sem limite), *2222* (cartão vencido) ou *3333* (falha de "
        "rede).",
        "en": "Test shop: reply *4242* (approved), *1111* (insufficient funds), *2222* (expired card) or *3333* (network "
        "error).",
        "es": "Tienda de prueba: responde *4242* (aprobado), *1111* (sin fondos), *2222* (tarjeta vencida) o *3333* (falla "
        "de red).",
    },
    "failed_insufficient_funds": {
        "pt": "O banco não aprovou por falta de limite. Nada foi cobrado e seu pedido *{number}* continua reservado 💛",
        "en": "The bank declined it: not enough funds. Nothing was charged and your order *{number}* is still held 💛",
        "es": "El banco no lo aprobó por falta de fondos. No se cobró nada y tu pedido *{number}* sigue reservado 💛",
    },
    "failed_expired_card": {
        "pt": "Esse cartão está vencido. Nada foi cobrado e seu pedido *{number}* continua reservado 💛",
        "en": "That card has expired. Nothing was charged and your order *{number}* is still held 💛",
        "es": "Esa tarjeta está vencida. No se cobró nada y tu pedido *{number}* sigue reservado 💛",
    },
    "failed_network_error": {
        "pt": "A conexão com o banco falhou no meio do caminho. Nada foi cobrado e seu pedido *{number}* continua reservado 💛",
        "en": "The connection to the bank failed half way. Nothing was charged and your order *{number}* is still held 💛",
        "es": "La conexión con el banco falló a mitad de camino. No se cobró nada y tu pedido *{number}* sigue reservado 💛",
    },
    "failed_invalid_card": {
        "pt": "Os dados do cartão não conferem. Nada foi cobrado e seu pedido *{number}* continua reservado 💛",
        "en": "The card's details don't match. Nothing was charged and your order *{number}* is still held 💛",
        "es": "Los datos de la tarjeta no coinciden. No se cobró nada y tu pedido *{number}* sigue reservado 💛",
    },
    "failed_link_expired": {
        "pt": "O prazo para pagar o pedido *{number}* acabou. Nada foi cobrado. Quer que eu veja de novo o que tem em estoque?",
        "en": "The time to pay for order *{number}* has run out. Nothing was charged. Shall I check again what is in stock?",
        "es": "El plazo para pagar el pedido *{number}* terminó. No se cobró nada. ¿Quieres que revise otra vez el stock?",
    },
    "reason_insufficient_funds": {
        "pt": "O banco não aprovou por falta de limite.",
        "en": "The bank declined it: not enough funds.",
        "es": "El banco no lo aprobó por falta de fondos.",
    },
    "reason_expired_card": {
        "pt": "O cartão está vencido.",
        "en": "The card has expired.",
        "es": "La tarjeta está vencida.",
    },
    "reason_network_error": {
        "pt": "A conexão com o banco falhou no meio do caminho.",
        "en": "The connection to the bank failed half way.",
        "es": "La conexión con el banco falló a mitad de camino.",
    },
    "reason_invalid_card": {
        "pt": "Os dados do cartão não conferem.",
        "en": "The card's details don't match.",
        "es": "Los datos de la tarjeta no coinciden.",
    },
    "reason_link_expired": {
        "pt": "O prazo para pagar acabou.",
        "en": "The time to pay has run out.",
        "es": "El plazo para pagar terminó.",
    },
    "way_try_other_card": {"pt": "Tentar outro cartão", "en": "Try another card", "es": "Usar otra tarjeta"},
    "way_try_again": {"pt": "Tentar de novo", "en": "Try again", "es": "Probar otra vez"},
    "way_reserve_in_store": {"pt": "Ver lojas", "en": "See stores", "es": "Ver tiendas"},
    "way_talk_to_person": {"pt": "Falar com pessoa", "en": "Talk to a person", "es": "Hablar con persona"},
    "hint_try_other_card": {
        "pt": "Você pode usar outro cartão.",
        "en": "You can use another card.",
        "es": "Puedes usar otra tarjeta.",
    },
    "hint_try_again": {
        "pt": "Espere um minutinho e tente de novo.",
        "en": "Wait a minute and try again.",
        "es": "Espera un minuto e intenta de nuevo.",
    },
    "hint_check_limit": {
        "pt": "Confira o limite no aplicativo do seu banco.",
        "en": "Check your limit in your bank's app.",
        "es": "Revisa el límite en la app de tu banco.",
    },
    "hint_check_expiry": {
        "pt": "Confira a validade e os dados do cartão.",
        "en": "Check the card's expiry date and details.",
        "es": "Revisa la vigencia y los datos de la tarjeta.",
    },
    "hint_pay_on_page": {
        "pt": "Se preferir, pague pela página: {link}",
        "en": "If you prefer, pay on the page: {link}",
        "es": "Si prefieres, paga en la página: {link}",
    },
    "hint_pay_on_page_again": {
        "pt": "Se preferir, pague pela página que te enviei.",
        "en": "If you prefer, pay on the page that I sent you.",
        "es": "Si prefieres, paga en la página que te envié.",
    },
    "hint_reserve_in_store": {
        "pt": "Também dá para retirar numa loja: posso mostrar quais.",
        "en": "You can also pick it up in a store: I can show you which.",
        "es": "También puedes retirarlo en una tienda: te muestro cuáles.",
    },
    "hint_talk_to_person": {
        "pt": "Ou chamo uma pessoa da equipe para ajudar.",
        "en": "Or I can call someone from our team to help.",
        "es": "O llamo a una persona del equipo para ayudarte.",
    },
    # --- the order
    "confirmed": {
        "pt": "Pagamento aprovado! 🎉 Seu pedido *{number}* está confirmado.\n\n{lines}\n\nTotal: *{total}*\n{promise}",
        "en": "Payment approved! 🎉 Your order *{number}* is confirmed.\n\n{lines}\n\nTotal: *{total}*\n{promise}",
        "es": "¡Pago aprobado! 🎉 Tu pedido *{number}* está confirmado.\n\n{lines}\n\nTotal: *{total}*\n{promise}",
    },
    "freight": {"pt": "Entrega: {price}", "en": "Delivery: {price}", "es": "Envío: {price}"},
    "freight_free": {"pt": "Entrega: grátis", "en": "Delivery: free", "es": "Envío: gratis"},
    "promise_between": {
        "pt": "Chega entre {earliest} e {latest}.",
        "en": "It arrives between {earliest} and {latest}.",
        "es": "Llega entre el {earliest} y el {latest}.",
    },
    "promise_on": {
        "pt": "Chega até {latest}.",
        "en": "It arrives by {latest}.",
        "es": "Llega a más tardar el {latest}.",
    },
    "promise_delivery": {
        "pt": "Avisamos aqui quando sair para entrega.",
        "en": "We'll tell you here when it's on its way.",
        "es": "Te avisamos aquí cuando salga.",
    },
    "promise_pickup": {
        "pt": "Avisamos aqui quando estiver pronto para retirar em {place}.",
        "en": "We'll tell you here when it's ready to pick up at {place}.",
        "es": "Te avisamos aquí cuando esté listo para recoger en {place}.",
    },
    "the_store": {"pt": "nossa loja", "en": "our store", "es": "nuestra tienda"},
    "picked": {
        "pt": "Seu pedido *{number}* já foi separado e embalado 📦",
        "en": "Your order *{number}* has been picked and packed 📦",
        "es": "Tu pedido *{number}* ya está preparado y empacado 📦",
    },
    "shipped": {
        "pt": "Seu pedido *{number}* está a caminho 🚚",
        "en": "Your order *{number}* is on its way 🚚",
        "es": "Tu pedido *{number}* está en camino 🚚",
    },
    "tell_arrival": {
        "pt": "Avisamos aqui quando chegar.",
        "en": "We'll tell you here when it arrives.",
        "es": "Te avisamos aquí cuando llegue.",
    },
    "tracking": {"pt": "Rastreio: {tracking}", "en": "Tracking: {tracking}", "es": "Seguimiento: {tracking}"},
    "ready": {
        "pt": "Seu pedido *{number}* está pronto! É só retirar no balcão de {place} 🛍️",
        "en": "Your order *{number}* is ready! Just pick it up at the counter of {place} 🛍️",
        "es": "¡Tu pedido *{number}* está listo! Solo recógelo en el mostrador de {place} 🛍️",
    },
    "delivered": {
        "pt": "Seu pedido *{number}* foi entregue. Obrigado por comprar com a gente! Se algo não estiver bem, é só escrever 💛",
        "en": "Your order *{number}* has been delivered. Thank you for shopping with us! If anything isn't right, just "
        "write 💛",
        "es": "Tu pedido *{number}* fue entregado. ¡Gracias por comprar con nosotros! Si algo no está bien, escríbenos 💛",
    },
    "fetched": {
        "pt": "Pedido *{number}* retirado. Obrigado por comprar com a gente! Se algo não estiver bem, é só escrever 💛",
        "en": "Order *{number}* picked up. Thank you for shopping with us! If anything isn't right, just write 💛",
        "es": "Pedido *{number}* recogido. ¡Gracias por comprar con nosotros! Si algo no está bien, escríbenos 💛",
    },
    "cancelled": {
        "pt": "O pedido *{number}* foi cancelado.",
        "en": "Order *{number}* has been cancelled.",
        "es": "El pedido *{number}* fue cancelado.",
    },
    "cancelled_payment_expired": {
        "pt": "O prazo para pagar o pedido *{number}* acabou, então ele foi cancelado. Nada foi cobrado. Se ainda quiser, é só "
        "me chamar 😊",
        "en": "The time to pay for order *{number}* ran out, so it was cancelled. Nothing was charged. If you still want it, "
        "just tell me 😊",
        "es": "El plazo para pagar el pedido *{number}* terminó, así que se canceló. No se cobró nada. Si aún lo quieres, "
        "escríbeme 😊",
    },
    "cancelled_customer": {
        "pt": "Pronto: o pedido *{number}* foi cancelado, como você pediu.",
        "en": "Done: order *{number}* has been cancelled, as you asked.",
        "es": "Listo: el pedido *{number}* fue cancelado, como pediste.",
    },
    "cancelled_staff": {
        "pt": "Nossa equipe precisou cancelar o pedido *{number}*. Desculpe! Se quiser entender o motivo, chamo uma pessoa.",
        "en": "Our team had to cancel order *{number}*. Sorry! If you'd like to know why, I'll call someone.",
        "es": "Nuestro equipo tuvo que cancelar el pedido *{number}*. ¡Perdona! Si quieres saber por qué, llamo a alguien.",
    },
    "surplus_paid_twice": {
        "pt": "O pedido *{number}* já estava pago, então devolvemos os {amount} que vieram a mais.",
        "en": "Order *{number}* had been paid already, so we've given back the {amount} that came on top.",
        "es": "El pedido *{number}* ya estaba pagado, así que devolvimos los {amount} que llegaron de más.",
    },
    "surplus_wrong_amount": {
        "pt": "Recebemos {amount} pelo pedido *{number}*, que não é o valor dele: devolvemos tudo.",
        "en": "We received {amount} for order *{number}*, which isn't its amount: we've given it all back.",
        "es": "Recibimos {amount} por el pedido *{number}*, que no es su importe: devolvimos todo.",
    },
    "refunded": {
        "pt": "Devolvemos {amount} do pedido *{number}*. Conforme o banco, aparece em alguns dias.",
        "en": "We've refunded {amount} for order *{number}*. Depending on the bank it shows up within a few days.",
        "es": "Devolvimos {amount} del pedido *{number}*. Según el banco, aparece en unos días.",
    },
    "rejected": {
        "pt": "Não consegui fechar o pedido *{number}*.",
        "en": "I couldn't complete order *{number}*.",
        "es": "No pude completar el pedido *{number}*.",
    },
    "rejected_gone": {
        "pt": "{title}: acabou de esgotar.",
        "en": "{title}: just sold out.",
        "es": "{title}: se acaba de agotar.",
    },
    "rejected_left": {
        "pt": "{title}: só restam {available} (você pediu {wanted}).",
        "en": "{title}: only {available} left (you asked for {wanted}).",
        "es": "{title}: solo quedan {available} (pediste {wanted}).",
    },
    "rejected_uncharged": {"pt": "Nada foi cobrado.", "en": "Nothing was charged.", "es": "No se cobró nada."},
    "rejected_refunded": {
        "pt": "O valor pago está sendo devolvido.",
        "en": "What you paid is being refunded.",
        "es": "Lo que pagaste se está devolviendo.",
    },
    "rejected_alternatives": {
        "pt": "Tenho opções parecidas disponíveis agora. Quer ver?",
        "en": "I have similar ones available right now. Would you like to see them?",
        "es": "Tengo opciones parecidas disponibles ahora. ¿Quieres verlas?",
    },
    "alternative": {"pt": "Ver opção {n}", "en": "See option {n}", "es": "Ver opción {n}"},
}


def say(key: str, language: Language, **values: object) -> str:
    """The sentence in the customer's language. Raises KeyError for a text or a value that isn't there."""
    return TEXTS[key][language].format(**values)


def day(value: date, language: Language) -> str:
    """05/01 as a Brazilian or Spanish speaker reads it, "Jan 5" in English."""
    return f"{_MONTHS[value.month - 1]} {value.day}" if language == "en" else f"{value.day:02d}/{value.month:02d}"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def clock(value: datetime, now: datetime, language: Language) -> str:
    """An instant in Brasília time: "14h30" today, with the day when it is another one."""
    local, today = value.astimezone(BRAZIL), now.astimezone(BRAZIL)
    hour = f"{local.hour}h{local.minute:02d}" if language == "pt" else f"{local.hour}:{local.minute:02d}"
    return hour if local.date() == today.date() else f"{day(local.date(), language)} {hour}"
