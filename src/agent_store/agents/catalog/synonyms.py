"""Shop vocabulary of Portuguese, English and Spanish: what to look for beside the word that a customer used.

A line of `_SAME` is a group of words and phrases of one meaning, in any direction. A line of `_ALSO` goes one way: who
asks for what is on the left is also shown what is on the right. Written without accents; forms that `words.stem` makes
the same (number, gender) stand there once.
"""

from __future__ import annotations

from functools import cache

from agent_store.agents.catalog.words import content, stems

Phrase = tuple[str, ...]
"""Stems that must all be there."""

_COLORS = """
vermelho, red, rojo, rubro, encarnado
azul, blue
azul marinho, marinho, navy, navy blue, azul marino, marino
azul claro, light blue, sky blue, celeste, azul celeste, azul bebe, baby blue
verde, green
verde menta, menta, mint
verde militar, militar, army green, military, olive, oliva, verde oliva
preto, black, negro
branco, white, blanco
off white, creme, cream, crema, marfim, ivory, cru
cinza, gray, grey, gris, chumbo
grafite, graphite, grafito
amarelo, yellow, amarillo
mostarda, mustard, mostaza
laranja, orange, naranja, anaranjado
rosa, pink, rosado, rosinha, cor de rosa, fucsia, magenta
rose, rose gold, rosegold
roxo, purple, morado, violeta, purpura
lilas, lilac, lila, lavanda, lavender
marrom, brown, cafe, marron, castanho, chocolate
caramelo, caramel, camel, tan
bege, beige
nude, nudes
vinho, bordo, burgundy, wine, vino, borgonha, marsala, bordeaux
terracota, terracotta, tijolo
turquesa, turquoise, tiffany
coral, salmao, salmon, pessego, peach
dourado, gold, golden, dorado, ouro
prateado, silver, plateado, prata, plata
cobre, copper, bronze
transparente, clear, transparent, incolor
natural, cor natural, madeira clara
colorido, colorful, colourful, multicolor, colorida
"""

_ALSO_COLORS = """
vermelho > vinho
rosa > rose
roxo > lilas
azul > turquesa
branco > off white, creme
cinza > grafite
bege > nude, natural, creme
marrom > caramelo
dourado > rose
"""

