"""Patterns of intents, over text made by `normalise.plain`. The first that matches a clause names it.

Order matters: what a mistake would cost most comes first (cancelling before status, removing before adding).
"""

from __future__ import annotations

import re

_ORDERISH = r"(?:pedidos?|compras?|encomendas?|orders?|purchase|ordenes|orden|pacotes?|package|paquete|entrega)"
_CARTISH = r"(?:carrinho|sacola|cesta|cesto|cart|basket|carrito|carro|bag)"
_PERSON = (
    r"(?:pessoa|atendente|humano|humana|gente de verdade|vendedora? (?:de verdade|humano|humana)|alguem|gerente|suporte|operador|"
    r"ser humano|responsavel|person|human|agent|someone|representative|manager|operator|persona|asesora?|encargad[oa]|alguien|agente|"
    r"equipe|vendedora?|seller|vendedor|supervisora?)"
)

GREET = re.compile(
    r"\b(?:oi+|ola|opa|e ai|fala ai|alo|hey|hi|hello|hola|bom dia|boa tarde|boa noite|buenos dias|buen dia|"
    r"buenas(?: tardes| noches)?|good (?:morning|afternoon|evening)|yo(?= )|fala(?=$|[ ,!]+(?:luna|max|sofia|bella|pixel)))\b"
    r"(?:[ ,!]*(?:luna|max|sofia|bella|pixel|gente|pessoal|amigo|amiga|moca|moco|there|everyone)\b)?"
)
WELLBEING = re.compile(
    r"\b(?:tudo (?:bem|bom|certo|joia|tranquilo|beleza)(?: (?:com voce|ai|por ai))?|como (?:voce )?(?:vai|esta|estas)(?: voce)?|"
    r"como voce esta|como va|que tal|todo bien|how are you(?: doing)?|hows it going|whats up|what is up|beleza(?=\?))\b\??"
)
THANKS = re.compile(
    r"\b(?:muit[oa] )?(?:obrigad[oa]s?|valeu|brigad[oa]o?|thanks(?: a lot| so much)?|thank you(?: so much| very much)?|"
    r"(?:muchas )?gracias|agradec[oi]d?[oa]?|grat[oa])(?: (?:mesmo|demais|mano|viu|pela ajuda|por tudo|for (?:the|your) help|por la ayuda))*\b"
)
BYE = re.compile(
    r"\b(?:tchau|xau|ate (?:mais|logo|breve|amanha|a proxima)|falou(?=$|[ !.,])|fui(?=$|[!.])|bye(?: bye)?|goodbye|see (?:you|ya)(?: later| soon)?|"
    r"adios|hasta (?:luego|pronto|manana)|chau|nos vemos|good night|tenha um bom dia|bom fim de semana)\b"
)
PLEASE = re.compile(
    r"\b(?:por favor|por gentileza|please|faz favor|fazendo favor|se puder|se der|desculp[ae]|foi mal|sorry|perdon|ai|ne|entao)\b(?=$|[ ,.!?])"
)

_YES = (
    r"(?:sim|isso(?: mesmo| ai)?|claro(?: que sim)?|pode(?: ser| sim| crer| fechar| confirmar| mandar| finalizar)?|com certeza|certeza|ok|okay|okey|"
    r"beleza|fechado|fechou|confirm(?:o|ado|a|ar)?|confirmo (?:o pedido|sim)|bora|vamos(?: la)?|manda ver|manda|aceito|quero(?: sim)?|yes|yep|"
    r"yeah|yup|sure|go ahead|do it|please do|si|dale|vale|perfecto|perfeito|perfect|listo|de acuerdo|uhum|aham|positivo|certo|certinho|"
    r"ta bom|esta bom|esta bien|esta certo|tudo certo|ta certo|exato|correto|correct|right|great|otimo|show|top|demorou|partiu|por supuesto|"
    r"sounds good|looks good|of course|absolutely|confirm (?:it|order|the order)|confirmar pedido|s|y|claro que si|tudo ok|ok pode|jo+ia|combinado)"
)
_NO = (
    r"(?:nao|nops?|nope|no|nah|negativo|agora nao|nao agora|deixa(?: pra la| para la| quieto)?|not now|no thanks|no gracias|melhor nao|"
    r"nao quero(?: mais| nao)?|nao precisa|ahora no|never mind|nevermind|dont|nem|de jeito nenhum|nao confirmo|todavia no|ainda nao|not yet|"
    r"no quiero|nao nao|no no|cancela isso|esquece|forget it|olvidalo|n)"
)
YES = re.compile(rf"^[\W_]*(?:{_YES}[\W_]*)+(?:por favor|please)?[\W_]*$")
NO = re.compile(
    rf"^[\W_]*(?:{_NO}[\W_]*)+(?:por favor|please|por enquanto|obrigad[oa]|thanks|gracias|agora|for now|por ahora)?[\W_]*$"
)

