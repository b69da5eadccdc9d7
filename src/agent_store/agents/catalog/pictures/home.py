"""Kitchenware, linen, plants and decoration."""

from typing import Final

from agent_store.agents.catalog.pictures.ink import (
    BARK,
    GLASS,
    GOLD,
    GRAPHITE,
    INK,
    LEAF,
    PAPER,
    SHADE,
    SILVER,
    STEEL,
    WHITE,
    Pen,
    Shape,
    both,
    box,
    disc,
    leaf,
    line,
    mix,
    oval,
    path,
    rect,
    turn,
    twin,
)


def rug(pen: Pen) -> str:
    """Draw a patterned rug with fringes, lying on the floor."""
    sheet = "M226 236H574L694 590H106Z"
    fringe = "".join(line(f"M{228 + 12 * n} 236L{226 + 12 * n} 214", PAPER, 4) for n in range(30)) + "".join(
        line(f"M{110 + 20 * n} 590L{106 + 20 * n} 622", PAPER, 6) for n in range(30)
    )
    diamonds = "".join(
        path(f"M{x} {y - 60}L{x + w} {y}L{x} {y + 66}L{x - w} {y}Z", pen.pale)
        + path(f"M{x} {y - 32}L{x + w * 0.55:.0f} {y}L{x} {y + 36}L{x - w * 0.55:.0f} {y}Z", pen.dark)
        + path(f"M{x} {y - 12}L{x + w * 0.22:.0f} {y}L{x} {y + 14}L{x - w * 0.22:.0f} {y}Z", pen.pale)
        for x, y, w in ((282, 412, 76), (400, 412, 76), (518, 412, 76))
    )
    return (
        fringe
        + path(sheet, pen.body)
        + pen.inside(
            sheet,
            diamonds,
            line("M244 262H556L656 560H144Z", pen.pale, 8),
            line("M262 284H538L624 538H176Z", pen.dark, 6),
            "".join(line(f"M120 {y}H680", SHADE, 2, opacity=0.07) for y in range(240, 590, 9)),
            path("M226 236H340L250 590H106Z", WHITE, opacity=0.1),
        )
    )


def vase(pen: Pen) -> str:
    """Draw a ceramic vase with dried stems and flowers."""
    pot = twin("M400 362L352 362C358 410 356 430 336 450C284 496 282 580 330 632Q344 640 400 640")
    stems = "".join(
        line(d, "#7d8f63", 6)
        for d in (
            "M396 380C390 300 360 240 316 190",
            "M404 380C404 300 406 220 402 150",
            "M410 380C420 300 452 250 496 206",
        )
    )
    petals = "".join(
        "".join(turn(72 * n, oval(x, y - 26, 17, color, ry=26), cx=x, cy=y) for n in range(5))
        + oval(x, y, 13, "#f1cf74")
        for x, y, color in ((316, 188, "#efb3a6"), (402, 148, PAPER), (496, 204, "#e58f86"))
    )
    return (
        stems
        + leaf(384, 320, 76, -58)
        + leaf(410, 300, 74, 52, "#6c9a68")
        + leaf(424, 340, 60, 70)
        + petals
        + oval(400, 362, 48, pen.deep, ry=11)
        + pen.round(pot, 294, 506)
        + pen.inside(pot, line("M290 498Q400 530 510 498M288 524Q400 556 512 524", pen.detail, 6, opacity=0.55))
        + line(disc(400, 362, 46, 9), pen.light, 6)
    )


def pan(pen: Pen) -> str:
    """Draw a cooking pot with a glass lid."""
    pot = "M200 380H600V560Q600 620 540 620H260Q200 620 200 560Z"
    lid = "M214 366C224 270 310 226 400 226C490 226 576 270 586 366Z"
    return (
        both(path("M206 424H150Q128 424 128 446V456Q128 478 150 478H206V458H160V444H206Z", GRAPHITE))
        + path(lid, GLASS, opacity=0.92)
        + path("M250 352C262 296 310 258 372 250C320 278 292 312 284 352Z", WHITE, opacity=0.8)
        + line(lid, SILVER, 7)
        + oval(400, 222, 18, SILVER)
        + rect(356, 180, 88, 36, GRAPHITE, r=18)
        + pen.round(pot, 200, 600)
        + pen.inside(pot, rect(200, 588, 400, 40, SHADE, opacity=0.18))
        + rect(186, 362, 428, 28, pen.fade("#eef0f4", STEEL), r=14)
        + line("M210 372H400", WHITE, 5)
    )


