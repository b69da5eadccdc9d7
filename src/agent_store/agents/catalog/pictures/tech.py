"""Phones, computers, sound and pictures."""

from typing import Final

from agent_store.agents.catalog.pictures.ink import (
    GRAPHITE,
    INK,
    SHADE,
    SILVER,
    STEEL,
    WHITE,
    Pen,
    Shape,
    both,
    box,
    disc,
    line,
    mix,
    move,
    num,
    oval,
    path,
    rect,
    turn,
)


def _screen(pen: Pen, x: float, y: float, width: float, height: float, radius: float = 8) -> str:
    """Return a lit display: dunes under a sun, with a reflection across it."""
    frame = box(x, y, width, height, radius)
    sky = pen.fade("#ffdcb8", mix(pen.theme, "#f7c6d4", 0.45))

    def at(across: float, down: float) -> str:
        return f"{num(x + width * across)} {num(y + height * down)}"

    far = f"M{at(0, 0.62)}Q{at(0.3, 0.4)} {at(0.6, 0.66)}T{at(1, 0.56)}L{at(1, 1)} {at(0, 1)}Z"
    near = f"M{at(0, 0.82)}Q{at(0.4, 0.6)} {at(1, 0.8)}L{at(1, 1)} {at(0, 1)}Z"
    glare = f"M{at(0.06, 0)}L{at(0.34, 0)} {at(0.06, 1)} {at(-0.22, 1)}Z"
    return path(frame, sky) + pen.inside(
        frame,
        oval(x + width * 0.68, y + height * 0.36, min(width, height) * 0.15, "#fff3d6", opacity=0.95),
        path(far, mix(pen.theme, INK, 0.12), opacity=0.75),
        path(near, mix(pen.theme, INK, 0.45)),
        path(glare, WHITE, opacity=0.12),
    )


def _lens(pen: Pen, cx: float, cy: float, radius: float) -> str:
    """Return a camera lens."""
    return (
        oval(cx, cy, radius, "#14161d")
        + oval(cx, cy, radius * 0.8, STEEL, opacity=0.5)
        + path(disc(cx, cy, radius * 0.72), pen.fade("#39415c", "#10121a", "slant"))
        + oval(cx, cy, radius * 0.38, "#0b0d14")
        + oval(cx - radius * 0.26, cy - radius * 0.28, radius * 0.16, WHITE, opacity=0.75)
        + oval(cx + radius * 0.22, cy + radius * 0.26, radius * 0.09, "#9fc3ff", opacity=0.7)
    )


def phone(pen: Pen) -> str:
    """Draw a phone from the back with another in front of it, screen up."""
    back = box(232, 156, 226, 462, 44)
    return turn(
        -9,
        path(back, pen.body),
        line(box(235, 159, 220, 456, 42), pen.light, 4, opacity=0.8),
        pen.inside(back, path("M200 156H300L232 640H140Z", WHITE, opacity=0.16)),
        rect(250, 176, 96, 150, pen.dark, r=30),
        _lens(pen, 298, 220, 32),
        _lens(pen, 298, 286, 28),
        oval(366, 204, 9, "#fff2cf"),
        cx=345,
        cy=400,
    ) + turn(
        6,
        rect(352, 170, 232, 470, SHADE, r=46, opacity=0.18),
        rect(346, 164, 230, 470, pen.deep, r=46),
        rect(351, 169, 220, 460, INK, r=42),
        _screen(pen, 360, 178, 202, 442, 34),
        rect(430, 192, 62, 18, INK, r=9),
        rect(424, 604, 74, 6, WHITE, r=3, opacity=0.8),
        "".join(
            rect(384 + 44 * n, 546, 34, 34, color, r=10)
            for n, color in enumerate(("#ffffff", "#ffd27a", "#8fe0b4", "#ff9a8c"))
        ),
        cx=461,
        cy=400,
    )


