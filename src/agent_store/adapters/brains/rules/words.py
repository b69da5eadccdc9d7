"""Words in Portuguese, English and Spanish, accents stripped: slang, colours, sizes, nouns of a shop, stop words.

Nothing here knows a product: nouns are only carried over into the catalogue's language (Brazilian Portuguese).
"""

from __future__ import annotations


def bag(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


EMOJI = {
    "👍": "sim", "✅": "sim", "👌": "sim", "🤝": "sim", "👎": "nao", "❌": "nao", "🙏": "obrigado", "👋": "oi",
}  # fmt: skip

SLANG = {
    "qro": "quero", "kero": "quero", "qero": "quero", "keria": "queria", "qria": "queria", "vc": "voce", "vcs": "voces",
    "ce": "voce", "ces": "voces", "vlw": "valeu", "vlww": "valeu", "flw": "falou", "blz": "beleza", "tmj": "valeu",
    "obg": "obrigado", "obgd": "obrigado", "brigado": "obrigado", "brigada": "obrigada", "pfv": "por favor",
    "pf": "por favor", "pfvr": "por favor", "ñ": "nao", "nn": "nao", "naum": "nao", "num": "num", "tb": "tambem",
    "tbm": "tambem", "tambm": "tambem", "qto": "quanto", "qnto": "quanto", "qnt": "quanto", "qt": "quanto",
    "qtos": "quantos", "kd": "cade", "cd": "cade", "hj": "hoje", "amanha": "amanha", "mto": "muito", "mt": "muito",
    "mta": "muita", "msm": "mesmo", "msg": "mensagem", "pq": "porque", "pqp": "pqp", "qdo": "quando",
    "qnd": "quando", "cmg": "comigo", "dps": "depois", "agr": "agora", "tam": "tamanho", "tamanhos": "tamanhos",
    "eh": "e", "dnv": "de novo", "vdd": "verdade", "ctz": "certeza", "pra": "para", "pro": "para o", "pros": "para os",
    "pras": "para as", "add": "adiciona", "adc": "adiciona", "cel": "celular", "celu": "celular", "zap": "whatsapp",
    "desc": "desconto", "promo": "promocao", "promos": "promocao", "end": "endereco", "prod": "produto",
    "thx": "thanks", "thnx": "thanks", "tks": "thanks", "ty": "thanks", "pls": "please", "plz": "please",
    "wanna": "want to", "gonna": "going to", "gimme": "give me", "lemme": "let me", "whats": "what is",
    "wheres": "where is", "cuanto": "cuanto", "xfa": "por favor", "porfa": "por favor", "grax": "gracias",
    "ola": "ola", "oie": "oi", "oii": "oi", "oioi": "oi", "opa": "opa", "eae": "e ai", "iae": "e ai", "eai": "e ai",
    "salve": "ola", "tdb": "tudo bem", "tdbem": "tudo bem", "td": "tudo", "qual eh": "qual e", "vestidin": "vestido",
    "vestidinho": "vestido", "vestidinhos": "vestidos", "baratin": "barato", "baratinho": "barato",
    "baratinha": "barata", "baratinhos": "barato", "conto": "reais", "contos": "reais", "pila": "reais",
    "pilas": "reais", "pau": "reais", "paus": "reais", "mangos": "reais", "mango": "reais", "real": "reais",
    "reales": "reais",
    "brl": "reais", "bucks": "reais", "dinheiros": "reais", "dilmas": "reais", "tênis": "tenis",
    "sapatin": "sapato", "note": "notebook", "fonezinho": "fone", "precin": "preco", "precinho": "preco",
    "lojinha": "loja", "carrim": "carrinho",
}  # fmt: skip

SLANG_BY_LANGUAGE: dict[str, dict[str, str]] = {
    "pt": {
        "n": "nao", "q": "que", "s": "sim", "ss": "sim", "d": "de", "ta": "esta", "tah": "esta", "tao": "estao",
        "c": "com", "mim": "mim", "v": "ve", "qq": "qualquer", "x": "x", "u": "u", "to": "estou",
    },
    "es": {"q": "que", "k": "que", "xq": "porque", "pq": "porque", "tmb": "tambien", "tb": "tambien", "s": "si",
           "dnd": "donde", "pal": "para el", "n": "no", "to": "todo"},
    "en": {"u": "you", "ur": "your", "r": "are", "n": "and", "y": "why", "k": "ok", "im": "i am", "ive": "i have",
           "pf": "pf", "add": "add", "end": "end", "desc": "description", "real": "real", "note": "note",
           "pro": "pro", "ty": "thanks", "promo": "promo", "cel": "cell", "tam": "tam", "ce": "ce", "cd": "cd"},
}  # fmt: skip

COLORS: dict[str, str] = {}
"""Any word for a colour → the Portuguese one (masculine singular), as catalogues here name it."""
for _pt, _words in {
    "vermelho": "vermelho vermelha vermelhos vermelhas vermelhinho vermelhao red rojo roja rojos rojas colorado",
    "azul": "azul azuis azulzinho blue azules celeste",
    "azul-marinho": "marinho navy marino",
    "verde": "verde verdes verdinho green",
    "preto": "preto preta pretos pretas pretinho pretinha black negro negra negros negras",
    "branco": "branco branca brancos brancas branquinho branquinha white blanco blanca blancos blancas",
    "amarelo": "amarelo amarela amarelos amarelas yellow amarillo amarilla amarillos amarillas",
    "rosa": "rosa rosas rosinha cor-de-rosa pink rosado rosada",
    "roxo": "roxo roxa roxos roxas purple morado morada violeta lilas lila lilac",
    "laranja": "laranja laranjas orange naranja",
    "cinza": "cinza cinzas cinzento cinzenta gray grey gris grises grafite graphite",
    "marrom": "marrom marrons brown marron cafe",
    "bege": "bege beges beige nude caramelo camel",
    "dourado": "dourado dourada dourados douradas gold golden dorado dorada dorados doradas",
    "prata": "prateado prateada prata silver plateado plateada plateados plateadas",
    "vinho": "vinho bordo burgundy bordeaux borgonha",
    "turquesa": "turquesa turquoise",
    "coral": "coral", "creme": "creme cream crema", "terracota": "terracota terracotta",
    "mostarda": "mostarda mustard mostaza", "oliva": "oliva olive", "menta": "menta mint",
    "transparente": "transparente transparent", "estampado": "estampado estampada printed",
}.items():  # fmt: skip
    for _word in _words.split():
        COLORS[_word] = _pt

AMBIGUOUS_COLORS = bag(
    "vinho laranja rosa rosas creme cream crema prata menta mint cafe coral camel caramelo oliva olive "
    "mostarda mustard mostaza marinho marino gold silver orange estampado estampada transparente nude"
)
"""Things as well as colours: a colour only after "cor"/"em" or beside a noun ("blusa creme", not "creme de mãos")."""

LETTER_SIZES = {
    "pp": "PP", "p": "P", "m": "M", "g": "G", "gg": "GG", "xg": "XG", "ggg": "GGG", "eg": "EG", "xgg": "XGG",
    "xp": "XP", "xs": "PP", "s": "P", "l": "G", "xl": "GG", "xxl": "XG", "xxxl": "XGG", "xxs": "XP",
}  # fmt: skip
WORD_SIZES = {
    "pequeno": "P", "pequena": "P", "medio": "M", "media": "M", "grande": "G", "unico": "U", "unica": "U",
    "small": "P", "medium": "M", "large": "G", "mediano": "M", "mediana": "M", "pequenos": "P",
}  # fmt: skip
BARE_ONLY_IN_ENGLISH_OR_SPANISH = frozenset({"s", "l"})

NUMBER_WORDS = {
    "um": 1, "uma": 1, "dois": 2, "duas": 2, "tres": 3, "quatro": 4, "cinco": 5, "seis": 6, "sete": 7, "oito": 8,
    "nove": 9, "dez": 10, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "uno": 1, "una": 1, "un": 1, "cuatro": 4, "siete": 7, "ocho": 8, "nueve": 9, "diez": 10,
    "couple": 2,
}  # fmt: skip
SPANISH_NUMBERS = {"dos": 2}

ORDINALS = {
    "primeiro": 1, "primeira": 1, "primeiros": 1, "segundo": 2, "segunda": 2, "terceiro": 3, "terceira": 3,
    "quarto": 4, "quarta": 4, "quinto": 5, "quinta": 5, "ultimo": -1, "ultima": -1, "1o": 1, "1a": 1, "2o": 2,
    "2a": 2, "3o": 3, "3a": 3, "4o": 4, "4a": 4, "5o": 5, "5a": 5, "first": 1, "second": 2, "third": 3, "fourth": 4,
    "fifth": 5, "last": -1, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4, "5th": 5, "primero": 1, "primera": 1,
    "primer": 1, "tercero": 3, "tercera": 3, "tercer": 3, "cuarto": 4, "cuarta": 4,
}  # fmt: skip

_EN = """
dress=vestido dresses=vestido shirt=camisa shirts=camisa tshirt=camiseta tshirts=camiseta t-shirt=camiseta
t-shirts=camiseta tee=camiseta blouse=blusa blouses=blusa pants=calca trousers=calca jeans=jeans shorts=shorts
skirt=saia skirts=saia jacket=jaqueta jackets=jaqueta coat=casaco coats=casaco sweater=sueter sweaters=sueter
hoodie=moletom hoodies=moletom cardigan=cardiga suit=terno blazer=blazer shoe=sapato shoes=sapato
sneaker=tenis sneakers=tenis trainers=tenis boot=bota boots=bota sandal=sandalia sandals=sandalia heels=salto
slippers=chinelo bag=bolsa bags=bolsa purse=bolsa handbag=bolsa backpack=mochila wallet=carteira belt=cinto
hat=chapeu cap=bone scarf=lenco sunglasses=oculos glasses=oculos watch=relogio watches=relogio ring=anel
rings=anel earring=brinco earrings=brinco necklace=colar bracelet=pulseira jewelry=joia socks=meia bikini=biquini
swimsuit=maio underwear=lingerie bra=sutia pajamas=pijama linen=linho leather=couro cotton=algodao silk=seda
phone=celular phones=celular cellphone=celular smartphone=smartphone mobile=celular laptop=notebook
laptops=notebook notebook=notebook computer=computador computers=computador tablet=tablet tablets=tablet
headphone=fone headphones=fone earphones=fone earbuds=fone headset=headset speaker=caixa speakers=caixa
soundbar=soundbar tv=tv television=tv monitor=monitor monitors=monitor screen=tela keyboard=teclado mouse=mouse
mice=mouse mousepad=mousepad charger=carregador chargers=carregador cable=cabo cables=cabo battery=bateria
powerbank=powerbank camera=camera webcam=webcam printer=impressora router=roteador smartwatch=smartwatch
case=capa drone=drone microphone=microfone ssd=ssd memory=memoria
sofa=sofa couch=sofa chair=cadeira chairs=cadeira table=mesa desk=mesa bed=cama mattress=colchao pillow=travesseiro
cushion=almofada blanket=manta sheets=lencol sheet=lencol towel=toalha towels=toalha curtain=cortina rug=tapete
carpet=tapete lamp=luminaria lamps=luminaria light=luminaria shelf=prateleira bookshelf=estante wardrobe=guarda-roupa
dresser=comoda mirror=espelho vase=vaso pot=panela pots=panela pan=frigideira pans=frigideira cookware=panelas
knife=faca knives=faca plate=prato plates=prato bowl=tigela cup=xicara cups=xicara mug=caneca mugs=caneca glass=copo
cutlery=talheres fridge=geladeira refrigerator=geladeira stove=fogao oven=forno microwave=microondas
blender=liquidificador mixer=batedeira toaster=torradeira kettle=chaleira fan=ventilador vacuum=aspirador
iron=ferro candle=vela candles=vela basket=cesto hammock=rede kitchen=cozinha bathroom=banheiro bedroom=quarto
lipstick=batom lipsticks=batom mascara=rimel foundation=base concealer=corretivo blush=blush eyeshadow=sombra
eyeliner=delineador makeup=maquiagem perfume=perfume perfumes=perfume cologne=colonia shampoo=shampoo
conditioner=condicionador soap=sabonete sunscreen=protetor moisturizer=hidratante lotion=hidratante serum=serum
cleanser=limpeza toner=tonico nail=unha polish=esmalte brush=pincel brushes=pincel comb=pente hair=cabelo
skin=pele skincare=skincare face=rosto lips=labios deodorant=desodorante mask=mascara dryer=secador
straightener=chapinha game=jogo games=jogo console=console controller=controle controllers=controle
joystick=controle gamepad=controle gaming=gamer gamer=gamer pc=pc graphics=video card=placa rgb=rgb
figure=figura collectible=colecionavel toy=brinquedo toys=brinquedo book=livro gift=presente gifts=presente
present=presente mom=mae mother=mae dad=pai father=pai girlfriend=namorada boyfriend=namorado wife=esposa
husband=marido party=festa wedding=casamento work=trabalho beach=praia summer=verao winter=inverno kid=infantil
kids=infantil child=infantil women=feminino woman=feminino men=masculino man=masculino wireless=sem fio
waterproof=prova dagua bluetooth=bluetooth mechanical=mecanico long=longo short=curto formal=formal casual=casual
running=corrida sport=esporte sports=esporte oily=oleosa dry=seca matte=matte
"""
_ES = """
vestidos=vestido falda=saia faldas=saia pantalon=calca pantalones=calca camisa=camisa camisas=camisa
camiseta=camiseta remera=camiseta remeras=camiseta playera=camiseta polera=camiseta blusa=blusa chaqueta=jaqueta
campera=jaqueta chamarra=jaqueta abrigo=casaco sueter=sueter jersey=sueter sudadera=moletom buzo=moletom
zapato=sapato zapatos=sapato zapatillas=tenis zapatilla=tenis tenis=tenis botas=bota bota=bota sandalias=sandalia
sandalia=sandalia tacones=salto bolso=bolsa bolsos=bolsa cartera=bolsa mochila=mochila billetera=carteira
cinturon=cinto sombrero=chapeu gorra=bone bufanda=lenco panuelo=lenco gafas=oculos lentes=oculos reloj=relogio
anillo=anel aretes=brinco pendientes=brinco collar=colar pulsera=pulseira joyas=joia calcetines=meia lino=linho
cuero=couro algodon=algodao seda=seda telefono=celular telefonos=celular movil=celular celular=celular
portatil=notebook laptop=notebook computadora=computador ordenador=computador tableta=tablet auriculares=fone
audifonos=fone auricular=fone cascos=fone altavoz=caixa parlante=caixa bocina=caixa pantalla=tela teclado=teclado
raton=mouse cargador=carregador cable=cabo bateria=bateria camara=camera impresora=impressora funda=capa
silla=cadeira sillas=cadeira mesa=mesa escritorio=escritorio cama=cama colchon=colchao almohada=travesseiro
cojin=almofada cojines=almofada manta=manta sabana=lencol sabanas=lencol toalla=toalha toallas=toalha
cortina=cortina alfombra=tapete lampara=luminaria estante=estante armario=guarda-roupa espejo=espelho
florero=vaso jarron=vaso olla=panela ollas=panela sarten=frigideira cuchillo=faca cuchillos=faca plato=prato
platos=prato taza=caneca tazas=caneca vaso=copo vasos=copo cubiertos=talheres nevera=geladeira heladera=geladeira
estufa=fogao horno=forno microondas=microondas licuadora=liquidificador batidora=batedeira tostadora=torradeira
hervidor=chaleira ventilador=ventilador aspiradora=aspirador plancha=ferro vela=vela velas=vela canasta=cesto
hamaca=rede cocina=cozinha bano=banheiro labial=batom labiales=batom pintalabios=batom rimel=rimel base=base
corrector=corretivo rubor=blush sombras=sombra delineador=delineador maquillaje=maquiagem perfume=perfume
perfumes=perfume champu=shampoo acondicionador=condicionador jabon=sabonete protector=protetor crema=creme
hidratante=hidratante suero=serum unas=unha esmalte=esmalte brocha=pincel brochas=pincel cabello=cabelo pelo=cabelo
piel=pele cara=rosto labios=labios desodorante=desodorante secador=secador juego=jogo juegos=jogo
videojuego=jogo videojuegos=jogo consola=console mando=controle control=controle joystick=controle
tarjeta=placa grafica=video silla=cadeira juguete=brinquedo juguetes=brinquedo libro=livro regalo=presente
regalos=presente mama=mae madre=mae papa=pai padre=pai novia=namorada novio=namorado esposa=esposa esposo=marido
fiesta=festa boda=casamento trabajo=trabalho playa=praia verano=verao invierno=inverno ninos=infantil nino=infantil
mujer=feminino hombre=masculino inalambrico=sem inalambricos=sem largo=longo corto=curto correr=corrida
deporte=esporte mecanico=mecanico seca=seca grasa=oleosa graso=oleoso medias=meia vaqueros=jeans vaquero=jeans vaquera=jeans
chaquetas=jaqueta abrigos=casaco sueteres=sueter blusas=blusa camisetas=camiseta cortos=curto cortas=curto corta=curto
largos=longo larga=longo largas=longo tacon=salto ropa=roupa presion=pressao pestanas=cilios auris=fone zapas=tenis compu=computador
"""


def _pairs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split():
        left, _, right = part.partition("=")
        if right:
            found[left] = right
    return found


ENGLISH = _pairs(_EN) | {"wireless": "sem fio", "waterproof": "prova d agua"}
SPANISH = _pairs(_ES) | {"inalambrico": "sem fio", "inalambricos": "sem fio"}
PHRASES = {
    "video game": "videogame", "hair dryer": "secador", "air fryer": "air fryer", "t shirt": "camiseta",
    "running shoes": "tenis corrida", "graphics card": "placa video", "power bank": "power bank",
    "smart watch": "smartwatch", "sun glasses": "oculos", "gaming chair": "cadeira gamer",
    "silla gamer": "cadeira gamer", "tarjeta grafica": "placa video", "secador de pelo": "secador cabelo",
    "vacuum cleaner": "aspirador", "coffee maker": "cafeteira", "cell phone": "celular", "bed sheet": "lencol",
    "traje de bano": "maio", "trajes de bano": "maio", "camara web": "webcam", "consola portatil": "console portatil",
    "toalla de bano": "toalha banho", "toallas de bano": "toalha banho", "mascara de pestanas": "rimel",
    "nail polish": "esmalte", "high heels": "salto", "sem fios": "sem fio", "sem fio": "sem fio",
}  # fmt: skip
"""Two and three words that mean one thing; tried before single words."""

PORTUGUESE = bag(
    """
vestido vestidos camisa camisas camiseta camisetas blusa blusas calca calcas jeans short shorts saia saias jaqueta
jaquetas casaco casacos sueter moletom cardiga terno blazer sapato sapatos tenis bota botas sandalia sandalias salto
chinelo chinelos bolsa bolsas mochila mochilas carteira cinto cintos chapeu bone lenco oculos relogio relogios anel
aneis brinco brincos colar colares pulseira pulseiras joia joias meia meias biquini maio lingerie sutia cueca pijama
linho couro algodao seda malha croche tricot renda roupa roupas look looks macacao cropped body regata bermuda tailleur
celular celulares smartphone notebook notebooks computador tablet tablets fone fones headset caixa caixinha soundbar tv
televisao televisor monitor monitores tela teclado teclados mouse mousepad carregador cabo bateria powerbank camera
webcam impressora roteador smartwatch capa capinha pelicula drone microfone ssd hd memoria placa video processador
sofa cadeira cadeiras poltrona mesa mesas cama camas colchao travesseiro almofada almofadas manta mantas lencol
edredom toalha toalhas cortina cortinas tapete tapetes luminaria luminarias abajur lampada prateleira estante armario
comoda espelho espelhos vaso vasos quadro panela panelas frigideira faca facas prato pratos tigela xicara xicaras
caneca canecas copo copos taca tacas talheres geladeira fogao forno microondas liquidificador batedeira torradeira
chaleira cafeteira ventilador aspirador ferro vela velas cesto rede cozinha banheiro quarto sala varanda jardim
escritorio decoracao organizador lixeira fritadeira sanduicheira purificador umidificador difusor
batom batons rimel base corretivo blush sombra sombras paleta delineador maquiagem maquiagens perfume perfumes colonia
shampoo condicionador sabonete protetor hidratante hidratantes serum limpeza tonico unha unhas esmalte esmaltes pincel
pinceis pente cabelo cabelos pele rosto labios labial desodorante mascara secador chapinha modelador gloss primer
iluminador contorno po bruma oleo argila vitamina acido creme cremes kit kits necessaire
jogo jogos game games console consoles controle controles joystick gamer videogame pc rgb figura colecionavel boneco
brinquedo livro funko poster presente presentes mae pai namorada namorado esposa marido amiga amigo filha filho avo
festa casamento trabalho praia verao inverno infantil feminino feminina masculino masculina corrida esporte academia
viagem formal casual longo longa curto curta midi mini oleosa seca mista sensivel matte bluetooth mecanico sem fio
luva luvas fita cesta jantar banho corpo bebe crianca pet cachorro gato barra bola bolas mala malas porta pote potes
garrafa garrafas termica jarra balde tabua suporte base pulverizador carrinhos pista trilha manga marca modelo
"""
)
"""Nouns and needs that say "I am looking for a thing" by themselves, and that are never mended into key words."""

NOUNS = PORTUGUESE | ENGLISH.keys() | SPANISH.keys()

STOP = bag(
    """
a o as os um uma uns umas de do da dos das em no na nos nas por pelo pela para com sem_ que qual quais e ou mas se eu
me mim voce voces te lhe meu minha meus minhas seu sua seus suas ele ela eles elas isso isto aquilo esse essa esses
essas este esta estes estas aquele aquela aqueles aquelas la aqui ai ali ja so tambem muito muita bem mais menos
tem temos ter teria tinha ha haver quero queria gostaria gostava preciso precisava procuro procurando procurar busco tienes
buscando buscar vou ver vendo olhar olhando mostra mostrar mostre mostrem mande manda mandar envia enviar me_ achar acha
encontrar comprar compro levar pegar querer algum alguma alguns algumas coisa coisas algo opcao opcoes produto produtos
item itens favor ola oi opa e_ estou esta estao to ta sou era ser sendo fazer faz pode poder podem consegue conseguem
conseguir dar da_ sabe saber vende vendem vender disponivel disponiveis estoque ainda agora hoje entao dai tipo assim
cor cores tamanho tamanhos numero marca preco precos valor reais r$ ate entre faixa bom boa bonito bonita legal
bacana lindo linda outro outra outros outras quanto quanta custa custam loja moca moco amigo_ gente nao sim obrigado
obrigada valeu beleza show sobre dessa desse deste desta nessa nesse pra pro ok tudo todo toda todos todas uso usar
verdade realidade mesmo msm desculpa desculpe perdao sorry perdon ajuda ajudar escolher escolha ideia sugestao pensando afim queremos dica
i im am is are was be been the an of in on at to for with without_ and or but if my your you me_ we our it its this that
these those there have has had do does did dont want wants would like need needs looking look find finding search show
send give get got buy any some something anything thing things one ones please hello hi hey what which who how much many
can could will shall may let lets see color colour size price cost costs under_ about just also very really good nice
cute pretty store shop available stock now today other another more less than sell brand around id ill
el los las un una unos unas del al lo le les nos su sus mi mis tu tus yo usted ustedes ellos ellas eso esto ese esa esos
esas este aquel aquella que_ cual cuales y o_ pero si por para_ con sin_ en muy mas menos_ tambien ya solo hay tiene
tienen tener tengo quiero quisiera quieres necesito buscando mostrar muestra muestrame muestreme ensename mandame dame
deme comprar_ llevar encontrar_ algun alguna algunos algunas cosa cosas algo_ opcion opciones producto productos favor_
hola buenas talla tallas color_ precio precios cuanto cuesta cuestan bueno buena bonito_ lindo_ otro otra otros otras
tienda disponible ahora hoy entonces asi puede puedes podria podrias ver_ vendes venden gracias me gustaria alguno
cerca estoy soy es son
"""
)
"""Words that add nothing to a product search (an underscore marks a word that another language needs)."""

_KEYWORDS = """
carrinho sacola comprar compra quero queria pedido pedidos pagar pagamento finalizar fechar entrega entregar frete
retirar retirada adiciona adicionar coloca colocar remove remover tirar cancelar cancela comparar compara diferenca
detalhes detalhe tamanho quanto preco barato barata baratos caro atendente humano pessoa desconto promocao obrigado
obrigada valeu beleza primeiro segundo terceiro quarto ultimo vermelho vermelha amarelo branco azul preto_ verde_ roxo
cinza laranja_ marrom dourado endereco rastrear rastreio status confirmar confirmo confirma mostra mostrar procuro
preciso gostaria outro outra ajuda categorias unidades reais limpar esvaziar recomenda sugere indica boleto cartao
parcelar trocar devolver troca devolucao bom_ tchau
cart checkout order orders delivery shipping pickup compare difference details cheaper cheap expensive discount
remove cancel track tracking person human agent address thanks please color_ confirm recommend category categories
carrito comprar_ pedidos_ envio retirar_ agregar agrega quitar eliminar cancelar_ comparar_ diferencia barato_
quiero gracias direccion confirmar_ persona descuento talla hablar finalizar_ ayuda vermelhos buscando busco necesito
"""

KEYWORDS: dict[str, tuple[str, ...]] = {}
"""The words that patterns look for, by first letter: what mistyped words are compared with."""
for _word in dict.fromkeys(word.rstrip("_") for word in _KEYWORDS.split() if not word.endswith("_")):
    KEYWORDS[_word[0]] = (*KEYWORDS.get(_word[0], ()), _word)

KNOWN = frozenset(
    {word.rstrip("_") for word in _KEYWORDS.split()}
    | STOP
    | NOUNS
    | COLORS.keys()
    | WORD_SIZES.keys()
    | ORDINALS.keys()
    | NUMBER_WORDS.keys()
    | bag(
        """
    claro clara claros claras escuro escura escuros escuras light shopping canela pessoal pessoais banco bancos bolero
    quiere quieren quieres quiera pagos limpa limpo limpos limpas custo gosto posto resto testa fresco fresca prego
    cartaz pedra porta portas carga carne older trick cable entrada entradas contato retrato barba barco barra courto
    corpo cerca cesto tocar tomar virar levar lavar outras mostarda pulso ponta pente palha penteado celeste cereja
    cresce creme escolher escolha ajudar nunca sempre tarde noite manha semana domingo sabado segunda
    quer querem quando quantos quantas queridos quera pessoas precos compras entregas entregam retiro pago paga pagou
    fecha fechou trocas persona personas personal cancelei cancelou pedi pedir pedido compro comprei comprou carro
    carros caros cara mostro monstro barata frente fretes indico indicar valor valores verdade detalhado primeira
    carta cartas carte corta compara comparo reta orders ordered delivered person personal agents details confirmed
    tracked retire retira tirou azuis finalizado retorno retornar rota rotas segunda terceira quarta ultima manta manda
    mandar marca marcas talco tacho troco casual estado estatua ponto conta contas quente quarto corte parcela parcelas
    parcelado cinto cintas verniz cambiar cambio confiar conforto confortavel
    """
    )
)
"""Words that are right as they are."""