def plant(pen: Pen) -> str:
    """Draw a leafy plant in a pot."""
    pot = "M274 460H526L500 622Q497 640 478 640H322Q303 640 300 622Z"
    return (
        leaf(400, 470, 250, -62, "#3f7a52")
        + leaf(400, 470, 250, 62, "#3f7a52")
        + leaf(400, 470, 290, -36, LEAF)
        + leaf(400, 470, 290, 36, "#5a9a66")
        + leaf(400, 470, 330, -2, "#66a873")
        + leaf(396, 474, 190, -82, "#5a9a66")
        + leaf(404, 474, 190, 82, LEAF)
        + leaf(390, 474, 200, -18, "#7cb985")
        + leaf(412, 474, 190, 20, "#7cb985")
        + pen.round(pot, 280, 520)
        + rect(258, 440, 284, 48, pen.light, r=14)
        + rect(276, 448, 150, 8, WHITE, r=4, opacity=0.4)
        + rect(282, 488, 236, 12, SHADE, opacity=0.16)
    )


def cushion(pen: Pen) -> str:
    """Draw a square cushion with piping and tassels."""
    face = "M204 214C260 236 540 236 596 214C574 280 574 530 596 596C540 574 260 574 204 596C226 530 226 280 204 214Z"
    return turn(
        -6,
        both(
            line("M204 214L176 186", GOLD, 7),
            line("M204 596L176 624", GOLD, 7),
            oval(178, 188, 11, GOLD),
            oval(178, 622, 11, GOLD),
        ),
        path(face, pen.body),
        pen.inside(
            face,
            "".join(
                line(
                    f"M200 {y}"
                    + "".join(f"L{x} {y - (26 if n % 2 == 0 else 0)}" for n, x in enumerate(range(232, 630, 32))),
                    pen.pale,
                    8,
                    opacity=0.7,
                )
                for y in (330, 372, 462, 504)
            ),
            line("M196 404H604", pen.detail, 20, opacity=0.55),
            path("M500 200C560 320 560 480 500 600H640V200Z", SHADE, opacity=0.12),
            line("M246 250C252 300 254 360 252 420", WHITE, 16, opacity=0.25),
        ),
        line(face, pen.dark, 7),
    )


def mirror_shape(pen: Pen) -> str:
    """Draw a round wall mirror on a strap."""
    glass = disc(400, 430, 192)
    return (
        line("M290 280L400 150L510 280", BARK, 14)
        + oval(400, 150, 17, GOLD)
        + path(disc(400, 430, 224), pen.body)
        + line(disc(400, 430, 216), WHITE, 5, opacity=0.25)
        + oval(400, 430, 200, pen.deep)
        + path(glass, pen.fade("#f4fbfd", "#b9d5df", "slant"))
        + pen.inside(
            glass,
            path("M250 200H330L150 640H70ZM380 200H412L232 640H200Z", WHITE, opacity=0.55),
            path("M190 560C280 500 340 560 420 530C500 500 560 540 620 520V640H190Z", WHITE, opacity=0.22),
        )
        + line("M214 430A186 186 0 0 1 400 244", SHADE, 6, opacity=0.12)
    )