def laptop(pen: Pen) -> str:
    """Draw an open laptop."""
    keys = "".join(
        rect(
            224 - 11 * row + (352 + 22 * row) / 12 * n,
            500 + 20 * row,
            (352 + 22 * row) / 12 - 5,
            14,
            INK,
            r=4,
        )
        for row in range(4)
        for n in range(12)
    )
    return (
        rect(196, 190, 408, 288, pen.dark, r=20)
        + rect(202, 196, 396, 276, INK, r=16)
        + _screen(pen, 214, 208, 372, 244, 6)
        + oval(400, 202, 3, STEEL)
        + rect(196, 470, 408, 20, pen.deep, r=4)
        + path("M204 484H596L668 618H132Z", pen.body)
        + path("M204 484H596L602 496H198Z", SHADE, opacity=0.2)
        + path("M214 494H586L628 584H172Z", SHADE, opacity=0.16)
        + keys
        + path("M340 590H460L468 612H332Z", pen.dark)
        + path("M132 618H668V628Q668 640 654 640H146Q132 640 132 628Z", pen.deep)
        + rect(350, 618, 100, 9, pen.dark, r=4)
    )


def tablet(pen: Pen) -> str:
    """Draw a tablet with a stylus."""
    return turn(
        -5,
        rect(206, 156, 372, 486, pen.deep, r=38),
        rect(210, 158, 364, 480, pen.light, r=36),
        rect(216, 164, 352, 468, INK, r=31),
        _screen(pen, 234, 182, 316, 432, 16),
        rect(258, 208, 268, 62, WHITE, r=18, opacity=0.5),
        rect(258, 284, 126, 104, WHITE, r=18, opacity=0.32),
        rect(400, 284, 126, 104, WHITE, r=18, opacity=0.32),
        oval(392, 173, 4, STEEL),
    ) + turn(
        14,
        path("M616 226H640V566L628 606L616 566Z", pen.fade("#ffffff", "#d4d8e0", "right")),
        path("M616 566H640L628 606Z", GRAPHITE),
        rect(616, 226, 24, 20, STEEL, r=6),
        rect(633, 250, 5, 312, SHADE, opacity=0.1),
        cx=628,
        cy=400,
    )


def headphones(pen: Pen) -> str:
    """Draw over-ear headphones."""
    cup = box(182, 398, 112, 206, 54)
    return (
        line("M236 430C222 250 300 166 400 166C500 166 578 250 564 430", pen.deep, 40)
        + line("M236 426C222 248 300 162 400 162C500 162 578 248 564 426", pen.base, 30)
        + line("M262 300C282 222 340 184 400 184C460 184 518 222 538 300", GRAPHITE, 14)
        + line("M250 260C274 200 330 164 396 158", WHITE, 7, opacity=0.4)
        + both(
            rect(224, 372, 24, 80, SILVER, r=10),
            rect(268, 408, 58, 186, INK, r=28),
            rect(276, 420, 16, 160, WHITE, r=8, opacity=0.1),
        )
        + both(path(cup, pen.body))
        + pen.inside(cup, rect(196, 420, 18, 160, WHITE, r=9, opacity=0.35))
        + pen.inside(box(506, 398, 112, 206, 54), rect(570, 390, 60, 220, SHADE, opacity=0.16))
        + both(
            line(box(204, 440, 58, 122, 29), pen.detail, 4, opacity=0.5),
            oval(233, 501, 12, pen.detail, opacity=0.55),
        )
        + oval(560, 586, 5, "#7dffb0")
    )