_SAME = """
vestido, dress, gown, vestidinho, vestidao
camiseta, t shirt, tshirt, tee, playera, remera, camisetinha
camisa, shirt, blusa de botao
blusa, blouse, top, blusinha
calca, pants, trousers, pantalon, slacks
jeans, denim, vaquero, vaqueros, mezclilla
saia, skirt, falda, saiote, sainha
short, shorts, bermuda, shortinho, pantalon corto, pantaloneta
moletom, sweatshirt, hoodie, sudadera
jaqueta, jacket, chaqueta, chamarra, campera
casaco, coat, abrigo, saco, casacao, agasalho
blazer, terninho, americana
sueter, sweater, jersey, pulover, chompa
trico, knit, knitwear, tejido, la, wool, lana
cardigan, cardiga, casaquinho
inverno, frio, winter, invierno, quentinho, cold
verao, summer, verano, calor
praia, beach, playa
piscina, pool, swimming pool, pileta, alberca
maio, swimsuit, traje de bano, banador, biquini, bikini, bathing suit
tenis, sneaker, sneakers, trainers, zapatilla, zapatillas, tennis shoes, running shoes, kicks
corrida, running, correr, run, jogging
academia, gym, gimnasio, fitness, malhar, treino, workout
sapato, shoe, shoes, zapato, calcado, calzado, footwear
salto, heel, heels, high heels, tacon, tacones, salto alto, scarpin, pumps, stiletto
sandalia, sandal, anabela, wedge, sandalias
bota, boot, boots, botas, coturno, botinha, botines
bolsa, handbag, purse, bag, bolso, cartera
mochila, backpack, rucksack
clutch, bolsa de festa, evening bag, bolsa pequena
chapeu, hat, sombrero
cinto, belt, cinturon, correa
oculos de sol, sunglasses, gafas de sol, lentes de sol, anteojos de sol, oculos escuro
relogio, watch, reloj, wristwatch
colar, necklace, collar, gargantilha
brinco, earring, earrings, aretes, pendientes, argola, zarcillos, aros
joia, jewelry, jewellery, joya, joyas, bijuteria, joyeria
prata, silver, plata
couro, leather, cuero, piel
algodao, cotton, algodon
linho, linen, lino
seda, silk, cetim, satin
festa, party, fiesta, balada, evening, gala
casamento, wedding, boda, matrimonio, bodas
formatura, graduation, prom, graduacion
trabalho, work, office, oficina, escritorio, trabajo, profissional
social, formal, elegante, elegant, chique, chic, fancy
casual, dia a dia, everyday, diario
longo, long, largo, comprido, maxi
curto, short length, corto, mini
floral, florido, flowers, flores, flowery, floreado, floreada, flower
listrado, striped, stripes, rayas, listras, rayado
xadrez, plaid, checkered, flannel, cuadros, flanela
presente, gift, regalo, presentinho, lembrancinha, present, obsequio, mimo
dia das maes, mothers day, dia de la madre, mae, mother, mom, mama, mamae, madre
masculino, men, mens, man, male, hombre, homem, caballero, para ele
feminino, women, womens, woman, female, mujer, mulher, ladies, damas, para ela
infantil, kids, kid, child, children, nino, nina, ninos, crianca, menino, menina, criancas
bebe, baby, neném, nenem, recem nascido
unissex, unisex
celular, phone, cellphone, cell phone, mobile phone, smartphone, telefono, telefone, movil, cel, zap
notebook, laptop, portatil, computadora portatil, note, ordenador portatil, notebuque
computador, computer, pc, computadora, ordenador, desktop
tablet, ipad, tableta
fone, headphone, headphones, fone de ouvido, auricular, auriculares, audifonos, foninho, earphone, earphones
earbud, earbuds, intra auricular, in ear, airpods, fone sem fio
headset, fone gamer, fone com microfone, diadema
caixa de som, speaker, speakers, bluetooth speaker, parlante, altavoz, bocina, caixinha de som, som
cancelamento de ruido, noise cancelling, noise canceling, cancelacion de ruido, anc, noise cancellation
sem fio, wireless, inalambrico, bluetooth, sin cable
com fio, wired, con cable, cableado
televisao, tv, television, televisor, tele, smart tv
camera, camara, camera fotografica, maquina fotografica
smartwatch, relogio inteligente, smart watch, reloj inteligente
pulseira, bracelet, wristband, smartband, pulsera, band
tela, screen, pantalla, display
teclado, keyboard, tecladinho
mouse, raton, mice, mause, mouses
impressora, printer, impresora
roteador, router, wifi, wi fi, enrutador, internet, modem
carregador, charger, cargador, fonte, recarga
power bank, powerbank, bateria externa, carregador portatil, portable charger, bateria portatil
armazenamento, storage, almacenamiento, ssd, hd, disco duro, hard drive, hd externo
cartao de memoria, memory card, tarjeta de memoria, microsd, sd card
idoso, elderly, senior, avo, anciano, mayores, grandma, grandpa, terceira idade, vovo
estudo, study, estudar, faculdade, college, estudiar, estudos, escola, school, universidad
barato, cheap
potente, powerful, poderoso, forte
pequeno, small, pequenito, chico
grande, big, large, enorme
sofa, couch, sillon
sofa cama, sofa bed
poltrona, armchair, butaca, recliner, sillon
cadeira, chair, silla
banqueta, stool, taburete, banco alto
mesa, table
escrivaninha, desk, escritorio de estudio, mesa de estudo
estante, bookshelf, bookcase, estanteria, librero, prateleira, shelf, shelves, repisa
cama, bed
casal, double bed, queen, matrimonial, casados
solteiro, single bed, twin, individual
luminaria, lamp, lampara, abajur, light, luz, lampada
tapete, rug, carpet, alfombra, mat
almofada, cushion, pillow, cojin, throw pillow
manta, blanket, throw, cobertor, cobija, frazada
toalha, towel, toalla
lencol, sheet, sheets, sabana, bed sheet, roupa de cama, jogo de cama, bedding
cortina, curtain, curtains, drapes
espelho, mirror, espejo
quadro, picture frame, painting, wall art, cuadro, arte, poster
vaso, vase, florero, jarron
planta, plant
vela, candle, velas
cesto, basket, canasta, cesta
organizacao, organizer, organizador, storage basket, organizar
roupa suja, laundry, lavanderia, ropa sucia, hamper
panela, pan, pot, olla, cookware, cazuela, cacerola, cacarola, sarten, pots
prato, plate, plato, dish, dishes, dinnerware, louca, vajilla, aparelho de jantar, plates
caneca, mug, taza, cup, xicara
liquidificador, blender, licuadora, batidora
air fryer, airfryer, fritadeira, fritadeira sem oleo, freidora de aire, freidora, fryer
cafeteira, coffee maker, coffee machine, cafetera, espresso machine, maquina de cafe
cafe, coffee
cozinha, kitchen, cocina, cozinhar, cooking, cocinar, cook
sala, living room, sala de estar, salon
quarto, bedroom, dormitorio, recamara, habitacion
banheiro, bathroom, bano
decoracao, decor, decoration, home decor, decoracion
leitura, reading, ler, leer, lectura, read
madeira, wood, wooden, madera
batom, lipstick, labial, pintalabios, lapiz labial
labio, lips, lip, boca, labios
gloss, lip gloss, brilho labial, brillo labial
maquiagem, makeup, make up, maquillaje, make
base, foundation
corretivo, concealer, corrector
po compacto, powder, face powder, polvo compacto, po facial, polvo
blush, rubor, colorete
iluminador, highlighter
sombra, eyeshadow, sombras, eye shadow
rimel, mascara de cilios, mascara, mascara de pestanas, pestanina
delineador, eyeliner
sobrancelha, eyebrow, brow, ceja, cejas
olho, eye, eyes, ojo, ojos
perfume, fragrance, colonia, fragancia, cologne, parfum, perfuminho
hidratante, moisturizer, moisturiser, lotion, crema hidratante, locion, humectante
creme, cream, crema
serum, suero
limpeza, cleanser, limpiador, cleansing, limpeza de pele
demaquilante, makeup remover, desmaquillante, removedor de maquiagem
sabonete, soap, jabon
protetor solar, sunscreen, sunblock, protector solar, filtro solar, bloqueador solar, bloqueador
shampoo, xampu, champu
condicionador, conditioner, acondicionador
cabelo, hair, pelo, cabello
cacho, cachos, curls, curly, rizos, cacheado, rizado, crespo, curly hair
secador, hair dryer, dryer, secadora, secador de pelo, blow dryer
chapinha, prancha, flat iron, hair straightener, straightener, plancha, alisador
oleo, oil, aceite
rosto, face, facial, cara, rostro
corpo, body, corporal, cuerpo
pele, skin, piel
pele seca, dry skin, piel seca
pele oleosa, oily skin, piel grasa
skincare, skin care, cuidado de la piel, cuidados com a pele
esmalte, nail polish, esmalte de unas, unha, nail, nails, unas
pincel, brush, brocha, pinceis, brushes
esfoliante, scrub, exfoliante, exfoliating
barba, beard, barbear, shaving, afeitar
anti idade, antiage, anti aging, antirrugas, rugas, wrinkles, arrugas
console, consola, videogame, video game, videojuego, gaming console, games
jogo, game, juego, joguinho, gamezinho
controle, controller, joystick, gamepad, mando, manete, control
cadeira gamer, gaming chair, silla gamer
mousepad, mouse pad, deskpad, alfombrilla
volante, steering wheel, racing wheel
futebol, soccer, football, futbol
terror, horror, suspense, scary, miedo
aventura, adventure, rpg
tiro, shooter, fps, disparos
luta, fight, fighting, pelea
familia, family
retro, vintage, classico, classic, nostalgia, antigo, clasico
realidade virtual, virtual reality, vr, realidad virtual, oculos vr
microfone, microphone, mic, microfono
webcam, camera web
live, streaming, streamer, stream, transmissao
boneco, action figure, figure, figura, toy, muneco, brinquedo, juguete, doll
cartao presente, gift card, tarjeta de regalo, vale presente, giftcard
gamer, gaming
fofo, cute, kawaii, bonitinho, lindo
silencioso, quiet, silent, silencio
confortavel, comfortable, comodo, comfy, conforto
viagem, travel, viaje, viajar, trip
foto, photo, photography, fotografia, fotos
musica, music
esporte, sport, sports, deporte, esportivo, deportivo, sporty
moda, fashion, ropa, roupa, clothes, clothing
couro ecologico, vegan leather, faux leather
a prova d agua, waterproof, impermeavel, impermeable, prova dagua, resistente al agua
jardim, garden, jardin
home office, teletrabalho
noite, night, noche, nocturno
edicao de video, video editing, edicion de video
desenho, drawing, dibujo, desenhar, dibujar, sketch
portatil, portable, handheld, de mao
"""