def towel(pen: Pen) -> str:
    """Draw a stack of folded towels."""

    def fold(y: float, color: str, edge: str, inset: float) -> str:
        left, width = 190 + inset, 420 - 2 * inset
        return (
            rect(left, y, width, 104, color, r=44)
            + line(f"M{left + 40} {y + 52}H{left + width - 8}", SHADE, 5, opacity=0.16)
            + rect(left + 66, y, 46, 104, edge, opacity=0.8)
            + rect(left + 122, y, 12, 104, edge, opacity=0.6)
            + line(f"M{left + 30} {y + 20}H{left + width - 60}", WHITE, 8, opacity=0.3)
        )

    return (
        fold(536, pen.body, pen.pale, 0)
        + fold(436, pen.fade("#ffffff", "#e8e3dc"), pen.light, 8)
        + fold(336, pen.fade(pen.light, pen.base), pen.pale, 18)
        + path("M262 336C250 250 330 214 400 214C470 214 550 250 538 336Z", pen.fade(pen.pale, pen.light))
        + line("M330 324C312 268 370 244 404 252C446 262 450 316 408 318C382 318 376 286 402 284", pen.dark, 8)
        + leaf(500, 250, 92, 40)
        + leaf(500, 250, 78, 82, "#6c9a68")
    )


def curtain(pen: Pen) -> str:
    """Draw a pair of curtains on a rod before a window."""
    panel = "M150 186H366C350 330 310 470 214 524C196 580 200 620 206 660H140C150 500 150 340 150 186Z"
    return (
        rect(196, 196, 408, 400, PAPER, r=8)
        + rect(214, 214, 372, 364, pen.fade("#cfe8f5", "#f6efdc"))
        + oval(480, 300, 40, "#fff3cf")
        + path("M214 520Q300 450 400 510T586 480V578H214Z", "#9cc3a0")
        + line("M400 214V578M214 396H586", PAPER, 14)
        + both(
            path(panel, pen.body),
            pen.inside(
                panel,
                "".join(
                    line(
                        f"M{172 + 44 * n} 180C{172 + 40 * n} 340 {176 + 22 * n} 440 {164 + 14 * n} 530",
                        SHADE,
                        10,
                        opacity=0.12,
                    )
                    for n in range(5)
                ),
                line("M190 200C190 320 184 420 174 500", WHITE, 10, opacity=0.28),
            ),
            path("M146 500Q186 540 232 506L236 532Q186 566 146 530Z", GOLD),
        )
        + rect(120, 166, 560, 20, pen.fade("#d7b57f", BARK), r=10)
        + both(oval(118, 176, 22, GOLD))
        + "".join(line(disc(x, 178, 14), GOLD, 5) for x in (166, 210, 254, 298, 342, 458, 502, 546, 590, 634))
    )


def mug(pen: Pen) -> str:
    """Draw a steaming mug."""
    cup = "M234 330H522V540Q522 624 438 624H318Q234 624 234 540Z"
    return (
        "".join(line(f"M{x} 268C{x - 26} 236 {x + 26} 214 {x} 176", WHITE, 13, opacity=0.8) for x in (316, 378, 440))
        + line("M520 384H566Q620 384 620 442V470Q620 528 566 528H516", pen.dark, 34)
        + pen.round(cup, 234, 522)
        + pen.inside(cup, path("M234 470Q300 430 378 470T522 470V640H234Z", pen.detail, opacity=0.35))
        + oval(378, 330, 144, pen.light, ry=34)
        + oval(378, 332, 128, "#5b3a28", ry=26)
        + oval(350, 328, 50, "#8a5c40", ry=9)
    )


def plates(pen: Pen) -> str:
    """Draw a place setting from above."""
    fork = rect(140, 370, 14, 240, STEEL, r=7) + path(
        "M120 210H132V300H141V210H153V300H162V210H174V320Q174 378 147 378Q120 378 120 320Z", STEEL
    )
    knife = rect(646, 390, 16, 220, STEEL, r=8) + path(
        "M640 210Q680 230 676 330Q674 380 662 396H640Z", pen.fade(SILVER, STEEL)
    )
    return (
        fork
        + knife
        + path(disc(400, 410, 216), pen.body)
        + line(disc(400, 410, 204), pen.pale, 6, opacity=0.7)
        + oval(400, 414, 158, SHADE, opacity=0.16)
        + path(disc(400, 408, 156), pen.fade("#ffffff", "#e6e1da", "slant"))
        + line(disc(400, 408, 120), pen.base, 5, dash="3 12")
        + path(disc(400, 408, 96), pen.fade("#f0ebe4", "#ffffff", "slant"))
        + leaf(384, 450, 96, -26)
        + leaf(392, 450, 86, 30, "#6c9a68")
        + line("M262 330C286 284 326 260 366 254", WHITE, 12, opacity=0.8)
    )


