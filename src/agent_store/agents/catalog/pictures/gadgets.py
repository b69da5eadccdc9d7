"""What goes with a computer or a phone."""

from typing import Final

from agent_store.agents.catalog.pictures.ink import (
    GOLD,
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
    line,
    mix,
    move,
    oval,
    path,
    rect,
    turn,
    twin,
)


def charger(pen: Pen) -> str:
    """Draw a wall charger with its cable."""
    brick = box(236, 330, 240, 250, 52)
    return (
        "".join(rect(x, 250, 28, 110, STEEL, r=8) for x in (306, 378))
        + line("M356 560C356 680 480 670 540 630C620 570 660 480 588 420C530 380 500 440 548 476", GRAPHITE, 15)
        + line("M356 560C356 680 480 670 540 630C620 570 660 480 588 420", WHITE, 4, opacity=0.2)
        + path(brick, pen.body)
        + pen.inside(
            brick,
            rect(254, 350, 20, 200, WHITE, r=10, opacity=0.35),
            rect(430, 320, 60, 270, SHADE, opacity=0.12),
        )
        + path("M368 384L316 470H350L338 532L394 440H358Z", pen.detail)
        + rect(330, 566, 52, 20, GRAPHITE, r=8)
        + turn(
            -42,
            rect(524, 464, 56, 80, GRAPHITE, r=14),
            rect(534, 544, 36, 30, SILVER, r=6),
            rect(540, 554, 24, 8, STEEL, r=4),
            cx=552,
            cy=476,
        )
    )


def powerbank(pen: Pen) -> str:
    """Draw a portable battery with charge lights and a cable."""
    shell = box(270, 180, 230, 450, 44)
    return (
        line("M462 200C470 120 590 130 590 240C590 340 560 400 590 470", GRAPHITE, 15)
        + rect(566, 462, 50, 84, GRAPHITE, r=14)
        + rect(576, 546, 30, 28, SILVER, r=6)
        + path(shell, pen.body)
        + pen.inside(
            shell,
            rect(288, 200, 22, 400, WHITE, r=11, opacity=0.3),
            rect(450, 170, 60, 470, SHADE, opacity=0.14),
            rect(270, 596, 230, 40, SHADE, opacity=0.14),
        )
        + rect(300, 170, 60, 16, STEEL, r=6)
        + rect(430, 166, 56, 24, GRAPHITE, r=8)
        + "".join(
            oval(337 + 32 * n, 560, 9, "#7dffb0" if n < 3 else WHITE, opacity=1 if n < 3 else 0.4) for n in range(4)
        )
        + path("M402 300L338 406H380L366 482L434 372H390Z", pen.detail, opacity=0.85)
    )


def keyboard(pen: Pen) -> str:
    """Draw a compact mechanical keyboard from above."""
    rows = (
        (1,) * 13,
        (1.5,) + (1,) * 10 + (1.5,),
        (1.8,) + (1,) * 9 + (2.2,),
        (2.2,) + (1,) * 9 + (1.8,),
        (1.4, 1.4, 1.4, 5.2, 1.2, 1.2, 1.2),
    )
    keys = ""
    for row, widths in enumerate(rows):
        x, y = 138.0, 310 + 48 * row
        for place, units in enumerate(widths):
            width = units * 524 / sum(widths)
            accent = (row, place) in ((0, 0), (2, len(widths) - 1), (4, 3))
            top = mix(pen.theme, WHITE, 0.3) if accent else pen.pale
            keys += rect(x, y, width - 6, 42, pen.deep, r=8) + rect(x + 3, y + 2, width - 12, 32, top, r=7)
            x += width
    board = box(112, 284, 576, 282, 30)
    return turn(
        -7,
        line("M400 290C400 220 480 230 500 170", GRAPHITE, 13),
        path(box(112, 294, 576, 286, 30), pen.deep),
        path(board, pen.body),
        rect(126, 298, 548, 254, SHADE, r=18, opacity=0.28),
        keys,
        rect(130, 288, 380, 5, WHITE, r=2, opacity=0.4),
    )


def mouse(pen: Pen) -> str:
    """Draw a mouse from above."""
    outline = twin("M400 196C300 196 258 270 256 380C252 520 290 640 400 640")
    return turn(
        14,
        path(outline, pen.body),
        pen.inside(
            outline,
            path("M520 200V660H440C500 580 520 400 470 200Z", SHADE, opacity=0.13),
            line("M296 330C290 420 298 500 326 560", WHITE, 16, opacity=0.3),
            line("M400 190V372M250 380Q400 420 550 380", SHADE, 5, opacity=0.35),
            path("M240 400C262 420 266 480 262 520L230 520Z", pen.deep),
        ),
        rect(380, 250, 40, 92, INK, r=20),
        rect(388, 262, 24, 68, mix(pen.theme, WHITE, 0.35), r=12),
        line("M390 280H410M390 296H410M390 312H410", SHADE, 3, opacity=0.5),
        path("M400 500L424 524L400 566L376 524Z", pen.detail, opacity=0.55),
    )


def router(pen: Pen) -> str:
    """Draw a wireless router with four antennas."""
    antenna = rect(228, 190, 24, 300, pen.dark, r=12) + rect(222, 440, 36, 60, pen.deep, r=10)
    return (
        both(turn(-12, antenna, cx=240, cy=490), move(96, 14, turn(-4, antenna, cx=240, cy=490)))
        + "".join(
            line(
                f"M{400 - r} {206 - r * 0.1}Q400 {206 - r * 1.1} {400 + r} {206 - r * 0.1}",
                mix(pen.theme, WHITE, 0.3),
                12,
            )
            for r in (30, 58)
        )
        + oval(400, 222, 10, mix(pen.theme, WHITE, 0.3))
        + path("M180 490H620L674 590Q684 636 640 636H160Q116 636 126 590Z", pen.body)
        + path("M180 490H620L634 516H166Z", WHITE, opacity=0.25)
        + path("M126 590Q116 636 160 636H640Q684 636 674 590Z", pen.dark)
        + "".join(oval(260 + 40 * n, 612, 7, "#7dffb0" if n != 4 else "#ffd27a") for n in range(5))
        + "".join(line(f"M{300 + 22 * n} 536L{296 + 22 * n} 566", SHADE, 6, opacity=0.25) for n in range(10))
    )