_ALSO = """
sapato > tenis, sandalia, bota, scarpin
joia > colar, brinco, pulseira
casaco > jaqueta, blazer, cardigan, sueter, trico
blusa > camiseta, camisa, trico
inverno > trico, sueter, jaqueta, manta
verao > praia
maquiagem > batom, base, blush, rimel, sombra
luminaria > abajur
fone > headset, earbud, headphone
earbud > fone
headset > fone
computador > notebook, pc gamer
festa > festa, salto
praia > maio, chapeu, protetor solar
roupa > vestido, camiseta, calca, saia
skincare > hidratante, serum, protetor solar
brinquedo > boneco, jogo
cama > lencol
anel > joia
calcado > tenis, sandalia, bota, scarpin
acessorio > cinto, oculos de sol, chapeu, relogio
namorada > feminino, presente
namorado > masculino, presente
esposa > feminino, presente
marido > masculino, presente
girlfriend > feminino, presente
boyfriend > masculino, presente
wife > feminino, presente
husband > masculino, presente
novia > feminino, presente
novio > masculino, presente
mae > presente
aniversario > presente
birthday > presente
cumpleanos > presente
natal > presente
christmas > presente
navidad > presente
pai > masculino
padre > masculino
dad > masculino
"""


def _phrase(text: str) -> Phrase:
    return tuple(stems(text))


