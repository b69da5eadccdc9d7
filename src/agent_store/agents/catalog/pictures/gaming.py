"""Consoles, games and the gear around them."""

from typing import Final

from agent_store.agents.catalog.pictures.ink import (
    GOLD,
    GRAPHITE,
    INK,
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
    line,
    mix,
    move,
    oval,
    path,
    rect,
    turn,
    twin,
)

BUTTONS: Final = ("#ff6b7d", "#ffd166", "#5fd4a0", "#6fb4ff")


def _neon(pen: Pen) -> str:
    return mix(pen.theme, WHITE, 0.25)


def _buttons(cx: float, cy: float, reach: float, radius: float) -> str:
    """Return four action buttons around (cx, cy)."""
    spots = ((0, -1), (1, 0), (0, 1), (-1, 0))
    return "".join(
        oval(cx + dx * reach, cy + dy * reach, radius, color)
        + oval(cx + dx * reach - radius * 0.25, cy + dy * reach - radius * 0.3, radius * 0.3, WHITE, opacity=0.6)
        for (dx, dy), color in zip(spots, BUTTONS, strict=True)
    )


def _cross(cx: float, cy: float, reach: float, color: str) -> str:
    """Return a direction pad."""
    wide = reach * 0.62
    return rect(cx - wide / 2, cy - reach, wide, 2 * reach, color, r=6) + rect(
        cx - reach, cy - wide / 2, 2 * reach, wide, color, r=6
    )


def _stick(cx: float, cy: float, radius: float) -> str:
    """Return an analogue stick seen from above."""
    return (
        oval(cx, cy + 3, radius * 1.2, SHADE, opacity=0.35)
        + oval(cx, cy, radius, GRAPHITE)
        + oval(cx, cy, radius * 0.72, INK)
        + move(cx, cy, line("M-40 -42Q0 -72 40 -42", WHITE, 11, opacity=0.35), scale=radius / 100)
    )


def controller(pen: Pen) -> str:
    """Draw a gamepad."""
    shell = twin(
        "M400 282L330 282C310 262 240 258 216 286C180 330 136 470 140 556C142 612 186 626 222 596"
        "C256 566 282 520 310 506C336 500 366 500 400 500"
    )
    return (
        both(path("M228 282C240 240 300 238 320 276Z", pen.deep))
        + path(shell, pen.body)
        + pen.inside(
            shell,
            both(path("M130 560C160 520 190 520 240 560L220 640H120Z", SHADE, opacity=0.14)),
            line("M196 340C176 400 164 460 160 520", WHITE, 14, opacity=0.28),
            path("M280 500Q400 470 520 500V540H280Z", SHADE, opacity=0.12),
        )
        + rect(338, 292, 124, 78, pen.dark, r=16)
        + rect(346, 298, 108, 8, _neon(pen), r=4)
        + both(rect(308, 306, 16, 30, pen.deep, r=8))
        + _cross(248, 372, 40, INK)
        + _buttons(552, 372, 34, 17)
        + _stick(322, 446, 36)
        + _stick(478, 446, 36)
        + oval(400, 420, 13, pen.deep)
        + oval(400, 420, 7, _neon(pen))
    )


def console(pen: Pen) -> str:
    """Draw a console standing upright with its gamepad."""
    case = box(206, 140, 216, 488, 46)
    vents = "".join(rect(232 + 24 * n, 172, 10, 92 - 9 * n, SHADE, r=5, opacity=0.4) for n in range(6))
    return (
        rect(226, 620, 176, 20, INK, r=8)
        + path(case, pen.body)
        + pen.inside(
            case,
            path("M206 470L422 330V640H206Z", pen.deep),
            line("M196 478L432 324", _neon(pen), 8),
            rect(222, 150, 14, 300, WHITE, r=7, opacity=0.26),
            rect(388, 130, 40, 500, SHADE, opacity=0.12),
        )
        + vents
        + rect(240, 520, 12, 76, INK, r=6)
        + oval(280, 586, 9, _neon(pen))
        + move(312, 350, controller(pen), scale=0.52)
    )