SEARCH_CUE = re.compile(
    r"\b(?:quero|queria|gostaria|preciso|procur\w+|busc[oa]\w*|tem|temos|vende[ms]?|mostr[ae]\w*|ver|acha\w*|algum\w*|teria|"
    r"want|need|looking for|look for|show me|do you (?:have|sell)|have you got|find|any|id like|i would like|searching|"
    r"quiero|quisiera|necesito|tienen?s?|hay|muestra\w*|muestreme|ensename|me gustaria|interessad[oa]|interested|opcoes de|opcao de|modelos? de)\b"
)

INTENTS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        (
            "injection",
            r"\b(?:ignor[ea]\w*|esquec\w+|desconsider\w+|disregard|forget|olvid\w+)\b.{0,40}\b(?:instruc\w*|regras?|rules?|prompt\w*|orders given|reglas?|anterior\w*|previous|tudo que)\b"
            r"|\b(?:system|sistema) ?(?:prompt|:)|\bprompt do sistema|\bjailbreak|\b(?:developer|desenvolvedor|admin|god|debug|dan) mode\b|\bmodo (?:desenvolvedor|admin|deus|debug|programador)\b"
            r"|\b(?:voce|you|tu) (?:agora|now|ahora) (?:e|es|eh|are)\b|\bagora voce e\b|\b(?:finja|finge|pretend|act as|aja como|simule|imagina que voce)\b"
            r"|\b(?:o|the|el|todo|novo|new) ?(?:preco|price|precio|valor|total)s? (?:(?:agora|now|ahora|correto|certo|real|novo|final|dele|dela|d[oae]\w* \w+|of \w+ \w+) ){0,3}(?:e|is|es|sera|vale|passa a ser|virou|esta|=)(?: de| agora| now| so| apenas| only| just)* (?:r\$ ?)?\d"
            r"|\b(?:mud[ea]|alter[ea]|troca|troque|change|set|cambia|cambie|coloca|reduz\w*|baix[ae]|atualiz[ae]|aplica|aplique|poe|bota) (?:o |os |the |el |meu |um |me )?(?:preco|precos|price|precio|valor|total|desconto)s? (?:d\w+ \w+ )?(?:para|a|to|por|de|em|at)?\b"
            r"|\b(?:vend[ea]|sell|vendeme|faz|faca|make|da|deixa)(?: \w+){0,3} (?:por|for|a|em) (?:r\$ ?)?(?:0|1|um|one|un|zero)(?:,\d\d)? ?(?:reais|centavos?|real|dolar\w*|dollars?|peso)?(?: so)?$"
            r"|\b100 ?%|\b(?:99|95|90) ?% (?:de )?(?:desconto|off|discount|descuento)|\bde graca\b|\bfor free\b|\bgratis (?:para mim|tudo|o pedido)\b"
            r"|\b(?:sou|eu sou|i am|soy) (?:o|a|the|el|um|an|seu|your)? ?(?:administrador\w*|admin|dono|dona|owner|desenvolvedor\w*|developer|programador\w*|criador|dueno)\b"
            r"|\bmarque? (?:o |meu )?pedido como pago|\bmark (?:my |the )?order as paid|\bsuas? instrucoes\b|\byour instructions\b|\btus instrucciones\b",
        ),
        (
            "abuse",
            r"\b(?:idiota|imbecil|burr[oa]|otari[oa]|babaca|merda|bosta|porra|caralho|vai se (?:foder|ferrar)|vsf|vtnc|fdp|pqp|filho da puta|puta|"
            r"desgracad[oa]|lixo|inutil|estupid[oa]|trouxa|palhac[oa]|arrombad[oa]|cretin[oa]|cacete|foda-se|fodase|ladrao|ladroes|golpistas?|"
            r"fuck\w*|shit|asshole|bitch|stupid|moron|dumb|useless|scammers?|crap|bullshit|mierda|pendej[oa]|cabron|boludo|puto|"
            r"gilipollas|maldit[oa]|carajo|estafador\w*)\b",
        ),
        (
            "person",
            rf"\b(?:fala[r]?|conversar?|atend\w+|chama[r]?|passa[r]?|transfer\w+|quero|queria|preciso|tem|me liga|contato|speak|talk|connect|get|need|want|hablar|comunica\w*|pasa\w*|quiero|call|deixa eu falar|manda)\b"
            rf"(?: (?:de|com|por|um|uma|o|a|pra|para|me|mim|outra|algum|alguma|with|to|a|an|the|real|con|una|un|al|le|real|live|actual|my|eu|ser|quero|falar|direto|logo|ao|only|hablar|speak|talk|like|gente))* ?{_PERSON}\b"
            rf"|^\W*(?:um |uma |a |an |una |un )?(?:atendente|humano|humana|human|agente?|pessoa real|gente de verdade|atendimento(?: humano)?|real person|persona real|representative|asesor|operador|sac|suporte humano)(?: please| por favor)?\W*$"
            r"|\batendimento humano\b|\bpessoa de verdade\b|\bnao quero (?:falar com )?(?:um )?(?:robo|bot|maquina)\b|\b(?:real|human) (?:person|agent|being)\b|\bpersona (?:real|de verdad)\b|\bser humano\b",
        ),
        (
            "cancel_order",
            rf"\b(?:cancel\w*|desist\w+|anular?|anula)\b(?: (?:o|a|os|meu|minha|my|the|el|la|mi|do|da|de|del|esse|essa|este|this|that|ultimo|last|ese))* ?(?:{_ORDERISH}|#ordem#)\b|\bquero cancelar\W*$|\bcancel (?:it|my)\W*$|^\W*cancel(?:a|ar|e|amento)?\W*$"
            r"|\bnao quero mais (?:o |esse |este |meu )?(?:pedido|compra)\b|\bquiero cancelar\W*$|\bi want to cancel\W*$",
        ),
        (
            "pix",
            r"^(?!.*\b(?:posso|da para|pode|podem|puedo|se puede|can i|could i|aceita\w*|aceptan?|desconto|discount|descuento)\b).*?"
            r"(?:\b(?:mand\w+|envi\w+|pass[ae]\w*|ger[ae]\w*|quero|prefiro|prefer|vou|cade|me da|send|give|generate|want|need|pagar|pagamento|pago|pay|quiero|"
            r"dame|pas[ae]\w*|codigo|code|qr ?code|link)\b(?: \w+){0,5} ?\bpix\b|\bpix\b(?: \w+){0,3} ?\b(?:codigo|code|copia|qr|de novo|again)\b|"
            r"\bcopia e cola\b|\bcopiar y pegar\b|\bqr ?code\b|\bcodigo qr\b|^\W*(?:o |no |com |by |with |con )*pix(?: por favor| please)?\W*$)",
        ),
        (
            "link",
            r"\b(?:link|enlace|url|boleto)\b|\b(?:segunda via)\b|\b(?:como|onde|where|donde|how) (?:eu |do i |can i |que )?(?:faco (?:o|para) )?pag(?:ar|o|amento|uei) (?:o |meu |my |mi )?(?:pedido|order|orden)\b|\bpay (?:for )?my order\b|\bpagar meu pedido\b|\bpagar mi pedido\b",
        ),
        (
            "paid",
            r"\b(?:ja |acabei de |i |i have |ya )?(?:paguei|pago agora|fiz o pagamento|paid|pague|hice el pago|pagamento (?:foi|caiu|aprovado)|meu pagamento)\b",
        ),
        (
            "order_status",
            rf"\b(?:cade|onde (?:esta|anda|ficou|ta)|where is|wheres|donde (?:esta|anda)|status|situacao|rastre\w+|track\w*|rastrear|seguimiento|andamento|acompanh\w+|estado|previsao|que fim levou|what happened to|any news|como (?:esta|anda)|segui[r]?)\b(?: \w+){{0,3}} ?{_ORDERISH}\b"
            rf"|\b(?:(?:meu|minha|my|mi|o|the|el) )?(?:ultim[oa]|last) {_ORDERISH}\b|^\W*(?:e )?(?:o |a |the |el )?(?:meu|minha|my|mi)? ?(?:pedidos?|compras|orders?|encomenda)\W*$|\b(?:meus|minhas|mis) (?:\w+ )?{_ORDERISH}\b|\bwhen will (?:it|my \w+) (?:arrive|come|get here|be delivered)\b|\bquando (?:chega|vai chegar|vem|sera entregue)(?: (?:meu|minha|o que eu))?\b(?!.*\b(?:cep|em \d)\b)"
            r"|\bcuando llega\b|\bja (?:foi enviad|saiu|despach|enviaram)\w*|\b(?:nao|not|no) (?:chegou|arrived|llego|recebi)\b|\bstatus\b|\brastre\w+|\btracking\b|\bhas it (?:shipped|been sent)\b|\bmeus pedidos\b|\bmis pedidos\b|\bmy orders\b",
        ),
        (
            "change_address",
            r"\b(?:mud\w+|troca\w*|alter\w+|corrig\w+|atualiz\w+|change|update|edit|cambi\w+|modific\w+|outr[oa]|novo|new|different|otra|nueva|errado|wrong)\b(?: \w+){0,3} ?\b(?:endereco|address|direccion|cep|rua)\b|\b(?:endereco|address|direccion) (?:(?:esta|e|is|novo|ta) )*(?:errado|wrong|novo|equivocada|mudou|outro)\b",
        ),
        (
            "policy",
            r"\b(?:troca[rs]?|trocas|devol\w+|garantia|reembols\w+|estorn\w+|nota fiscal|politica|returns?|refund\w*|exchange|warranty|invoice|receipt|reclama\w+|complain\w*|queixa|"
            r"devolucion\w*|reembolso|factura|quej\w+|defeito|defeituos[oa]|quebrad[oa]|estragad[oa]|veio errad[oa]|errad[oa] (?:o |a )?(?:produto|tamanho|cor)|broken|damaged|defective|wrong (?:item|size|product)|roto|danado|cambio de)\b(?! (?:o|a|os|as|el|la|the|esse|essa|por|pelo|pela|de tamanho|para)\b.{0,40}\b(?:carrinho|cart|carrito|tamanho [a-z0-9]+|p|m|g|gg)\b)",
        ),
        (
            "clear_cart",
            rf"\b(?:limpa\w*|esvazi\w+|zera\w*|clear|empty|vaci\w+|limpi\w+|apaga\w*)\b(?: \w+){{0,2}} ?{_CARTISH}\b|\b(?:remov\w+|tir[ae]\w*|exclu\w+|apag\w+|delet\w+|remove|quit[ae]\w*|elimin\w+) (?:tudo|todos|todas|everything|all|todo)\b|\bcomecar de novo\b|\bstart over\b|\bempezar de nuevo\b",
        ),
        (
            "remove",
            r"\b(?:remov[ae]r?|remova|remove|tir[aeo]r?|tire|retir[ae]r? (?:o|a|os|as|esse|essa|um|uma|\d)\b(?!.{0,25}\bloja)|exclu[aií]\w*|delet[ae]r?|apaga\w*|take out|take off|take (?:\w+ ){1,3}(?:out|off)|drop|get rid of|quit[ae]r?|quite|elimin[ae]r?|sac[ae]r?|nao quero mais (?:o|a|os|as|esse|essa|aquele|aquela)|dont want the|i dont want|ya no quiero (?:el|la))\b(?! (?:duvida|foto))",
        ),
        (
            "view_cart",
            rf"\b(?:ver|mostr\w+|ve|abr\w+|cade|quero ver|como (?:esta|ficou|ta)|o que (?:tem|ta|esta|eu tenho)|qual|manda|olha[r]?|show|view|see|open|check|what is|whats|muestra\w*|que hay|que tengo|quanto (?:deu|esta|ficou|ta|e|da)|how much is|total)\b(?: \w+){{0,4}} ?{_CARTISH}\b|^\W*(?:(?:o |a )?meu |minha |my |mi |o |the |el )?{_CARTISH}\W*$|\b(?:quanto (?:deu|ficou|da|fica) (?:tudo|o total|no total)|total da compra|qual (?:e )?o total)\b|\bwhat is (?:the|my) total\b|\bcuanto es (?:el total|todo)\b",
        ),
        (
            "checkout",
            r"\b(?:finaliz\w+|fech(?:a|ar|e|amos|o) (?:o |a |meu |minha |esse |logo )?(?:pedido|compra|conta|carrinho|tudo|ai|agora|venda)|concluir|check ?out|checkout|terminar (?:a |la )?compra|finish (?:my |the )?(?:order|purchase)|"
            r"place (?:my |the |an )?order|proceed|complete (?:my |the )?(?:order|purchase)|realizar (?:o |el )?pedido|hacer (?:el |mi )?pedido|fazer (?:o |meu |um )?pedido|cerrar (?:el |mi )?pedido|confirmar (?:el |a |la )?compra|"
            r"quero (?:pagar|fechar)|vou (?:pagar|fechar)|quiero pagar|i want to (?:pay|order)\W*$|ready to (?:pay|order|buy)|pagar agora|pay now|pagar ahora|bora fechar|vamos fechar|pode fechar|levo tudo|vou levar tudo|"
            r"quero comprar(?: tudo| agora| isso tudo| ja)?\W*$|comprar agora|buy now|comprar ahora|(?:e|so) isso(?: mesmo)?[ ,]*(?:pode fechar|fecha|finaliza)|seguir com (?:o |a )?(?:pedido|compra)|continuar (?:o |a |com o |con el )?(?:pedido|compra))\b"
            r"|^\W*(?:fechar|fecha|pagar|pay|order|comprar|finish)\W*$|^\W*(?:pode |vamos )?(?:fecha|fechar|finaliza)\b(?!.*\b(?:horas?|loja|domingo|sabado|segunda)\b)[\w ]{0,20}$",
        ),
        (
            "compare",
            r"\b(?:compar\w+|diferenca\w*|difference\w*|diferencia\w*|qual (?:e )?(?:o |a )?melhor|which (?:one )?is better|cual es mejor|versus|\bvs\b|(?:better|melhor|mejor),? (?:o |the |el )?\d)\b",
        ),
        (
            "pickup",
            r"\b(?:retir\w+|pegar|buscar|recoger|pick(?: it| them)? up|pickup|collect|recojo|retiro|passo|paso)\b(?: \w+){0,4} ?\b(?:loja|lojas|local|pessoalmente|store|tienda|shop|in person|sucursal|ai|persona|unidade)\b|\bretirada\b|^\W*(?:quero |prefiro |i want |i prefer |i will )?(?:retirar|pickup|pick up|recoger|retiro|buscar na loja|na loja|in store|en tienda)(?: it)?\W*$|\bclick and collect\b",
        ),
        (
            "stores",
            r"\b(?:onde|where|donde)\b(?: \w+){0,4} ?\b(?:loja|lojas|voces ficam|voces estao|store|stores|shops?|tienda|tiendas|located|unidade)\b|\b(?:loja fisica|lojas fisicas|physical store|tienda fisica|endereco (?:da|das) lojas?|horario|hours|que horas (?:abre|fecha)|aberto|opening)\b",
        ),
        (
            "quote",
            r"\b(?:frete|fretes|shipping|ship|cost to deliver|envio|envios|costo de envio|sedex|correios|cep|postal code|zip|codigo postal)\b|\b(?:entrega[rms]?|entregam|deliver\w*|delivery|entregan|llega)\b(?=.*\b(?:quanto|quantos|cuanto|how|prazo|preco|custa|valor|demora|dias|cep|para|pra|em|na minha|no meu|to|a mi|in|is|much|long|cost|aqui|cobra\w*|gratis|days)\b)|\b(?:quanto|quantos|cuanto|how|prazo|qual|demora|when)\b.*\b(?:entrega[rms]?|deliver\w*|envio|llegar|chegar|llega|arrive)\b|\bprazo\b",
        ),
        (
            "deliver",
            r"^\W*(?:(?:quero|prefiro|pode ser|quiero|i want|i prefer|prefer|por|com|for|home|a|la|o|the|receber|recibir)\b ?)*(?:entreg\w+|delivery|deliver(?: it)?|em casa|en casa|receber em casa|a domicilio|domicilio|home|at home|ship it)(?: (?:em casa|mesmo|please|a domicilio|to my (?:home|house|place)|en casa))?\W*$",
        ),
        (
            "payment_info",
            r"\b(?:pix|parcel\w+|formas? de pag\w+|como (?:posso|eu|se|que) (?:eu )?pag\w+|como (?:faco|faco) para pagar|aceita[m]?|credito|debito|a vista|juros|installments?|payment (?:methods?|options?)|how (?:can|do) i pay|do you (?:take|accept)|cuotas|formas? de pago|metodos? de pago|puedo pagar|posso pagar|meios de pagamento|dinheiro na entrega)\b",
        ),
        (
            "expensive",
            r"\b(?:(?:muito |mt |tao |meio |too |very |so |muy |demasiado |bem |mto |pouco |esta |ta |e |es |achei |acho |that is |thats |its |it is |esta muy |que )+(?:car[oa]s?|expensive|pricey|salgad[oa])|car[oa] demais|caro ?(?:hein|ne|assim|para mim)|salgad[oa]|fora do (?:meu )?orcamento|nao tenho (?:tudo isso|esse dinheiro)|cant afford|cannot afford|out of my budget|no me alcanza|fuera de mi presupuesto|puxado|preco (?:alto|salgado)|^\W*(?:que )?car[oa]\W*$)\b",
        ),
        (
            "discount",
            r"\b(?:descont\w+|cupom|cupons|coupons?|cupon|cupones|promoc\w+|promotion\w*|ofertas?|discounts?|descuentos?|rebaja\w*|on sale|deals?|sale|liquidac\w+|black friday|abatimento|faz (?:por|um preco|mais barato|melhor preco)|melhora (?:o )?preco|melhor preco|fecha por|deixa por|best price|mejor precio|chora\w*|negocia\w*|cashback|off)\b",
        ),
        (
            "think",
            r"\b(?:vou pensar|preciso pensar|deixa eu pensar|pensar (?:um pouco|melhor|nisso|mais)|depois eu (?:vejo|volto|compro|decido)|depois (?:vejo|volto|decido)|volto (?:depois|mais tarde|amanha)|mais tarde|let me think|think about it|ill think|i will think|maybe later|lo voy a pensar|lo pienso|dejame pensar|voy a pensar\w*|tal vez despues|so (?:to |estou )?olhando|just looking|just browsing|solo estoy mirando|dar uma olhada(?= depois)|ver com (?:meu|minha) \w+|talvez depois|nao sei ainda|ainda nao decidi|estou na duvida)\b",
        ),
        (
            "suits_me",
            r"\b(?:qual (?:e )?(?:o )?meu tamanho|qual (?:o )?(?:meu )?tamanho (?:ideal|certo|me serve|devo|usar|eu uso)|que tamanho (?:devo|eu)|tabela de (?:medidas|tamanhos?)|guia de (?:medidas|tamanhos?)|size (?:guide|chart)|what size (?:should|do i|am i)|guia de tallas|tabla de tallas|que talla (?:soy|debo)|medidas)\b",
        ),
        (
            "cheaper",
            r"\b(?:mais (?:barat\w+|em conta|acessive\w+|economic\w+)|algo barat\w+|cheaper|less expensive|more affordable|mas barat\w+|mas economic\w+|mais baixo|menor preco|precos? menor\w*|lower price\w*|low cost|preco melhor|mas accesible)\b",
        ),
        (
            "pricier",
            r"\b(?:mais (?:car[oa]s?|sofisticad\w+|chique|top|premium|luxuos\w+)|more expensive|fancier|higher end|mas car[oa]s?|algo melhor|something better|top de linha|melhor qualidade)\b",
        ),
        (
            "more",
            r"\b(?:(?:ver|mostr\w+|manda|tem|quero|quero ver|me mostra|traz|show|see|any|got|hay|tienes?|muestra\w*) (?:me |mais |outr\w+ |alguns |algumas |some |mas )*(?:mais|outr[oa]s?|more|others?|mas|otr[oa]s?)\b(?: (?:opcoes|opcao|produtos?|modelos?|options?|ones?|opciones|modelos|resultados|products?))?\W*$)|^\W*(?:e )?(?:mais|outr[oa]s?|more|others?|another(?: one)?|mas|otr[oa]s?|proxim[oa]s?|next|siguientes?|mais opcoes|outras opcoes|more options|mas opciones|tem mais|tem outr[oa]s?|algum outro|something else|algo mas|outra coisa|nao gostei(?: de nenhum| desses| desse)?|nenhum desses|none of these|dont like (?:them|it|these)|no me gusta\w*|outro modelo|outros modelos|other options)\W*$",
        ),
        (
            "add",
            r"\b(?:adicion\w+|coloc[ae]\w*|bot[ae]r|bote|bota (?:o|a|os|as|esse|essa|isso|ele|ela|mais|no carrinho|na sacola|um d|uma d|\d)|poe|ponha|poner|ponme|inclu[iae]\w*|acrescent\w+|joga no|agreg\w+|anade\w*|anadir|add|put|incluye)\b(?! (?:o |meu |seu )?(?:cep|endereco|nome|address|name))"
            r"|\b(?:vou (?:levar|querer|ficar com|comprar)|fico com|levo|ill take|i will take|ill have|me quedo con|me llevo|me lo llevo|la llevo|lo llevo|lo quiero|la quiero|quero (?:levar|comprar|ficar com) (?:o|a|os|as|esse|essa|este|esta|esses|essas|ele|ela|um desse|uma dessa|isso)|comprar (?:esse|essa|este|esta|isso|ele|ela)|buy (?:it|this|that|the)|i want (?:this|that|it|the (?:first|second|third|last|\d))|want (?:this|that) one|ill buy|quiero (?:ese|esa|este|esta|eso|esto|el|la) ?(?:primer\w*|segund\w*|tercer\w*|ultim\w*|\d)?\W*$|quero (?:esse|essa|este|esta|isso|ele|ela|esses|essas|aquele|aquela|os dois|as duas|ambos|todos)|me ve (?:esse|essa|um desse|o|a)|manda (?:esse|essa|um desse|uma dessa)|get (?:this|that|it)|leva esse|pode colocar|separa (?:esse|essa|um|para mim)|reserva (?:esse|essa))\b"
            r"|^\W*(?:eu )?(?:quero|queria|levo|i want|quiero|comprar|compra) (?:o|a|el|la|the)?\W*$",
        ),
        (
            "details",
            r"\b(?:detalh\w+|mais (?:sobre|informac\w+|info)|fal[ae](?: \w+)? (?:mais )?(?:sobre|d[oae]s?)\b|me (?:fala|conta|explica)|saber mais|especificac\w+|ficha tecnica|caracteristicas?|material|composicao|de que (?:e|material)|feito de|medidas|peso|"
            r"details?|tell me (?:more )?about|more about|more info\w*|specs?|specifications?|what is it made|made of|describe|detalles?|mas informacion|cuentame|dime mas|hablame|especificaciones|quanto (?:custa|e|sai|esta|fica|vale|ta)|qual (?:e )?(?:o )?(?:preco|valor)|preco d\w+|how much|what is the price|price of|cuanto (?:cuesta|vale|sale|es|esta)|que precio|"
            r"(?:quais|que|what|which|cuales) (?:as |os |sao as |sao os |other )?(?:cores|tamanhos|colou?rs|sizes|colores|tallas|voltagens)|tem (?:em )?(?:outras? cor\w*|outros? tamanhos?)|(?:tem|tiene|is it) (?:no |em |in |en )?(?:estoque|stock|disponivel|disponible|available)|quantos (?:tem|restam|sobraram)|how many (?:left|in stock)|em estoque|in stock|serve para|funciona com|compativel|e bom|is it good|es bueno|other colou?rs|otros colores|foto[s]?)\b",
        ),
        (
            "suggest",
            r"\b(?:recomend\w+|suger\w+|indic[ae]\w*|suggest\w*|recommend\w*|sugier\w+|o que (?:combina|vai bem)|combina com|what goes (?:well )?with|goes with|que combina|me ajuda a escolher|help me (?:choose|pick)|ayudame a elegir|qual voce (?:prefere|acha)|novidades?|lancamentos?|mais vendidos?|best ?sellers?|whats new|novedades|populares|popular|surpreend\w+|surprise me|algo (?:especial|diferente|legal|bonito))\b",
        ),
        (
            "categories",
            r"\b(?:o que (?:voces? )?(?:vende\w*|tem(?: de bom| ai| para vender| na loja)?(?=$|[?!. ]))|what do you (?:sell|have|offer)|que (?:venden|vendes|tienen)(?=$|[?! ])|categorias?|categories|catalogo|catalog|catalogue|departamentos?|quais produtos|que produtos|que tipo de (?:produto|coisa)\w*|tipos de produtos?|what kind of (?:products|things)|que productos|que tipo de productos|cardapio|menu|o que tem (?:ai|para vender|de bom|de novo)|trabalham com o que|que voces tem|secoes|sections)\b",
        ),
        (
            "help",
            r"\b(?:ajuda|me ajuda|ajudar|help|ayuda|ayudame|como (?:funciona|comprar|compro|faco para comprar|usar)|how (?:does (?:this|it) work|do i (?:buy|order|use))|como funciona|o que voce (?:faz|pode fazer|sabe fazer)|what can you do|que puedes hacer|comandos|instrucoes de compra)\b",
        ),
        (
            "praise",
            r"\b(?:adorei|amei|gostei|curti|que (?:lind[oa]s?|legal|massa|maneiro|bonit[oa])|i (?:love|like|loved|liked)|me encant\w+|me gusto|me gusta (?:el|la|ese|esa|este)|show de bola|top demais|muito (?:bom|lindo|linda|legal)|perfeit[oa]|love it)\b|^\W*(?:nice|cool|legal|massa|lind[oa]|maneiro|genial)\W*$",
        ),
        (
            "smalltalk",
            r"\b(?:quem e voce|qual (?:e )?(?:o )?seu nome|como voce se chama|voce e (?:um |uma )?(?:robo|bot|humana|humano|pessoa|real|ia|inteligencia artificial|gente|de verdade)|who are you|what is your name|are you (?:a )?(?:robot|bot|human|real|an ai)|eres (?:un |una )?(?:robot|bot|humano|humana|real|persona)|quien eres|como te llamas|conta uma piada|tell me a joke|cuentame un chiste|te amo|i love you|te quiero|voce e (?:linda|legal|fofa|incrivel|demais|bonita)|casa comigo|tem certeza|certeza\?|are you sure|estas? segur[oa]|kk+\w*|haha\w*|rsrs\w*|jaja\w*|lol|quantos anos voce|how old are you|feliz (?:natal|ano novo|aniversario))\b",
        ),
        (
            "out_of_scope",
            r"\b(?:previsao do tempo|vai chover|clima (?:hoje|amanha)|weather|quem ganhou|who won|quien gano|placar|resultado do jogo|receita de|recipe|receta de|capital d[aeo]|capital of|traduz\w*|translate|escrev[ae] (?:um|uma)|write (?:a|an|me)|poema|poem|codigo em|python|javascript|politica|presidente|president|bitcoin|cripto\w*|dolar hoje|cotacao|horoscopo|signo|medico|doctor|sintomas?|remedio|advogado|lawyer|imposto|taxes|passagem aerea|flights?|uber|ifood|(?:pedir|quero) (?:uma )?pizza|emprego|vagas? de|job opening|hiring|trabalhe conosco|matematica|quanto e \d+ ?[x+*/-]|noticias?|news|filosofia|sentido da vida|meaning of life|futebol|namorar|dating)\b",
        ),
        (
            "change",
            r"\b(?:mudar|alterar|corrigir|change|edit|modificar|cambiar|trocar|mudei|errad[oa]|errei|muda|altera|corrige|corrija)\b",
        ),
    )
)  # fmt: skip