def printer(pen: Pen) -> str:
    """Draw a printer with a photograph coming out of it."""
    return (
        path("M276 200H524V360H276Z", "#ffffff")
        + "".join(rect(304, 232 + 28 * n, 192 - 40 * (n % 2), 10, "#d5dae3", r=5) for n in range(4))
        + path("M180 380Q180 340 220 340H580Q620 340 620 380V570Q620 596 594 596H206Q180 596 180 570Z", pen.body)
        + rect(250, 340, 300, 24, SHADE, r=8, opacity=0.35)
        + rect(196, 350, 300, 8, WHITE, r=4, opacity=0.3)
        + rect(470, 388, 120, 62, INK, r=12)
        + rect(480, 398, 100, 42, mix(pen.theme, WHITE, 0.35), r=8)
        + oval(226, 418, 14, "#7dffb0")
        + rect(256, 408, 80, 20, SHADE, r=10, opacity=0.16)
        + path("M230 480H570V560H230Z", INK)
        + path("M256 500H544L570 640H230Z", "#ffffff")
        + path("M276 524H524L540 620H260Z", mix(pen.theme, "#ffe2c2", 0.6))
        + path("M264 600L340 552L410 590L470 560L538 606L540 620H260Z", mix(pen.theme, INK, 0.2))
        + oval(474, 546, 13, "#fff3d6", ry=9)
    )


def drive(pen: Pen) -> str:
    """Draw a pocket solid-state drive with its cable."""
    shell = box(250, 240, 250, 380, 40)
    return turn(
        8,
        line("M375 250C375 130 560 130 570 260C576 360 590 420 570 486", GRAPHITE, 14),
        rect(545, 480, 50, 74, GRAPHITE, r=12),
        rect(554, 554, 32, 26, SILVER, r=5),
        rect(350, 222, 50, 40, GRAPHITE, r=10),
        path(box(256, 252, 250, 380, 40), pen.deep),
        path(shell, pen.body),
        pen.inside(
            shell,
            "".join(line(f"M240 {y}L520 {y - 120}", WHITE, 5, opacity=0.12) for y in range(300, 760, 26)),
            rect(266, 260, 18, 330, WHITE, r=9, opacity=0.28),
        ),
        rect(300, 520, 150, 54, pen.deep, r=14),
        rect(318, 540, 70, 14, pen.pale, r=7),
        oval(424, 547, 7, "#7dffb0"),
    )


def memory_card(pen: Pen) -> str:
    """Draw a memory card in front of its adapter."""
    adapter = "M330 150H560Q590 150 590 180V620Q590 650 560 650H300Q270 650 270 620V214Z"
    card = "M230 300H380Q404 300 404 324V380L424 400V600Q424 624 400 624H230Q206 624 206 600V324Q206 300 230 300Z"
    return (
        path(adapter, pen.fade(GRAPHITE, INK))
        + "".join(rect(346 + 34 * n, 172, 22, 70, GOLD, r=5) for n in range(7))
        + rect(300, 280, 260, 300, WHITE, r=14, opacity=0.1)
        + rect(590, 330, 12, 70, SILVER, r=5)
        + turn(
            -8,
            path(card, pen.body),
            pen.inside(
                card,
                rect(222, 310, 14, 290, WHITE, r=7, opacity=0.3),
                path("M206 500L424 420V640H206Z", pen.deep, opacity=0.7),
            ),
            "".join(rect(250 + 28 * n, 316, 16, 52, GOLD, r=4) for n in range(5)),
            path("M330 410L286 476H316L304 530L352 456H322Z", pen.pale),
            cx=315,
            cy=460,
        )
    )


def webcam(pen: Pen) -> str:
    """Draw a webcam on its clip."""
    shell = box(190, 250, 420, 200, 96)
    return (
        path("M350 440H450L470 560H330Z", pen.deep)
        + path("M290 560H510Q540 560 540 600V640H500V606H300V640H260V600Q260 560 290 560Z", pen.dark)
        + path(box(190, 260, 420, 200, 96), pen.deep)
        + path(shell, pen.body)
        + pen.inside(shell, rect(240, 264, 250, 13, WHITE, r=6, opacity=0.35))
        + rect(214, 272, 372, 156, INK, r=76, opacity=0.8)
        + oval(400, 350, 70, GRAPHITE)
        + oval(400, 350, 56, "#10121a")
        + oval(400, 350, 40, mix(pen.theme, INK, 0.5))
        + oval(400, 350, 22, "#0b0d14")
        + oval(384, 332, 10, WHITE, opacity=0.75)
        + "".join(rect(x, 332, 8, 36, STEEL, r=4) for x in (268, 288, 504, 524))
        + oval(476, 350, 6, "#7dffb0")
        + line("M520 590C600 600 600 690 690 690", GRAPHITE, 12)
    )


SHAPES: Final[dict[str, Shape]] = {
    "charger": Shape(charger),
    "drive": Shape(drive),
    "keyboard": Shape(keyboard),
    "memory_card": Shape(memory_card),
    "mouse": Shape(mouse),
    "powerbank": Shape(powerbank),
    "printer": Shape(printer, 220),
    "router": Shape(router, 260),
    "webcam": Shape(webcam, 140),
}
