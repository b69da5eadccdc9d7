"""Make-up and perfume."""

from typing import Final

from agent_store.agents.catalog.pictures.ink import (
    BLUSH,
    GLASS,
    GOLD,
    GRAPHITE,
    INK,
    PAPER,
    SHADE,
    SILVER,
    WHITE,
    WOOD,
    Pen,
    Shape,
    box,
    disc,
    line,
    mix,
    oval,
    path,
    rect,
    turn,
)


def _gold(pen: Pen) -> str:
    return pen.fade("#f3dca2", "#b98d3c", "right")


def _label(x: float, y: float, width: float, height: float, ink: str) -> str:
    """Return a paper label with a leaf sprig and two ruled lines on it."""
    cx, middle = x + width / 2, y + height * 0.4
    size = min(width, height) * 0.2
    sprig = "".join(
        turn(degrees, oval(cx, middle - size * 0.7, size * 0.3, ink, ry=size * 0.7), cx=cx, cy=middle)
        for degrees in (-48, 0, 48)
    )
    return (
        rect(x, y, width, height, PAPER, r=10, opacity=0.94)
        + sprig
        + rect(x + width * 0.2, y + height * 0.64, width * 0.6, 8, ink, r=4, opacity=0.75)
        + rect(x + width * 0.32, y + height * 0.78, width * 0.36, 6, ink, r=3, opacity=0.45)
    )


def lipstick(pen: Pen) -> str:
    """Draw an open lipstick beside its cap."""
    bullet = "M322 360V250C322 220 370 168 410 160C424 158 430 168 430 182V360Z"
    cap = box(492, 420, 122, 220, 14)
    return (
        pen.round(bullet, 322, 430)
        + path(
            "M322 250C322 220 370 168 410 160C424 158 430 170 426 184C400 196 350 226 322 262Z",
            WHITE,
            opacity=0.25,
        )
        + pen.round(box(310, 330, 132, 110, 8), 310, 442, _gold(pen))
        + rect(310, 356, 132, 6, "#8f6a25", opacity=0.35)
        + pen.round(box(288, 430, 176, 210, 14), 288, 464, pen.fade(GRAPHITE, INK))
        + rect(288, 446, 176, 10, GOLD)
        + pen.round(cap, 492, 614, pen.fade(GRAPHITE, INK))
        + rect(492, 610, 122, 12, GOLD)
        + oval(553, 422, 55, WHITE, ry=4, opacity=0.2)
        + path("M166 600C190 560 250 566 282 596C262 626 196 640 166 600Z", pen.base, opacity=0.85)
        + path("M186 594C206 576 236 578 256 590C234 592 210 592 186 594Z", WHITE, opacity=0.4)
    )


def gloss(pen: Pen) -> str:
    """Draw a lip gloss with its wand."""
    tube = box(262, 360, 116, 280, 20)
    return (
        pen.round(tube, 262, 378, pen.fade(pen.light, pen.dark))
        + path(box(262, 360, 116, 280, 20), WHITE, opacity=0.12)
        + rect(278, 384, 14, 220, WHITE, r=7, opacity=0.6)
        + rect(292, 332, 56, 32, SILVER, r=6)
        + oval(320, 332, 28, pen.deep, ry=6)
        + turn(
            20,
            pen.round(box(450, 180, 92, 210, 18), 450, 542, _gold(pen)),
            rect(488, 390, 16, 150, SILVER, r=6),
            path("M480 530H512C516 570 516 596 496 624C476 596 476 570 480 530Z", pen.body),
            oval(489, 574, 5, WHITE, ry=20, opacity=0.5),
            cx=496,
            cy=400,
        )
        + path(
            "M404 640C410 610 452 604 470 622C488 640 560 612 560 632C556 652 420 656 404 640Z",
            pen.base,
            opacity=0.8,
        )
    )


def foundation(pen: Pen) -> str:
    """Draw a pump bottle of liquid foundation with a smear of it."""
    bottle = box(270, 320, 220, 320, 34)
    return (
        path("M470 646C480 600 560 590 600 606C646 624 640 650 590 654C540 658 490 660 470 646Z", pen.base)
        + path("M500 632C520 614 566 608 596 616C560 618 530 624 500 632Z", WHITE, opacity=0.4)
        + path(bottle, GLASS)
        + pen.round(box(284, 342, 192, 284, 24), 284, 476)
        + line(bottle, WHITE, 5, opacity=0.7)
        + rect(290, 350, 16, 250, WHITE, r=8, opacity=0.5)
        + _label(320, 420, 120, 140, pen.deep)
        + rect(330, 276, 100, 50, SILVER, r=8)
        + pen.round(box(344, 214, 72, 66, 10), 344, 416, pen.fade(GRAPHITE, INK))
        + path("M316 176Q316 160 332 160H432Q448 160 448 176V216H330L300 230V204L316 200Z", GRAPHITE)
        + rect(338, 170, 90, 8, WHITE, r=4, opacity=0.3)
    )