def handheld(pen: Pen) -> str:
    """Draw a handheld console."""
    shell = box(96, 250, 608, 300, 96)
    return (
        both(rect(130, 236, 120, 40, pen.deep, r=18))
        + path(shell, pen.body)
        + pen.inside(
            shell,
            rect(96, 500, 608, 60, SHADE, opacity=0.14),
            rect(120, 264, 500, 10, WHITE, r=5, opacity=0.35),
        )
        + rect(226, 272, 348, 256, INK, r=18)
        + rect(240, 286, 320, 228, pen.fade("#5b6fe0", "#f2a9c8"), r=8)
        + pen.inside(
            box(240, 286, 320, 228, 8),
            oval(490, 344, 32, "#fff0c4"),
            path("M240 430L310 350L370 420L430 370L560 470V520H240Z", "#4c3f8f", opacity=0.75),
            rect(240, 474, 320, 44, "#3f9b6c"),
            "".join(rect(x, y, 28, 28, "#e8b84a", r=4) for x, y in ((300, 400), (328, 400), (356, 400))),
            rect(428, 434, 28, 40, "#ff6b7d", r=8),
            oval(442, 426, 13, "#ffe1c4"),
            path("M260 286H350L290 514H240V360Z", WHITE, opacity=0.12),
        )
        + _stick(162, 342, 34)
        + _cross(162, 446, 32, INK)
        + _buttons(638, 346, 28, 14)
        + _stick(638, 446, 34)
        + both(rect(198, 300, 16, 10, pen.deep, r=5))
    )


def game(pen: Pen) -> str:
    """Draw a game case with its disc."""
    cover = box(232, 192, 264, 400)
    return (
        path(disc(508, 404, 158), pen.fade("#f3f5fa", "#a9b3c6", "slant"))
        + path("M508 404L600 276A158 158 0 0 1 648 334Z", "#f2a9c8", opacity=0.7)
        + path("M508 404L650 340A158 158 0 0 1 666 410Z", "#8fc7ff", opacity=0.7)
        + path("M508 404L560 553A158 158 0 0 0 610 524Z", "#b8f0c8", opacity=0.7)
        + oval(508, 404, 46, WHITE, opacity=0.7)
        + oval(508, 404, 20, mix(pen.theme, WHITE, 0.7))
        + rect(192, 150, 324, 494, pen.deep, r=20)
        + rect(192, 150, 40, 494, pen.dark, r=14)
        + rect(232, 158, 276, 478, pen.base, r=8)
        + path(cover, pen.fade(mix(pen.base, "#ffd9a8", 0.75), pen.base))
        + pen.inside(
            cover,
            oval(364, 310, 104, "#fff0c4", opacity=0.7),
            path("M232 470L300 360L348 430L400 340L496 480V600H232Z", mix(pen.base, INK, 0.5)),
            path("M232 520Q360 450 496 530V600H232Z", mix(pen.base, INK, 0.78)),
            path("M364 236L384 286L438 290L396 324L410 376L364 346L318 376L332 324L290 290L344 286Z", PAPER),
            path("M364 236L384 286L438 290L396 324L410 376L364 346Z", GOLD, opacity=0.6),
        )
        + rect(252, 606, 120, 14, WHITE, r=7, opacity=0.7)
        + rect(440, 602, 48, 22, WHITE, r=6, opacity=0.85)
        + path("M232 158H340L250 636H232Z", WHITE, opacity=0.13)
    )


def headset(pen: Pen) -> str:
    """Draw a gaming headset with a microphone."""
    cup = disc(222, 470, 62, 108)
    return (
        line("M222 400C206 210 300 150 400 150C500 150 594 210 578 400", pen.deep, 38)
        + line("M228 350C232 220 310 166 400 166C490 166 568 220 572 350", INK, 26)
        + line("M214 360C214 216 300 142 400 138", pen.light, 7, opacity=0.7)
        + line("M196 540C190 640 270 660 344 636", GRAPHITE, 13)
        + turn(
            -18,
            rect(330, 612, 76, 34, INK, r=17),
            rect(342, 622, 50, 7, WHITE, r=3, opacity=0.25),
            cx=360,
            cy=630,
        )
        + oval(398, 616, 5, "#ff6b7d")
        + both(rect(256, 374, 62, 192, INK, r=30), rect(266, 390, 14, 160, WHITE, r=7, opacity=0.1))
        + both(path(cup, pen.body), line(disc(222, 470, 42, 80), _neon(pen), 8))
        + both(path("M222 424L246 470L222 516L198 470Z", pen.detail, opacity=0.7))
        + line("M176 430C178 400 190 380 204 374", WHITE, 8, opacity=0.5)
    )