def earbuds(pen: Pen) -> str:
    """Draw a pair of wireless earbuds over their open case."""
    bud = (
        rect(306, 210, 32, 176, pen.body, r=16)
        + rect(313, 262, 7, 104, WHITE, r=3, opacity=0.4)
        + path("M270 216C280 166 350 164 366 206C380 250 344 290 306 282C276 274 262 250 270 216Z", pen.body)
        + path("M262 226C250 246 256 282 280 288C292 266 284 236 262 226Z", GRAPHITE)
        + oval(330, 210, 16, WHITE, ry=10, opacity=0.4)
        + rect(310, 374, 24, 10, SILVER, r=5)
    )
    case = box(206, 430, 388, 210, 92)
    return (
        path(box(222, 366, 356, 150, 74), pen.deep)
        + path(box(240, 384, 320, 110, 54), mix(pen.deep, INK, 0.5))
        + turn(-8, bud, cx=322, cy=300)
        + move(800, 0, f'<g transform="scale(-1 1)">{turn(-8, bud, cx=322, cy=300)}</g>')
        + path(case, pen.body)
        + pen.inside(
            case,
            rect(206, 596, 388, 60, SHADE, opacity=0.12),
            rect(240, 452, 220, 16, WHITE, r=8, opacity=0.35),
            rect(560, 420, 60, 230, SHADE, opacity=0.1),
        )
        + oval(400, 530, 7, "#54d98c")
        + oval(400, 530, 13, "#54d98c", opacity=0.25)
    )