def palette(pen: Pen) -> str:
    """Draw an open eyeshadow palette with a mirror."""
    tones = (
        pen.pale,
        mix(pen.base, GOLD, 0.5),
        pen.light,
        pen.base,
        BLUSH,
        pen.dark,
        mix(pen.base, "#6d4a86", 0.55),
        pen.deep,
    )
    pans = "".join(
        rect(190 + 108 * (n % 4), 440 + 92 * (n // 4), 96, 80, tone, r=14)
        + path(f"M{190 + 108 * (n % 4)} {470 + 92 * (n // 4)}l50 -30h30l-80 54z", WHITE, opacity=0.22)
        for n, tone in enumerate(tones)
    )
    return (
        path("M196 168H604L626 404H174Z", pen.deep)
        + path("M216 184H584L602 388H198Z", pen.fade("#f6fbfd", "#c2d6de", "slant"))
        + path("M250 184H320L246 388H198L202 350ZM360 184H390L316 388H286Z", WHITE, opacity=0.7)
        + rect(160, 404, 480, 236, pen.body, r=24)
        + rect(160, 398, 480, 16, pen.deep, r=8)
        + rect(176, 424, 448, 204, INK, r=18, opacity=0.86)
        + pans
    )


def compact(pen: Pen) -> str:
    """Draw a compact powder with a puff."""
    return (
        path(disc(400, 268, 150, 112), pen.deep)
        + path(disc(400, 268, 130, 94), pen.fade("#f6fbfd", "#c2d6de", "slant"))
        + path("M310 240L370 182H410L300 300Z", WHITE, opacity=0.75)
        + rect(350, 366, 100, 26, GOLD, r=8)
        + path(disc(400, 512, 204, 128), _gold(pen))
        + path(disc(400, 500, 204, 126), GRAPHITE)
        + oval(400, 500, 178, INK, ry=106)
        + path(disc(400, 500, 164, 96), pen.body)
        + "".join(
            line(
                f"M{290 + 10 * n} {470 + 12 * n}Q{400 + 8 * n} {420 + 20 * n} {510 + 6 * n} {470 + 12 * n}",
                WHITE,
                5,
                opacity=0.3,
            )
            for n in range(5)
        )
        + turn(
            -18,
            oval(552, 600, 82, pen.pale, ry=46),
            oval(552, 590, 82, PAPER, ry=44),
            rect(500, 580, 104, 18, BLUSH, r=9),
            cx=552,
            cy=596,
        )
    )


def perfume(pen: Pen) -> str:
    """Draw a square glass bottle of perfume."""
    bottle = box(238, 320, 324, 320, 44)
    return (
        path(bottle, mix(pen.pale, WHITE, 0.3), opacity=0.96)
        + pen.inside(
            box(258, 340, 284, 280, 30),
            path("M250 400Q330 380 400 400T560 396V640H250Z", pen.fade(pen.light, pen.dark)),
            path("M250 400Q330 380 400 400T560 396V412Q470 416 400 416T250 414Z", WHITE, opacity=0.4),
        )
        + line(box(256, 338, 288, 284, 32), WHITE, 5, opacity=0.6)
        + rect(270, 352, 22, 240, WHITE, r=11, opacity=0.55)
        + rect(516, 360, 14, 230, SHADE, r=7, opacity=0.1)
        + line("M400 396V610", WHITE, 4, opacity=0.5)
        + path("M400 442L446 504L400 566L354 504Z", PAPER, opacity=0.92)
        + path("M400 466L428 504L400 542L372 504Z", pen.base)
        + pen.round(box(350, 276, 100, 50, 8), 350, 450, _gold(pen))
        + pen.round(box(330, 166, 140, 114, 24), 330, 470, pen.fade(pen.base, pen.deep))
        + rect(330, 260, 140, 10, GOLD)
        + "".join(
            oval(x, y, r, WHITE, opacity=0.8)
            for x, y, r in ((252, 214, 7), (222, 190, 5), (230, 244, 5), (196, 222, 8), (204, 168, 5))
        )
    )


def mascara(pen: Pen) -> str:
    """Draw a mascara tube and its brush."""
    bristles = "".join(
        line(
            f"M{472 - abs(6 - n) * 1.5:.0f} {462 + 13 * n}L{528 + abs(6 - n) * 1.5:.0f} {456 + 13 * n}",
            INK,
            6,
        )
        for n in range(12)
    )
    return turn(
        -14,
        pen.round(box(270, 300, 92, 330, 26), 270, 362),
        pen.round(box(276, 262, 80, 46, 8), 276, 356, _gold(pen)),
        rect(300, 238, 32, 28, GRAPHITE, r=6),
        rect(284, 330, 12, 260, WHITE, r=6, opacity=0.4),
        path("M316 420L334 450L316 480L298 450Z", GOLD),
        cx=316,
        cy=440,
    ) + turn(
        12,
        pen.round(box(454, 150, 92, 240, 26), 454, 546),
        rect(468, 170, 12, 190, WHITE, r=6, opacity=0.4),
        pen.round(box(460, 384, 80, 30, 8), 460, 540, _gold(pen)),
        rect(494, 410, 12, 60, GRAPHITE),
        rect(494, 450, 12, 176, GRAPHITE, r=6),
        bristles,
        cx=500,
        cy=400,
    )


def brush(pen: Pen) -> str:
    """Draw three make-up brushes of different sizes."""

    def one(x: float, width: float, hair: str, top: float) -> str:
        left, right = x - width, x + width
        return (
            path(
                f"M{x - 20} {top + 150}C{left - 8} {top + 110} {left} {top + 10} {x} {top}"
                f"C{right} {top + 10} {right + 8} {top + 110} {x + 20} {top + 150}Z",
                hair,
            )
            + line(
                f"M{x - width * 0.4:.0f} {top + 60}L{x - 10} {top + 140}M{x} {top + 40}"
                f"V{top + 140}M{x + width * 0.4:.0f} {top + 60}L{x + 10} {top + 140}",
                SHADE,
                4,
                opacity=0.14,
            )
            + pen.round(box(x - 22, top + 144, 44, 90, 6), x - 22, x + 22, _gold(pen))
            + pen.round(
                f"M{x - 20} {top + 232}H{x + 20}L{x + 10} {top + 470}Q{x} {top + 492} {x - 10} {top + 470}Z",
                x - 20,
                x + 20,
            )
        )

    return (
        turn(-17, one(400, 40, pen.fade("#f0d9c4", "#b98a72"), 158), cx=400, cy=700)
        + turn(17, one(400, 34, pen.fade("#fbf3ea", "#d1a892"), 168), cx=400, cy=700)
        + one(400, 66, pen.fade("#f7e3d3", "#c2917a"), 140)
    )


def nail(pen: Pen) -> str:
    """Draw a bottle of nail polish."""
    bottle = (
        "M278 470C278 420 330 404 360 392V372H440V392C470 404 522 420 522 470V590Q522 640 472 640H328Q278 640 278 590Z"
    )
    return (
        path("M570 622C560 590 600 566 626 584C660 606 640 648 606 648C590 648 576 640 570 622Z", pen.body)
        + oval(602, 602, 12, WHITE, ry=7, opacity=0.55)
        + path(bottle, GLASS)
        + pen.round(
            "M294 474C294 436 340 424 370 412H430C460 424 506 436 506 474V586Q506 624 468 624H332Q294 624 294 586Z",
            294,
            506,
        )
        + rect(312, 460, 16, 130, WHITE, r=8, opacity=0.55)
        + line(bottle, WHITE, 4, opacity=0.8)
        + pen.round("M362 160Q400 146 438 160L450 376H350Z", 350, 450, pen.fade(GRAPHITE, INK))
        + rect(352, 356, 96, 20, GOLD)
        + path("M400 490L430 530L400 570L370 530Z", PAPER, opacity=0.8)
    )


def pencil(pen: Pen) -> str:
    """Draw two make-up pencils and a stroke of their colour."""

    def one(x: float) -> str:
        return (
            pen.round(f"M{x - 26} 200H{x + 26}V480H{x - 26}Z", x - 26, x + 26)
            + path(f"M{x - 26} 480H{x + 26}L{x + 9} 556H{x - 9}Z", WOOD)
            + path(f"M{x - 26} 480q13 16 26 0q13 16 26 0v6h-52z", pen.base)
            + path(f"M{x - 9} 556H{x + 9}L{x} 592Z", pen.deep)
            + rect(x - 27, 220, 54, 14, GOLD)
            + path(f"M{x - 26} 200Q{x} 176 {x + 26} 200Z", pen.deep)
        )

    return (
        line("M180 606C260 560 300 640 380 600S520 590 600 620", pen.base, 20, opacity=0.9)
        + turn(22, one(470), cx=470, cy=400)
        + turn(-8, one(310), cx=310, cy=400)
    )


SHAPES: Final[dict[str, Shape]] = {
    "brush": Shape(brush),
    "compact": Shape(compact, 190),
    "foundation": Shape(foundation, 130),
    "gloss": Shape(gloss, 110),
    "lipstick": Shape(lipstick, 190),
    "mascara": Shape(mascara),
    "nail": Shape(nail, 126),
    "palette": Shape(palette, 236),
    "pencil": Shape(pencil),
    "perfume": Shape(perfume, 160),
}