def candle(pen: Pen) -> str:
    """Draw a scented candle in a jar."""
    jar = "M260 326H540V588Q540 636 492 636H308Q260 636 260 588Z"
    return (
        oval(400, 216, 120, "#ffe6a3", opacity=0.35)
        + path("M400 138C424 182 438 204 432 232C426 258 374 258 368 232C362 204 382 186 400 138Z", "#f5a53d")
        + path("M400 186C412 208 418 220 414 234C410 248 390 248 386 234C382 220 392 208 400 186Z", "#fff0b8")
        + line("M400 246V312", INK, 7)
        + pen.round(jar, 260, 540)
        + oval(400, 326, 140, pen.light, ry=32)
        + oval(400, 328, 120, "#fff6e3", ry=24)
        + oval(400, 322, 54, "#ffe9b0", ry=11)
        + rect(316, 420, 168, 140, PAPER, r=14)
        + line("M344 528H456", pen.dark, 5, opacity=0.6)
        + leaf(400, 512, 66, -34, pen.dark)
        + leaf(400, 512, 66, 34, pen.dark)
        + leaf(400, 512, 78, 0, pen.base)
    )


def blender(pen: Pen) -> str:
    """Draw a kitchen blender filled with a fruit shake."""
    jar = "M276 196H524L496 462H304Z"
    return (
        line("M520 240H566Q590 240 586 270L572 376Q568 398 546 398H508", GRAPHITE, 22)
        + path(jar, GLASS, opacity=0.92)
        + pen.inside(
            jar,
            path("M270 286Q340 266 400 288T530 284V470H270Z", pen.fade("#f49cab", "#d95d7b")),
            "".join(
                oval(x, y, r, WHITE, opacity=0.35)
                for x, y, r in ((350, 330, 12), (420, 372, 9), (384, 416, 14), (452, 330, 7))
            ),
            path("M298 190H332L344 470H312Z", WHITE, opacity=0.45),
            "".join(line(f"M470 {y}H500", WHITE, 5, opacity=0.8) for y in range(240, 450, 34)),
        )
        + line(jar, SILVER, 6)
        + rect(262, 172, 276, 34, GRAPHITE, r=12)
        + rect(362, 146, 76, 30, GRAPHITE, r=10)
        + rect(296, 456, 208, 34, GRAPHITE, r=8)
        + pen.round("M296 488H504L546 616Q550 640 526 640H274Q250 640 254 616Z", 256, 544)
        + oval(400, 562, 40, pen.deep)
        + oval(400, 562, 30, SILVER)
        + line("M400 562L416 542", INK, 7)
        + "".join(oval(x, 606, 6, WHITE, opacity=0.8) for x in (330, 470))
    )


def fryer(pen: Pen) -> str:
    """Draw an air fryer."""
    shell = "M232 300C232 200 300 160 400 160C500 160 568 200 568 300V580Q568 636 512 636H288Q232 636 232 580Z"
    return (
        pen.round(shell, 232, 568)
        + rect(300, 210, 200, 112, INK, r=26)
        + line(disc(400, 266, 36), mix(pen.theme, WHITE, 0.3), 8)
        + line("M400 266L414 246", WHITE, 7)
        + "".join(oval(x, 266, 9, "#7dffb0" if x < 400 else "#ffb86b") for x in (330, 470))
        + rect(250, 372, 300, 224, pen.deep, r=30)
        + rect(258, 378, 284, 210, pen.light, r=26)
        + rect(276, 390, 180, 10, WHITE, r=5, opacity=0.35)
        + rect(358, 440, 84, 150, GRAPHITE, r=24)
        + rect(370, 452, 14, 120, WHITE, r=7, opacity=0.22)
    )