def gaming_chair(pen: Pen) -> str:
    """Draw a racing-style chair on castors."""
    back = twin("M400 130C340 130 316 150 312 190L322 240C292 300 284 380 300 460L400 470")
    star = "M400 566L262 606L258 624L400 596L542 624L538 606Z"
    return (
        rect(386, 520, 28, 70, GRAPHITE)
        + path(star, INK)
        + "".join(oval(x, y, 17, GRAPHITE) + oval(x, y, 7, STEEL) for x, y in ((266, 630), (400, 626), (534, 630)))
        + line("M400 580V606", INK, 16)
        + path(back, INK)
        + pen.inside(
            back,
            both(path("M312 160L352 200L336 300L350 470H290L284 300L316 240Z", pen.base)),
            both(line("M352 196L338 300L352 470", pen.light, 5)),
            rect(356, 150, 88, 60, pen.base, r=20),
            rect(346, 366, 108, 66, pen.base, r=18),
            rect(356, 374, 70, 8, WHITE, r=4, opacity=0.3),
            line("M306 210C296 270 290 330 296 400", WHITE, 8, opacity=0.25),
        )
        + both(oval(344, 232, 15, "#3a3c48", ry=24))
        + both(
            path("M240 420H300Q312 420 312 432V444H240Q228 444 228 432Q228 420 240 420Z", GRAPHITE),
            rect(262, 440, 16, 70, GRAPHITE),
        )
        + path("M268 486Q270 462 300 460H500Q530 462 532 486L540 516Q542 540 516 540H284Q258 540 260 516Z", INK)
        + both(path("M268 486Q270 462 300 460H330L312 540H284Q258 540 260 516Z", pen.base))
        + line("M320 476H470", WHITE, 8, opacity=0.14)
    )


def mousepad(pen: Pen) -> str:
    """Draw an extended mouse pad with a mouse on it."""
    mat = "M200 260H640Q660 260 664 280L712 560Q716 586 690 586H110Q84 586 88 560L176 280Q180 260 200 260Z"
    return (
        path(mat, pen.deep)
        + move(0, -10, path(mat, pen.body))
        + pen.inside(
            mat,
            "".join(line(f"M{x} 600L{x + 190} 230", WHITE, 26, opacity=0.08) for x in range(-60, 720, 110)),
            path("M80 520Q260 360 420 470T730 400V600H80Z", pen.deep, opacity=0.55),
            line("M80 520Q260 360 420 470T730 400", _neon(pen), 6),
        )
        + move(0, -10, line(mat, _neon(pen), 6, opacity=0.9))
        + path(disc(540, 438, 58, 88), SHADE, opacity=0.3)
        + path(disc(534, 426, 58, 88), pen.fade("#ffffff", "#cfd4de", "slant"))
        + line("M534 340V410M478 410Q534 428 590 410", STEEL, 4)
        + rect(527, 362, 14, 34, _neon(pen), r=7)
        + line("M534 340C534 290 560 270 560 226", GRAPHITE, 9)
    )


def giftcard(pen: Pen) -> str:
    """Draw two gift cards."""
    front = box(150, 290, 470, 290, 32)
    heart = "".join(
        rect(450 + 20 * x, 396 + 20 * y, 20, 20, "#ff6b7d" if (x, y) != (1, 1) else "#ffc2ca")
        for y, row in enumerate((" ## ## ", "#######", "#######", " ##### ", "  ###  ", "   #   "))
        for x, mark in enumerate(row)
        if mark == "#"
    )
    return turn(
        11,
        rect(190, 220, 470, 290, INK, r=32),
        rect(190, 270, 470, 56, GRAPHITE),
        rect(226, 360, 200, 40, SILVER, r=8),
        cx=425,
        cy=365,
    ) + turn(
        -7,
        path(front, pen.body),
        pen.inside(
            front,
            path("M150 500Q300 390 430 480T640 420V600H150Z", pen.deep, opacity=0.5),
            path("M200 280H300L210 600H110Z", WHITE, opacity=0.14),
            oval(600, 300, 110, WHITE, opacity=0.1),
        ),
        rect(186, 326, 78, 58, GOLD, r=12),
        line("M186 346H220V384M264 346H230V326", "#8f6a25", 3, opacity=0.6),
        heart,
        rect(186, 520, 150, 14, WHITE, r=7, opacity=0.8),
        rect(186, 546, 96, 10, WHITE, r=5, opacity=0.5),
        cx=385,
        cy=435,
    )


