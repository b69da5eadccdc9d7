"""Skin care and hair care."""

from typing import Final

from agent_store.agents.catalog.pictures.ink import (
    GLASS,
    GOLD,
    GRAPHITE,
    INK,
    PAPER,
    SHADE,
    SILVER,
    STEEL,
    WHITE,
    WOOD,
    Pen,
    Shape,
    both,
    box,
    line,
    move,
    oval,
    path,
    rect,
    turn,
    twin,
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


def cream(pen: Pen) -> str:
    """Draw an open jar of face cream."""
    jar = "M212 420H588V560Q588 636 512 636H288Q212 636 212 560Z"
    return (
        turn(
            -14,
            pen.round(box(196, 214, 300, 86, 26), 196, 496, _gold(pen)),
            rect(206, 284, 280, 16, "#8f6a25", r=8, opacity=0.4),
            cx=340,
            cy=260,
        )
        + pen.round(jar, 212, 588)
        + rect(222, 376, 356, 56, pen.light, r=14)
        + oval(400, 378, 178, pen.pale, ry=40)
        + oval(400, 378, 156, PAPER, ry=30)
        + path(
            "M300 384C330 340 390 380 400 330C430 310 440 350 430 362C470 350 500 370 480 390C440 410 340 408 300 384Z",
            WHITE,
        )
        + line("M344 386C380 392 420 390 448 376", SHADE, 4, opacity=0.12)
        + _label(310, 470, 180, 126, pen.deep)
    )


def serum(pen: Pen) -> str:
    """Draw a dropper bottle of serum."""
    bottle = (
        "M296 360Q296 330 326 326L346 322V296H454V322L474 326Q504 330 504 360V600Q504 640 464 640H336Q296 640 296 600Z"
    )
    return (
        pen.round(bottle, 296, 504)
        + pen.inside(bottle, path("M290 400Q350 388 400 400T510 398V660H290Z", SHADE, opacity=0.14))
        + line("M320 370V590", WHITE, 14, opacity=0.4)
        + _label(330, 432, 140, 150, pen.deep)
        + pen.round(box(340, 238, 120, 66, 10), 340, 460, _gold(pen))
        + "".join(line(f"M{x} 250V294", "#8f6a25", 3, opacity=0.35) for x in range(352, 456, 12))
        + path("M364 240V186Q364 142 400 142Q436 142 436 186V240Z", GRAPHITE)
        + rect(374, 166, 10, 64, WHITE, r=5, opacity=0.25)
        + path(
            "M580 470C606 512 618 530 618 554A38 38 0 0 1 542 554C542 530 554 512 580 470Z",
            pen.fade(pen.pale, pen.base),
        )
        + oval(566, 556, 8, WHITE, ry=14, opacity=0.8)
        + path(
            "M224 540C238 562 244 572 244 584A20 20 0 0 1 204 584C204 572 210 562 224 540Z",
            pen.fade(pen.pale, pen.base),
        )
    )


def shampoo(pen: Pen) -> str:
    """Draw a pump bottle and a flip-top bottle."""
    big = "M240 340Q240 280 300 276H384Q444 280 444 340V600Q444 640 404 640H280Q240 640 240 600Z"
    small = box(466, 360, 134, 280, 34)
    return (
        pen.round(small, 466, 600, pen.fade(pen.pale, pen.light))
        + rect(486, 312, 94, 56, pen.deep, r=12)
        + line("M486 338H580", WHITE, 4, opacity=0.3)
        + _label(486, 440, 94, 130, pen.deep)
        + pen.round(big, 240, 444)
        + rect(258, 330, 14, 260, WHITE, r=7, opacity=0.35)
        + _label(276, 380, 132, 180, pen.deep)
        + rect(300, 236, 84, 46, pen.deep, r=8)
        + rect(332, 190, 20, 50, SILVER)
        + path("M268 176Q268 158 288 158H376Q390 158 390 172V196H300L262 212V188Z", pen.deep)
        + rect(296, 166, 80, 7, WHITE, r=3, opacity=0.35)
        + "".join(oval(x, y, r, WHITE, opacity=0.85) for x, y, r in ((210, 620, 18), (186, 596, 12), (222, 580, 9)))
    )


def sunscreen(pen: Pen) -> str:
    """Draw a tube of sunscreen with a sun on it."""
    tube = "M262 152H538L506 560H294Z"
    rays = "".join(turn(45 * n, rect(394, 268, 12, 30, "#f5b33d", r=6), cx=400, cy=360) for n in range(8))
    return (
        path(tube, pen.body)
        + pen.inside(
            tube,
            rect(252, 140, 300, 42, SHADE, opacity=0.14),
            "".join(line(f"M{x} 152V180", WHITE, 4, opacity=0.3) for x in range(270, 540, 14)),
            path("M290 190H330L344 560H312Z", WHITE, opacity=0.32),
            path("M470 190H540V560H452Z", SHADE, opacity=0.1),
            path("M250 470Q330 430 400 466T560 460V580H250Z", WHITE, opacity=0.35),
            path("M250 504Q330 470 400 500T560 496V580H250Z", WHITE, opacity=0.4),
        )
        + oval(400, 360, 106, WHITE, opacity=0.88)
        + rays
        + oval(400, 360, 46, "#f7c65a")
        + oval(388, 346, 13, WHITE, opacity=0.5)
        + pen.round(box(288, 556, 224, 84, 16), 288, 512, pen.fade(pen.dark, pen.deep))
        + rect(288, 556, 224, 12, WHITE, r=6, opacity=0.2)
    )


def dryer(pen: Pen) -> str:
    """Draw a hair dryer."""
    barrel = "M196 236Q160 240 160 330Q160 420 196 424L470 436C560 436 610 390 610 330C610 270 560 224 470 224Z"
    return move(
        50,
        34,
        line("M470 640C470 690 560 690 600 640S680 600 690 650", GRAPHITE, 13),
        path("M404 420H516L496 620Q494 644 470 644H446Q424 644 422 620Z", pen.dark),
        path("M404 420H440L446 644Q424 644 422 620Z", WHITE, opacity=0.15),
        rect(440, 480, 36, 86, GRAPHITE, r=16),
        rect(447, 490, 22, 30, SILVER, r=9),
        path("M124 262H204V398H124Q108 398 108 382V278Q108 262 124 262Z", GRAPHITE),
        path(barrel, pen.body),
        pen.inside(
            barrel,
            rect(180, 250, 330, 22, WHITE, r=11, opacity=0.35),
            path("M150 380H620V450H150Z", SHADE, opacity=0.12),
            rect(228, 200, 16, 250, GOLD),
        ),
        oval(506, 330, 66, pen.deep),
        "".join(
            oval(506, 330, radius, color)
            for radius, color in ((56, GRAPHITE), (40, STEEL), (34, GRAPHITE), (18, STEEL), (12, GRAPHITE))
        ),
        "".join(line(f"M{90 - 10 * (n % 2)} {y}h-44", WHITE, 8, opacity=0.8) for n, y in enumerate((288, 330, 372))),
        scale=0.9,
    )


def soap(pen: Pen) -> str:
    """Draw a bar of soap on a dish with foam."""
    bar = box(222, 400, 356, 150, 66)
    return (
        path("M160 560H640Q640 640 560 640H240Q160 640 160 560Z", pen.fade(WOOD, "#93653f"))
        + "".join(rect(x, 560, 16, 36, SHADE, r=6, opacity=0.18) for x in range(236, 570, 52))
        + path(bar, pen.body)
        + pen.inside(
            bar,
            rect(222, 510, 356, 60, SHADE, opacity=0.12),
            rect(264, 416, 200, 14, WHITE, r=7, opacity=0.45),
        )
        + line(box(252, 426, 296, 96, 44), pen.detail, 4, opacity=0.4)
        + "".join(turn(degrees, oval(400, 454, 11, pen.detail, ry=25), cx=400, cy=480) for degrees in (-60, 0, 60))
        + "".join(
            oval(x, y, r, GLASS, opacity=0.9) + oval(x - r * 0.3, y - r * 0.3, r * 0.25, WHITE)
            for x, y, r in (
                (272, 384, 40),
                (330, 366, 28),
                (232, 340, 24),
                (306, 312, 18),
                (520, 378, 34),
                (566, 340, 20),
                (540, 290, 13),
            )
        )
    )


def flatiron(pen: Pen) -> str:
    """Draw a hair straightener."""
    arm = twin("M400 130L372 134C352 240 346 420 362 640L400 646")
    return turn(
        32,
        line("M420 640C420 710 360 720 330 700", GRAPHITE, 14),
        turn(-9, path(arm, pen.dark), rect(376, 150, 22, 210, STEEL, r=8), cx=400, cy=640),
        turn(
            7,
            path(arm, pen.body),
            rect(376, 148, 14, 216, SILVER, r=7),
            line("M376 392C372 470 372 550 380 620", WHITE, 9, opacity=0.35),
            oval(402, 430, 13, INK),
            oval(402, 430, 6, "#ff8f6b"),
            "".join(rect(394, 468 + 20 * n, 16, 8, WHITE, r=4, opacity=0.7) for n in range(3)),
            both(rect(372, 380, 28, 8, GOLD)),
            cx=400,
            cy=640,
        ),
    )


SHAPES: Final[dict[str, Shape]] = {
    "cream": Shape(cream, 184, 636),
    "dryer": Shape(dryer),
    "flatiron": Shape(flatiron),
    "serum": Shape(serum, 104),
    "shampoo": Shape(shampoo, 170),
    "soap": Shape(soap, 200),
    "sunscreen": Shape(sunscreen, 114),
}