CLAUSES = re.compile(
    r"[?!;\n]+|\.(?=\s|$)|,? (?:e|and|y|mas|but|pero|tambem|also|e tambem) (?=(?:quanto|qual|quais|manda|me manda|finaliz|fech|tira|remov|adicion|coloc|cancel|cade|quero falar|mostra|calcul|compar|how much|whats the|what is|show|place|checkout|check out|send|cuanto|muestra|quita|agreg|paga|ja |pode fechar|pode finalizar|quero fechar|quero finalizar|faz entrega|entregam|tem (?:frete|entrega))\w*)|, (?=(?:quanto|qual (?:a|o)|finaliz|fecha|tira|remov|adicion|coloc|cade|how much|cuanto|e quanto)\w*)"
)
"""Where one message holds several wishes."""

SWAP = re.compile(r"\b(?:troc\w+|troque|mud[ae]\w*|alter\w+|substitu\w+|swap|switch|change|cambi\w+|exchange)\b")
THIS = re.compile(
    r"\b(?:ess[ea]s?|est[ea](?= |$|[?!.,])(?! (?:muito|caro|bem|bom|ai|em|no|na|com|meu|tudo))|isso|ele|ela|dele|dela|desse|dessa|deste|desta|nesse|nessa|aquel[ea]|this|that|it|these|them|es[aeo]|esto|dess[ea]s|o mesmo|a mesma|lo|"
    r"same)\b"
)
BOTH = re.compile(r"\b(?:os dois|as duas|os 2|as 2|ambos|ambas|both|los dos|las dos|los 2|las 2)\b")
ALL = re.compile(r"\b(?:todos|todas|os tres|all of them|all three|los tres)\b")
CHEAP = re.compile(
    r"\b(?:barat[oa]s?|em conta|economic[oa]s?|cheap|affordable|inexpensive|acessive(?:l|is)|bom e barato|low budget|barato)\b"
)
DEAR = re.compile(r"\b(?:premium|luxo|luxuos[oa]s?|sofisticad[oa]s?|luxury|lujos[oa]s?|lujo|high-end)\b")
COMMANDS = re.compile(
    r"\b(?:carrinho|sacola|cart|basket|carrito|adicion\w+|coloc\w+|add|put|agreg\w+|remov\w+|tira\w*|quit\w+|compar\w+|"
    r"entre|between|frete|entrega|envio|shipping|delivery|fica|retirar|pickup|price|preco|precio|comprar|buy|pedido|sobre|about|"
    r"levar|leva|take|llevo|muito|muy|too|very|caro|cara|expensive|loja|store|tienda|mais|mas|more|ser|seria)\b"
)
"""Words of commands: what is left of a clause after them names a product, if anything."""
MAKER = re.compile(
    r"\b(?:da marca|de la marca|marca|brand|by the brand|from the brand|do fabricante|da) ([a-z0-9][a-z0-9&-]{1,30})\b"
)
MAKER_CUE = re.compile(r"\b(?:da marca|de la marca|marca|brand|do fabricante|from the brand)\b")
HAS_CUE = re.compile(r"\b(?:tem|tienen?|have it|vem|existe|do you have it|does it come|tienes|hay|viene)\b")