def speaker(pen: Pen) -> str:
    """Draw a cylindrical wireless speaker."""
    body = "M262 236Q400 300 538 236V598Q400 672 262 598Z"
    mesh = "".join(
        oval(x + (y // 16 % 2) * 8, y, 3, SHADE, opacity=0.3) for y in range(250, 660, 16) for x in range(262, 544, 16)
    )
    return (
        pen.round(body, 262, 538, pen.fade(pen.base, pen.dark))
        + pen.inside(body, mesh, path("M262 560Q400 634 538 560V700H262Z", pen.deep))
        + oval(400, 236, 138, pen.deep, ry=58)
        + path(disc(400, 230, 138, 58), pen.fade(pen.pale, pen.base, "slant"))
        + oval(400, 230, 112, pen.dark, ry=44)
        + line(disc(400, 230, 112, 44), mix(pen.theme, WHITE, 0.35), 6)
        + rect(374, 226, 52, 8, WHITE, r=4)
        + rect(396, 211, 8, 38, WHITE, r=4)
        + rect(310, 226, 34, 7, WHITE, r=3, opacity=0.8)
        + path("M462 216L486 230L462 244Z", WHITE, opacity=0.85)
        + line("M540 420C566 430 574 470 562 520", pen.deep, 13)
        + rect(382, 560, 36, 12, SILVER, r=6)
    )


def tv(pen: Pen) -> str:
    """Draw a large flat television on its feet."""
    return (
        both(path("M230 540L196 632H222L262 540Z", GRAPHITE))
        + rect(96, 190, 608, 362, pen.deep, r=16)
        + rect(102, 194, 596, 352, INK, r=12)
        + _screen(pen, 112, 204, 576, 324, 5)
        + rect(372, 534, 56, 5, STEEL, r=2)
        + both(rect(184, 628, 62, 12, INK, r=6))
    )


def monitor(pen: Pen) -> str:
    """Draw a desktop monitor with charts on its screen."""
    bars = "".join(
        rect(448 + 30 * n, 420 - height, 20, height, color, r=5)
        for n, (height, color) in enumerate(
            ((60, "#8fe0b4"), (96, "#ffd27a"), (74, "#ff9a8c"), (128, "#9cc4ff"), (104, "#8fe0b4"))
        )
    )
    return (
        path("M364 500H436L446 610H354Z", pen.fade(pen.dark, pen.base))
        + path("M270 640Q270 606 330 604H470Q530 606 530 640Z", pen.body)
        + rect(126, 164, 548, 356, pen.deep, r=20)
        + rect(132, 168, 536, 346, INK, r=16)
        + rect(146, 182, 508, 306, pen.fade("#2b3358", "#171b30", "slant"), r=8)
        + rect(166, 202, 230, 126, WHITE, r=12, opacity=0.1)
        + line("M184 296L230 262L272 280L324 226L376 244", "#8fe0b4", 7)
        + rect(166, 346, 230, 16, WHITE, r=8, opacity=0.26)
        + rect(166, 376, 180, 16, WHITE, r=8, opacity=0.18)
        + rect(166, 406, 206, 16, WHITE, r=8, opacity=0.18)
        + rect(166, 436, 130, 24, mix(pen.theme, WHITE, 0.25), r=12)
        + rect(420, 202, 214, 240, WHITE, r=12, opacity=0.08)
        + bars
        + path("M146 182H330L190 488H146Z", WHITE, opacity=0.06)
        + oval(400, 501, 4, "#7dffb0")
    )


def camera(pen: Pen) -> str:
    """Draw a system camera from the front."""
    shell = box(166, 270, 468, 340, 44)
    return (
        path("M300 280L326 206Q332 192 348 192H452Q468 192 474 206L500 280Z", pen.dark)
        + path("M340 214H460L468 240H332Z", "#aebfd0")
        + rect(206, 246, 76, 36, GRAPHITE, r=10)
        + rect(530, 250, 60, 30, SILVER, r=12)
        + path(shell, pen.body)
        + pen.inside(
            shell,
            rect(166, 344, 468, 196, INK, opacity=0.72),
            rect(166, 270, 468, 10, WHITE, opacity=0.3),
            rect(166, 576, 468, 40, SHADE, opacity=0.16),
            "".join(
                oval(x + (y // 14 % 2) * 7, y, 2.4, WHITE, opacity=0.08)
                for y in range(350, 540, 14)
                for x in range(170, 634, 14)
            ),
        )
        + rect(170, 316, 70, 250, GRAPHITE, r=28)
        + rect(182, 334, 10, 212, WHITE, r=5, opacity=0.14)
        + oval(420, 440, 152, SHADE, opacity=0.3)
        + path(disc(412, 436, 148), pen.fade(GRAPHITE, "#16181f", "slant"))
        + line(disc(412, 436, 134), STEEL, 4, dash="4 8")
        + _lens(pen, 412, 436, 112)
        + oval(586, 312, 15, "#d94a4a")
        + oval(582, 308, 5, WHITE, opacity=0.6)
    )


def smartwatch(pen: Pen) -> str:
    """Draw a smartwatch that shows a pulse."""
    return (
        path("M316 130Q316 112 334 112H466Q484 112 484 130L500 300H300Z", pen.body)
        + path("M300 500H500L484 676Q482 692 466 692H334Q318 692 316 676Z", pen.fade(pen.base, pen.dark))
        + rect(330, 124, 20, 160, WHITE, r=10, opacity=0.2)
        + "".join(oval(400, y, 8, SHADE, ry=6, opacity=0.4) for y in (590, 618, 646))
        + rect(540, 350, 24, 62, SILVER, r=10)
        + rect(540, 430, 16, 50, STEEL, r=8)
        + rect(252, 254, 296, 298, STEEL, r=84)
        + rect(256, 254, 288, 290, SILVER, r=80)
        + rect(268, 266, 264, 268, "#0f1118", r=70)
        + line(disc(400, 400, 104), WHITE, 14, opacity=0.12)
        + line(disc(400, 400, 104), mix(pen.theme, WHITE, 0.3), 14, dash="430 999")
        + line("M322 404H362L378 372L404 440L426 384L438 404H478", "#ff8f9c", 9)
        + "".join(oval(400 + 24 * n, 476, 6, WHITE, opacity=0.9 if n == 0 else 0.35) for n in (-1, 0, 1))
        + path("M290 300C306 276 330 266 366 266L290 400Z", WHITE, opacity=0.14)
    )


SHAPES: Final[dict[str, Shape]] = {
    "camera": Shape(camera, 226, 606),
    "earbuds": Shape(earbuds, 170),
    "headphones": Shape(headphones, 190, 606),
    "laptop": Shape(laptop, 266),
    "monitor": Shape(monitor, 140),
    "phone": Shape(phone),
    "smartwatch": Shape(smartwatch),
    "speaker": Shape(speaker, 130),
    "tablet": Shape(tablet),
    "tv": Shape(tv, 250),
}