def _lines(text: str) -> list[str]:
    return [line for line in text.strip().splitlines() if line.strip()]


def _read(same: str, also: str) -> dict[Phrase, tuple[Phrase, ...]]:
    table: dict[Phrase, list[Phrase]] = {}
    groups = [list(dict.fromkeys(p for part in line.split(",") if (p := _phrase(part)))) for line in _lines(same)]
    member: dict[Phrase, list[list[Phrase]]] = {}
    for group in groups:
        for phrase in group:
            member.setdefault(phrase, []).append(group)
            table.setdefault(phrase, []).extend(other for other in group if other != phrase)
    for line in _lines(also):
        asked, shown = line.split(">")
        left = _phrase(asked)
        askers = [phrase for group in member.get(left, [[left]]) for phrase in group]
        extra = [
            phrase
            for part in shown.split(",")
            for right in [_phrase(part)]
            for group in member.get(right, [[right]])
            for phrase in group
        ]
        for asker in askers:
            table.setdefault(asker, []).extend(extra)
    return {phrase: tuple(dict.fromkeys(o for o in others if o != phrase)) for phrase, others in table.items()}


@cache
def table() -> dict[Phrase, tuple[Phrase, ...]]:
    """What else to look for, by phrase. Built on first use: a process that never searches does not pay for it."""
    merged = dict(_read(_COLORS, _ALSO_COLORS))
    for phrase, others in _read(_SAME, _ALSO).items():
        merged[phrase] = tuple(dict.fromkeys((*merged.get(phrase, ()), *others)))
    return merged


@cache
def colors() -> dict[Phrase, tuple[Phrase, ...]]:
    """The colours among them, with the shades that also count."""
    return _read(_COLORS, _ALSO_COLORS)


@cache
def longest() -> int:
    """Words of the longest phrase."""
    return max(len(phrase) for phrase in table())


@cache
def spelled() -> frozenset[str]:
    """All single words that the tables know as they are written: what a mistyped word may have meant."""
    parts = (content(part) for line in (*_lines(_COLORS), *_lines(_SAME)) for part in line.split(","))
    return frozenset(words[0] for words in parts if len(words) == 1 and len(words[0]) > 2)


__all__ = ["Phrase", "colors", "longest", "spelled", "table"]