def coffee_maker(pen: Pen) -> str:
    """Draw an espresso machine with a cup."""
    return (
        rect(226, 180, 348, 460, pen.body, r=36)
        + rect(250, 330, 300, 250, INK, r=16)
        + rect(250, 330, 300, 40, WHITE, r=16, opacity=0.06)
        + rect(346, 320, 108, 44, SILVER, r=10)
        + rect(372, 362, 56, 22, STEEL, r=6)
        + line("M348 344H282", GRAPHITE, 20)
        + line("M388 386V468M412 386V468", "#8a5c40", 6)
        + path("M346 466H454V500Q454 540 414 540H386Q346 540 346 500Z", PAPER)
        + line("M454 482H470Q484 482 482 498T462 514H452", PAPER, 9)
        + rect(250, 548, 300, 32, STEEL, r=6)
        + "".join(line(f"M{x} 554V574", INK, 6, opacity=0.5) for x in range(266, 548, 16))
        + "".join(oval(x, 256, 24, pen.deep) + oval(x, 256, 15, pen.pale) for x in (306, 400))
        + line(disc(496, 256, 30), SILVER, 8)
        + line("M496 256L510 238", "#d94a4a", 6)
        + rect(244, 196, 230, 10, WHITE, r=5, opacity=0.35)
        + rect(540, 190, 34, 440, SHADE, r=17, opacity=0.12)
    )


def picture_frame(pen: Pen) -> str:
    """Draw a framed abstract print."""
    view = box(268, 216, 264, 368)
    return (
        rect(206, 154, 388, 492, pen.body, r=8)
        + rect(218, 166, 364, 468, pen.deep, r=4)
        + rect(224, 172, 352, 456, PAPER)
        + path(view, "#f4e4cf")
        + pen.inside(
            view,
            oval(450, 310, 62, "#e39a57"),
            path("M260 470Q330 380 420 440T560 400V600H260Z", mix(pen.theme, WHITE, 0.25)),
            path("M260 540Q360 460 560 530V600H260Z", mix(pen.theme, INK, 0.3)),
            line("M330 600V360M330 440Q290 420 284 380M330 400Q366 380 374 344", INK, 7),
        )
        + path("M224 172H360L224 420Z", WHITE, opacity=0.3)
    )


def basket(pen: Pen) -> str:
    """Draw a woven basket with a blanket in it."""
    body = "M212 360H588L552 606Q548 640 514 640H286Q252 640 248 606Z"
    weave = "".join(
        line(f"M{x} {y}q11 -10 22 0", SHADE if (x // 22 + y // 24) % 2 else WHITE, 5, opacity=0.2)
        for y in range(400, 640, 24)
        for x in range(198, 600, 22)
    )
    return (
        path("M250 370C240 250 330 220 400 262C470 210 570 260 552 370Z", pen.fade("#ffffff", "#e3ddd5"))
        + line("M330 270C316 300 312 330 314 366M470 268C488 300 490 330 486 366", SHADE, 5, opacity=0.15)
        + pen.round(body, 220, 580)
        + pen.inside(body, weave)
        + both(line("M236 420Q190 430 200 480T250 500", pen.dark, 16))
        + rect(200, 344, 400, 42, pen.light, r=20)
        + "".join(line(f"M{x} 352L{x + 16} 378", pen.dark, 5, opacity=0.5) for x in range(214, 580, 22))
    )


SHAPES: Final[dict[str, Shape]] = {
    "basket": Shape(basket, 160),
    "blender": Shape(blender, 146),
    "candle": Shape(candle, 136),
    "coffee_maker": Shape(coffee_maker, 172),
    "curtain": Shape(curtain),
    "cushion": Shape(cushion),
    "frame": Shape(picture_frame),
    "fryer": Shape(fryer, 166, 636),
    "mirror": Shape(mirror_shape),
    "mug": Shape(mug, 130, 626),
    "pan": Shape(pan, 190, 620),
    "plant": Shape(plant, 104),
    "plates": Shape(plates),
    "rug": Shape(rug),
    "towel": Shape(towel, 200),
    "vase": Shape(vase, 90),
}