NAME_CUE = re.compile(
    r"(?i)\b(?:meu nome (?:completo )?(?:é|e|eh)|me chamo|pode colocar (?:no nome d[eo]|em nome de)|em nome de|no nome de|nome:|nome completo:?|my (?:full )?name(?: is|'s|s|:)|i'?m called|name:|mi nombre (?:completo )?es|me llamo|nombre:|a nombre de|"
    r"(?:eu )?sou (?:o|a)|i am|i'm|soy|aqui (?:é|e) (?:o|a)|this is|se llama|nome)\s+"
)
"""On the text as written: a name keeps its capitals."""
STREET_CUE = re.compile(
    r"(?i)\b(?:rua|r\.|av\.?|avenida|alameda|al\.|travessa|tv\.|trav\.|praça|praca|pça\.?|rodovia|rod\.|estrada|estr\.|largo|ladeira|vila|viela|beco|quadra|qd\.?|"
    r"sqn|sqs|condom[ií]nio|conjunto|calle|avda\.?|street|avenue|road|r)\s+[\w'’À-ÿ.°º-]"
)
ENGLISH_STREET = re.compile(r"(?i)\b\d{1,5}\s+[\w'’À-ÿ. ]{2,40}\b(?:street|st\.?|avenue|ave\.?|road|rd\.?)\b")