def figure(pen: Pen) -> str:
    """Draw a collectable robot on its stand."""
    return (
        path(disc(400, 616, 180, 36), INK)
        + oval(400, 604, 180, GRAPHITE, ry=34)
        + oval(400, 602, 150, _neon(pen), ry=26, opacity=0.5)
        + both(
            rect(330, 520, 54, 84, pen.dark, r=14),
            rect(318, 574, 72, 32, pen.deep, r=14),
            turn(16, rect(246, 396, 50, 120, pen.dark, r=24), oval(271, 522, 30, pen.deep), cx=290, cy=400),
            oval(286, 402, 38, pen.base),
        )
        + rect(306, 378, 188, 156, pen.body, r=36)
        + rect(336, 410, 128, 72, pen.deep, r=18)
        + oval(400, 446, 25, _neon(pen))
        + oval(394, 438, 8, WHITE, opacity=0.8)
        + rect(320, 388, 120, 8, WHITE, r=4, opacity=0.35)
        + both(line("M316 190L296 140", pen.deep, 10), oval(294, 136, 14, _neon(pen)))
        + rect(266, 184, 268, 194, pen.body, r=64)
        + rect(292, 196, 150, 12, WHITE, r=6, opacity=0.4)
        + both(rect(244, 246, 36, 78, pen.deep, r=14))
        + rect(298, 232, 204, 106, INK, r=46)
        + both(oval(350, 284, 24, "#8ff0ff"), oval(344, 276, 8, WHITE))
        + line("M376 318Q400 330 424 318", "#8ff0ff", 6)
    )


def wheel(pen: Pen) -> str:
    """Draw a racing wheel on its base."""
    rim = disc(400, 380, 206)
    return (
        path("M300 500H500L548 640H252Z", INK)
        + rect(230, 610, 340, 32, GRAPHITE, r=12)
        + line(rim, INK, 52)
        + line("M210 320A206 206 0 0 1 590 320", pen.base, 50)
        + line("M224 300A200 200 0 0 1 396 178", WHITE, 8, opacity=0.3)
        + line("M186 430A206 206 0 0 0 240 520M614 430A206 206 0 0 1 560 520", "#3a3c48", 50)
        + rect(386, 150, 28, 52, "#ffd166", r=6)
        + path("M214 350H330V430H220ZM586 350H470V430H580Z", GRAPHITE)
        + path("M372 470H428L420 590H380Z", GRAPHITE)
        + oval(400, 396, 96, pen.fade(GRAPHITE, INK))
        + line(disc(400, 396, 88), STEEL, 3, opacity=0.6)
        + oval(400, 396, 40, pen.base)
        + path("M400 372L424 396L400 420L376 396Z", WHITE, opacity=0.85)
        + _buttons(500, 382, 20, 10)
        + _cross(300, 382, 22, "#14161d")
        + "".join(
            oval(364 + 18 * n, 328, 6, color)
            for n, color in enumerate(("#5fd4a0", "#5fd4a0", "#ffd166", "#ff6b7d", "#ff6b7d"))
        )
    )


def vr(pen: Pen) -> str:
    """Draw a virtual reality visor with its strap."""
    visor = (
        "M190 330Q190 286 236 286H564Q610 286 610 330V470Q610 540 546 540H498Q472 540 456 514"
        "L434 480Q400 446 366 480L344 514Q328 540 302 540H254Q190 540 190 470Z"
    )
    return (
        line("M214 310C210 170 590 170 586 310", pen.deep, 34)
        + line("M400 206V290", GRAPHITE, 30)
        + line("M238 268C262 200 330 188 390 190", WHITE, 7, opacity=0.3)
        + both(path("M196 340H150Q132 340 132 360V420Q132 440 150 440H196Z", GRAPHITE))
        + path(visor, pen.body)
        + pen.inside(
            visor,
            rect(190, 480, 420, 80, SHADE, opacity=0.14),
            rect(214, 298, 300, 12, WHITE, r=6, opacity=0.45),
        )
        + rect(222, 326, 356, 122, INK, r=44)
        + pen.inside(
            box(222, 326, 356, 122, 44),
            path("M222 430Q320 350 400 410T580 370V460H222Z", mix(pen.theme, INK, 0.2)),
            path("M260 320H330L250 460H200Z", WHITE, opacity=0.16),
        )
        + both(oval(268, 354, 11, STEEL), oval(268, 354, 5, "#8ff0ff"))
        + both(
            turn(
                -14,
                line(disc(228, 600, 38, 22), pen.base, 11),
                rect(214, 596, 28, 76, pen.deep, r=14),
                oval(228, 600, 8, _neon(pen)),
                cx=228,
                cy=620,
            )
        )
    )


