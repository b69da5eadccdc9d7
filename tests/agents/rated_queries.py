"""Queries rated against the sample catalogue: 3 is what was meant, 2 would do, 1 is near.

A line: brand | query | product ids by grade, `3: a b; 2: c; 1: d`. Kinds of query stand under a heading, so that a
figure can be given for each.
"""

from __future__ import annotations

from dataclasses import dataclass

_RATED = """
# clean
fashion | vestido vermelho | 3: vestido-midi-aurora vestido-longo-safira vestido-curto-pimenta vestido-chemise-outono vestido-tubinho-executiva vestido-festa-rubi
fashion | vestido longo de festa | 3: vestido-longo-safira vestido-festa-rubi; 2: vestido-midi-aurora
fashion | vestido para trabalhar no escritório | 3: vestido-chemise-outono vestido-tubinho-executiva
fashion | camisa branca social | 3: camisa-social-vitoria; 1: camisa-linho-rede
fashion | calça jeans cintura alta | 3: calca-jeans-reta-caju calca-wide-leg-horizonte
fashion | jaqueta de couro preta | 3: jaqueta-couro-eco-neblina; 1: jaqueta-jeans-avenida
fashion | tênis para corrida | 3: tenis-corrida-passada; 1: tenis-urbano-ponte tenis-plataforma-nuvem
fashion | bolsa de festa pequena | 3: mini-bolsa-luar; 2: bolsa-estruturada-lira
fashion | maiô para natação | 3: maio-nadador-corrente; 2: maio-decote-lagoa
fashion | presente para o dia das mães | 3: colar-relicario-broto; 1: colar-pedra-ametista brinco-argola-gota relogio-classico-meridiano cinto-couro-trama
fashion | roupa quentinha de lã para o inverno | 3: trico-gola-alta-lareira sueter-jacquard-geada cardigan-ponto-arroz; 1: camisa-xadrez-serra jaqueta-couro-eco-neblina
tech | celular com boa câmera | 3: celular-orbe-s9 celular-orbe-ultra; 1: celular-orbe-a5 celular-lumo-dobra
tech | celular simples para idoso | 3: celular-lumo-essencial
tech | notebook para faculdade | 3: notebook-prisma-14; 1: notebook-trilho-15 notebook-trilho-gira
tech | fone com cancelamento de ruído | 3: fone-cancelamento-silencio-pro fone-bluetooth-gota-max
tech | fone de ouvido sem fio para academia | 3: fone-bluetooth-gota; 2: fone-bluetooth-gota-max
tech | caixa de som à prova d'água | 3: caixa-som-batuque caixa-som-batuque-mini
tech | tablet para criança | 3: tablet-lousa-kids
tech | TV 55 polegadas | 3: tv-vitral-55-oled
tech | relógio inteligente com gps | 3: relogio-inteligente-pulso-2 relogio-inteligente-pulso-trilha
tech | carregador de notebook | 3: carregador-rapido-faisca-67w; 2: power-bank-turbina-20000
tech | mouse ergonômico vertical | 3: mouse-vertical-punho
home | sofá retrátil | 3: sofa-retratil-cochilo
home | cadeira de escritório | 3: cadeira-escritorio-postura
home | mesa de jantar | 3: mesa-jantar-quatro-prosa; 1: cadeira-jantar-toada
home | luminária para quarto de criança | 3: abajur-infantil-lua; 1: luminaria-mesa-vagalume
home | tapete felpudo cinza | 3: tapete-felpudo-nevoa
home | jogo de panelas de cerâmica | 3: jogo-panelas-fogao-brasa
home | cafeteira expresso | 3: cafeteira-expresso-aroma; 1: cafeteira-filtro-manha
home | cesto para roupa suja | 3: cesto-roupa-tampa-varal cesto-organizador-tear
beauty | batom vermelho matte | 3: batom-matte-veludo
beauty | base para pele oleosa | 3: base-liquida-pele-viva
beauty | shampoo para cabelo cacheado | 3: shampoo-cachos-mola; 1: condicionador-cachos-mola creme-pentear-mola
beauty | perfume masculino amadeirado | 3: perfume-couro-e-cafe
beauty | protetor solar para o rosto | 3: protetor-solar-facial-toque-seco; 2: protetor-solar-corporal-familia
beauty | hidratante para pele seca | 3: creme-noturno-colo-de-mae hidratante-corporal-jasmim hidratante-corporal-cupuacu; 1: hidratante-facial-orvalho
beauty | secador de cabelo | 3: secador-cabelo-ventania
gaming | headset sem fio | 3: headset-trovao-sem-fio
gaming | jogo de futebol | 3: jogo-craques-da-varzea
gaming | cadeira gamer preta | 3: cadeira-gamer-cabine; 1: cadeira-gamer-cabine-tecido
gaming | controle sem fio para pc | 3: controle-cometa-sem-fio; 2: controle-elite-falcao controle-retro-bolacha
gaming | videogame para criança | 3: console-cometa-mini portatil-vaga-lite; 1: console-cometa-x console-retro-fliper
gaming | teclado mecânico silencioso | 3: teclado-gamer-estalo-sussurro; 2: teclado-gamer-estalo
gaming | microfone para live | 3: microfone-live-papagaio; 1: headset-orelhinha-ronrom camera-live-janelinha
# typos, missing accents, slang
fashion | vestdio vermelo | 3: vestido-midi-aurora vestido-longo-safira vestido-curto-pimenta vestido-chemise-outono vestido-tubinho-executiva vestido-festa-rubi
fashion | calsa jeanz | 3: calca-jeans-reta-caju calca-wide-leg-horizonte; 1: saia-jeans-botoes jaqueta-jeans-avenida
fashion | jakueta de coro | 3: jaqueta-couro-eco-neblina; 1: jaqueta-jeans-avenida
fashion | oculos de sol | 3: oculos-sol-gatinho
fashion | quero um tenes branco p usar no dia a dia | 3: tenis-urbano-ponte; 2: tenis-plataforma-nuvem; 1: tenis-corrida-passada
fashion | sueter | 3: sueter-jacquard-geada; 1: trico-gola-alta-lareira cardigan-ponto-arroz
fashion | bluza de frio | 3: trico-gola-alta-lareira sueter-jacquard-geada; 2: cardigan-ponto-arroz camisa-xadrez-serra
tech | fone bluethooth | 3: fone-bluetooth-gota fone-bluetooth-gota-max fone-cancelamento-silencio-pro
tech | notbook barato | 3: notebook-trilho-15; 1: notebook-prisma-14 notebook-trilho-gira
tech | note book pra edicao de video | 3: notebook-prisma-16-pro
tech | celulr com camera boa | 3: celular-orbe-s9 celular-orbe-ultra; 1: celular-orbe-a5 celular-lumo-dobra
tech | caixinha de som pra praia | 3: caixa-som-batuque-mini; 2: caixa-som-batuque
tech | carregdor portatil | 3: power-bank-reserva-10000 power-bank-turbina-20000
tech | roteador uaifai | 3: roteador-teia-wifi6 roteador-teia-malha-kit
tech | relojio inteligente | 3: relogio-inteligente-pulso-2 relogio-inteligente-pulso-trilha pulseira-inteligente-pulso-fit
home | airfrier | 3: fritadeira-sem-oleo-crocante
home | sofa cama | 3: sofa-cama-visita
home | almofda de veludo | 3: almofada-veludo-figo; 1: almofada-losango-andina
home | jogo de lensol | 3: jogo-lencol-algodao-brisa
home | panela de ferro | 3: cacarola-ferro-domingo; 1: jogo-panelas-fogao-brasa
home | iscrivaninha | 3: escrivaninha-gaveta-caderno
beauty | xampu cachos | 3: shampoo-cachos-mola; 1: condicionador-cachos-mola creme-pentear-mola
beauty | rimel a prova dagua | 3: mascara-cilios-prova-dagua; 1: mascara-cilios-asa
beauty | perfumi feminino floral | 3: perfume-noite-de-jasmim perfume-rosa-do-quintal
beauty | esmalti vermelho | 3: esmalte-verniz-carnaval
beauty | idratante facial | 3: hidratante-facial-orvalho; 2: creme-noturno-colo-de-mae
beauty | chapinha | 3: prancha-cabelo-lisura
gaming | controle de video game cometa | 3: controle-cometa-sem-fio; 1: base-carga-dupla-posto
gaming | mause gamer leve | 3: mouse-gamer-bote; 1: mouse-gamer-carretel
gaming | cadera gamer | 3: cadeira-gamer-cabine cadeira-gamer-cabine-tecido
gaming | hedset rosa fofo | 3: headset-orelhinha-ronrom
gaming | jogo de tiro onlaine | 3: jogo-arena-neon
# other languages
fashion | red dress | 3: vestido-midi-aurora vestido-longo-safira vestido-curto-pimenta vestido-chemise-outono vestido-tubinho-executiva vestido-festa-rubi
fashion | vestido rojo de fiesta | 3: vestido-longo-safira vestido-festa-rubi vestido-midi-aurora; 1: vestido-curto-pimenta
fashion | I'm looking for white sneakers | 3: tenis-urbano-ponte; 2: tenis-plataforma-nuvem
fashion | black leather jacket | 3: jaqueta-couro-eco-neblina; 1: jaqueta-jeans-avenida
fashion | falda negra plisada | 3: saia-plissada-compasso
fashion | gafas de sol | 3: oculos-sol-gatinho
fashion | zapatos de tacón rojos | 3: scarpin-salto-fino-vega; 2: sandalia-anabela-praia
fashion | swimsuit | 3: maio-decote-lagoa maio-nadador-corrente
tech | wireless headphones with noise cancelling | 3: fone-cancelamento-silencio-pro fone-bluetooth-gota-max; 1: fone-bluetooth-gota
tech | laptop for college | 3: notebook-prisma-14; 1: notebook-trilho-15 notebook-trilho-gira
tech | audífonos inalámbricos | 3: fone-bluetooth-gota fone-bluetooth-gota-max; 2: fone-cancelamento-silencio-pro
tech | teléfono barato | 3: celular-orbe-a5 celular-lumo-essencial; 1: celular-orbe-s9
tech | smartwatch for hiking | 3: relogio-inteligente-pulso-trilha; 2: relogio-inteligente-pulso-2
home | air fryer | 3: fritadeira-sem-oleo-crocante
home | sillón para leer | 3: poltrona-leitura-capitulo; 1: poltrona-giratoria-caracol
home | coffee maker | 3: cafeteira-expresso-aroma cafeteira-filtro-manha
home | alfombra para sala | 3: tapete-geometrico-sertao; 1: tapete-felpudo-nevoa passadeira-corredor-cordel
home | bed sheets | 3: jogo-lencol-algodao-brisa
home | desk lamp | 3: luminaria-mesa-vagalume; 1: luminaria-piso-garca abajur-infantil-lua
beauty | red lipstick | 3: batom-matte-veludo; 1: lapis-labial-contorno
beauty | sunscreen for face | 3: protetor-solar-facial-toque-seco; 2: protetor-solar-corporal-familia
beauty | champú para rizos | 3: shampoo-cachos-mola; 1: condicionador-cachos-mola creme-pentear-mola
beauty | waterproof mascara | 3: mascara-cilios-prova-dagua; 1: mascara-cilios-asa
beauty | crema hidratante para la cara | 3: hidratante-facial-orvalho creme-noturno-colo-de-mae
gaming | gaming chair | 3: cadeira-gamer-cabine cadeira-gamer-cabine-tecido
gaming | silla gamer roja | 3: cadeira-gamer-cabine; 1: cadeira-gamer-cabine-tecido
gaming | mando inalámbrico | 3: controle-cometa-sem-fio controle-retro-bolacha; 1: controle-elite-falcao
gaming | racing wheel | 3: volante-curva-do-s
gaming | gift card | 3: cartao-presente-cometa cartao-presente-vaga
gaming | horror game | 3: jogo-casarao-sem-luz
"""


@dataclass(frozen=True, slots=True)
class Rated:
    kind: str
    brand: str
    query: str
    grades: dict[str, int]


def rated() -> list[Rated]:
    found: list[Rated] = []
    kind = ""
    for line in _RATED.strip().splitlines():
        if line.startswith("# "):
            kind = line[2:]
            continue
        brand, query, judged = (part.strip() for part in line.split("|"))
        grades = {
            id: int(grade) for part in judged.split(";") for grade, ids in [part.split(":")] for id in ids.split()
        }
        found.append(Rated(kind, brand, query, grades))
    return found