def microphone(pen: Pen) -> str:
    """Draw a desktop microphone on its stand."""
    capsule = box(300, 140, 200, 350, 96)
    mesh = "".join(
        oval(x + (y // 14 % 2) * 8, y, 3, WHITE, opacity=0.35) for y in range(150, 330, 14) for x in range(300, 510, 16)
    )
    return (
        line("M256 300C256 470 300 540 400 540C500 540 544 470 544 300", GRAPHITE, 20)
        + both(oval(256, 300, 20, STEEL))
        + rect(386, 530, 28, 80, GRAPHITE)
        + path("M262 640Q262 604 302 604H498Q538 604 538 640Z", INK)
        + rect(300, 610, 130, 8, WHITE, r=4, opacity=0.2)
        + pen.round(capsule, 300, 500)
        + pen.inside(capsule, rect(300, 130, 200, 204, INK, opacity=0.82), mesh)
        + rect(296, 326, 208, 18, _neon(pen), r=9)
        + oval(400, 410, 26, pen.deep)
        + oval(400, 410, 16, pen.pale)
        + oval(400, 456, 6, "#7dffb0")
        + line("M328 200C332 180 344 168 360 160", WHITE, 8, opacity=0.5)
    )


def tower(pen: Pen) -> str:
    """Draw a desktop computer with a glass side and lit fans."""

    def fan(cx: float, cy: float, radius: float, glow: str) -> str:
        blade = path("M0 0Q55 -25 30 -78Q-5 -50 0 0Z", glow)
        blades = "".join(turn(60 * n, blade, cx=0, cy=0) for n in range(6))
        return (
            oval(cx, cy, radius, "#0f1118")
            + move(cx, cy, blades, scale=radius / 100)
            + line(disc(cx, cy, radius - 4), glow, 7)
            + oval(cx, cy, radius * 0.2, INK)
        )

    return (
        both(rect(230, 622, 90, 18, INK, r=6))
        + rect(196, 150, 408, 478, pen.body, r=18)
        + rect(210, 160, 300, 6, WHITE, r=3, opacity=0.35)
        + rect(216, 178, 254, 430, "#171a28", r=10)
        + rect(484, 178, 104, 430, pen.deep, r=10)
        + "".join(fan(536, y, 46, color) for y, color in ((244, "#ff7ab8"), (372, _neon(pen)), (500, "#6fe3ff")))
        + fan(316, 270, 54, _neon(pen))
        + rect(400, 210, 14, 130, "#6fe3ff", r=5)
        + rect(422, 210, 14, 130, "#ff7ab8", r=5)
        + rect(240, 380, 210, 62, GRAPHITE, r=10)
        + fan(286, 411, 24, "#ff7ab8")
        + fan(354, 411, 24, "#6fe3ff")
        + rect(246, 446, 196, 7, _neon(pen), r=3)
        + rect(240, 520, 210, 70, INK, r=8)
        + line("M330 460C330 490 300 490 300 520M370 460C370 500 390 500 390 520", "#ff7ab8", 6)
        + path("M216 178H330L216 500Z", WHITE, opacity=0.1)
        + oval(536, 578, 8, WHITE, opacity=0.8)
    )


def pouch(pen: Pen) -> str:
    """Draw a hard travel case with a zip and a wrist strap."""
    shell = box(130, 250, 540, 330, 96)
    return (
        line("M640 330C730 300 760 400 700 450C670 476 650 450 640 420", pen.deep, 20)
        + path(box(130, 262, 540, 330, 96), pen.deep)
        + path(shell, pen.body)
        + pen.inside(
            shell,
            rect(176, 270, 380, 14, WHITE, r=7, opacity=0.3),
            path("M130 500Q400 560 670 500V600H130Z", SHADE, opacity=0.14),
        )
        + line(box(150, 270, 500, 290, 80), pen.dark, 9)
        + line(box(150, 270, 500, 290, 80), pen.detail, 5, dash="2 9")
        + rect(610, 398, 60, 30, STEEL, r=10)
        + oval(650, 413, 7, INK)
        + rect(318, 360, 164, 104, pen.dark, r=30)
        + _cross(362, 412, 24, pen.pale)
        + _buttons(438, 412, 18, 9)
    )


SHAPES: Final[dict[str, Shape]] = {
    "console": Shape(console, 230),
    "controller": Shape(controller),
    "figure": Shape(figure, 170, 646),
    "game": Shape(game),
    "gaming_chair": Shape(gaming_chair, 150, 648),
    "giftcard": Shape(giftcard),
    "handheld": Shape(handheld),
    "headset": Shape(headset),
    "microphone": Shape(microphone, 140),
    "mousepad": Shape(mousepad),
    "pouch": Shape(pouch),
    "tower": Shape(tower, 200),
    "vr": Shape(vr),
    "wheel": Shape(wheel, 170),
}
