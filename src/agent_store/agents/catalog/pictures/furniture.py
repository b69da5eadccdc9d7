"""Furniture and lamps."""

from typing import Final

from agent_store.agents.catalog.pictures.ink import (
    BARK,
    GOLD,
    GRAPHITE,
    PAPER,
    SHADE,
    WHITE,
    Pen,
    Shape,
    both,
    box,
    leaf,
    line,
    mix,
    oval,
    path,
    rect,
    turn,
)


def _wood(pen: Pen) -> str:
    return pen.fade("#cd9c6b", "#a97847")


def sofa(pen: Pen) -> str:
    """Draw a three-seat sofa with cushions."""
    cushion = box(238, 408, 106, 96, 22)
    return (
        both(path("M160 596L148 640H168L188 596Z", BARK))
        + rect(124, 300, 552, 240, pen.dark, r=44)
        + "".join(
            rect(150 + 168 * n, 292, 164, 220, pen.body, r=34)
            + rect(168 + 168 * n, 306, 128, 12, WHITE, r=6, opacity=0.18)
            for n in range(3)
        )
        + rect(130, 500, 540, 110, pen.dark, r=22)
        + "".join(
            rect(154 + 165 * n, 470, 162, 86, pen.light, r=24)
            + rect(168 + 165 * n, 478, 134, 10, WHITE, r=5, opacity=0.25)
            for n in range(3)
        )
        + turn(
            -12,
            path(cushion, mix(pen.theme, WHITE, 0.4)),
            line("M252 422L330 490M330 422L252 490", WHITE, 4, opacity=0.5),
            cx=290,
            cy=460,
        )
        + turn(
            9,
            rect(478, 402, 100, 94, "#e9c58c", r=22),
            "".join(line(f"M{x} 410V488", WHITE, 6, opacity=0.5) for x in (500, 528, 556)),
            cx=530,
            cy=450,
        )
        + both(
            path(box(88, 404, 86, 210, 40), pen.body),
            rect(104, 420, 16, 160, WHITE, r=8, opacity=0.2),
            rect(160, 430, 14, 170, SHADE, r=7, opacity=0.12),
        )
    )


def armchair(pen: Pen) -> str:
    """Draw an upholstered armchair on tapered legs."""
    back = "M236 460C216 280 262 186 400 186C538 186 584 280 564 460Z"
    arm = "M190 380C190 348 262 344 268 384L276 560H232C200 560 190 520 190 480Z"
    return (
        both(path("M252 570L232 648H250L286 570Z", BARK))
        + path(back, pen.body)
        + pen.inside(
            back,
            path("M500 180C560 260 566 360 540 480H620V180Z", SHADE, opacity=0.12),
            "".join(line(f"M{x} 214V470", SHADE, 4, opacity=0.14) for x in (310, 355, 400, 445, 490)),
            line("M262 380C258 300 280 230 340 212", WHITE, 14, opacity=0.3),
        )
        + rect(226, 510, 348, 76, pen.deep, r=26)
        + rect(244, 440, 312, 100, pen.light, r=40)
        + rect(276, 450, 230, 14, WHITE, r=7, opacity=0.28)
        + both(path(arm, pen.dark), line("M212 400C210 376 246 372 252 392", WHITE, 9, opacity=0.25))
    )


def chair(pen: Pen) -> str:
    """Draw a dining chair with wooden legs."""
    seat = "M246 440H554L578 500Q580 516 562 516H238Q220 516 222 500Z"
    return (
        both(path("M296 516L286 600H304L316 516Z", BARK), path("M252 510L222 648H246L286 510Z", _wood(pen)))
        + both(path("M276 196L290 450H312L298 196Z", _wood(pen)))
        + path("M262 190Q400 150 538 190L530 350Q400 322 270 350Z", pen.body)
        + path("M270 200Q400 164 530 200L529 214Q400 178 271 214Z", WHITE, opacity=0.28)
        + "".join(
            oval(x, y, 6, pen.deep, opacity=0.5)
            for x, y in ((340, 250), (400, 244), (460, 250), (370, 296), (430, 296))
        )
        + path(seat, pen.body)
        + path("M246 440H554L560 456H240Z", WHITE, opacity=0.22)
        + path("M222 500Q220 516 238 516H562Q580 516 578 500L576 494H224Z", SHADE, opacity=0.2)
    )


def table(pen: Pen) -> str:
    """Draw a dining table set with a bowl of fruit."""
    return (
        both(path("M190 440L164 640H190L232 440Z", pen.dark), path("M272 440L262 580H280L300 440Z", pen.deep))
        + path("M150 376H650L702 424H98Z", pen.light)
        + path("M150 376H400L330 424H98Z", WHITE, opacity=0.2)
        + "".join(line(f"M{180 + 130 * n} 392L{300 + 130 * n} 392", pen.dark, 3, opacity=0.4) for n in range(3))
        + rect(96, 424, 608, 30, pen.body, r=8)
        + rect(112, 428, 400, 6, WHITE, r=3, opacity=0.3)
        + rect(180, 454, 440, 22, SHADE, opacity=0.16)
        + oval(400, 402, 92, SHADE, ry=12, opacity=0.2)
        + oval(366, 326, 34, "#e7a13b")
        + oval(424, 318, 38, "#cf4b3f")
        + oval(468, 336, 30, "#8ab654")
        + line("M424 284C424 270 432 262 444 258", BARK, 6)
        + path("M302 332H498C494 384 456 404 400 404C344 404 306 384 302 332Z", pen.fade("#ffffff", "#dcd6cc"))
        + line("M330 352C336 372 352 386 372 390", WHITE, 8)
    )


def desk(pen: Pen) -> str:
    """Draw a desk with drawers and a small lamp."""
    return (
        path("M168 430L150 640H174L196 430Z", _wood(pen))
        + rect(120, 400, 560, 34, pen.body, r=8)
        + rect(136, 405, 380, 6, WHITE, r=3, opacity=0.35)
        + rect(452, 434, 200, 170, pen.dark, r=8)
        + "".join(
            rect(464, 446 + 76 * n, 176, 66, pen.light, r=8) + rect(526, 474 + 76 * n, 52, 9, GOLD, r=4)
            for n in range(2)
        )
        + path("M622 604L632 640H612L604 604ZM478 604L468 640H488L496 604Z", BARK)
        + rect(196, 382, 124, 18, "#d96c5a", r=4)
        + rect(206, 364, 108, 18, "#4f7fb5", r=4)
        + rect(202, 346, 96, 18, "#e8c26b", r=4)
        + rect(540, 388, 84, 14, GRAPHITE, r=7)
        + line("M582 390L612 290L540 226", GRAPHITE, 10)
        + path("M504 250L560 200Q580 214 574 236L536 282Q508 278 504 250Z", mix(pen.theme, WHITE, 0.2))
        + path("M504 250L536 282L420 400H340Z", "#ffe6a3", opacity=0.35)
    )


def lamp(pen: Pen) -> str:
    """Draw a table lamp that is lit."""
    shade = "M296 160H504L566 380Q400 412 234 380Z"
    return (
        path("M250 392Q400 420 550 392L640 640H160Z", "#ffe6a3", opacity=0.3)
        + rect(391, 380, 18, 130, GOLD)
        + pen.round(
            "M400 440C346 452 320 500 330 548C338 588 364 610 400 612C436 610 462 588 470 548C480 500 454 452 400 440Z",
            326,
            474,
        )
        + path("M300 640Q300 606 340 604H460Q500 606 500 640Z", _wood(pen))
        + path(shade, pen.fade("#fff7df", "#f0d9a6"))
        + pen.inside(
            shade,
            path(shade, pen.base, opacity=0.26),
            oval(400, 330, 130, "#fff3c9", ry=100, opacity=0.7),
            "".join(line(f"M{400 + 34 * n} 150L{400 + 54 * n} 410", SHADE, 3, opacity=0.08) for n in range(-3, 4)),
        )
        + line("M296 163H504M236 380Q400 411 564 380", pen.base, 9)
        + line("M470 400V452", GOLD, 4)
        + oval(470, 458, 8, GOLD)
    )


def bed(pen: Pen) -> str:
    """Draw a double bed from its foot."""
    return (
        both(rect(146, 590, 26, 50, BARK, r=6))
        + path("M150 420V250Q150 206 194 206H606Q650 206 650 250V420Z", pen.body)
        + "".join(line(f"M{150 + 100 * n} 216V420", SHADE, 4, opacity=0.16) for n in range(1, 5))
        + line("M182 232H420", WHITE, 9, opacity=0.28)
        + rect(146, 400, 508, 60, PAPER, r=18)
        + both(
            rect(196, 326, 188, 104, pen.fade("#ffffff", "#e4e2e6"), r=40),
            line("M222 350Q280 336 340 348", WHITE, 8),
        )
        + rect(318, 366, 164, 80, mix(pen.theme, WHITE, 0.35), r=26)
        + path("M140 450Q400 420 660 450L676 590H124Z", pen.fade("#fdfbf7", "#ddd8d2"))
        + path("M128 520Q400 486 672 520L682 600Q682 612 668 612H132Q118 612 118 600Z", pen.light)
        + path("M128 520Q400 486 672 520L674 540Q400 506 126 540Z", pen.dark, opacity=0.6)
        + "".join(line(f"M{x} 540L{x + (x - 400) * 0.05:.0f} 606", SHADE, 4, opacity=0.1) for x in range(180, 640, 62))
        + line("M150 470Q280 450 400 448", SHADE, 4, opacity=0.1)
    )


def shelf(pen: Pen) -> str:
    """Draw a bookcase with books, a plant and a frame."""
    books = "".join(
        rect(x, y - height, width, height, color, r=3) + rect(x + 4, y - height + 14, width - 8, 6, WHITE, opacity=0.5)
        for x, y, width, height, color in (
            (276, 300, 24, 96, "#cf5f4f"),
            (302, 300, 20, 84, "#e8c26b"),
            (324, 300, 28, 104, "#4f7fb5"),
            (354, 300, 20, 90, "#6f9f76"),
            (430, 450, 26, 98, "#7d5ba6"),
            (458, 450, 22, 84, "#e39a57"),
            (482, 450, 28, 104, "#3f7a8a"),
        )
    )
    return (
        rect(240, 150, 320, 490, pen.deep, r=10)
        + rect(262, 172, 276, 446, pen.dark)
        + rect(262, 172, 276, 446, SHADE, opacity=0.2)
        + books
        + rect(440, 262, 56, 38, PAPER, r=8)
        + leaf(468, 268, 74, -24)
        + leaf(468, 268, 74, 24)
        + leaf(468, 268, 84, 0, "#6c9a68")
        + rect(290, 360, 90, 90, GOLD, r=4)
        + rect(300, 370, 70, 70, PAPER)
        + path("M300 440L326 400L344 420L356 408L370 440Z", mix(pen.theme, WHITE, 0.2))
        + rect(276, 512, 248, 100, "#d9b98c", r=8)
        + "".join(line(f"M280 {y}H520", BARK, 4, opacity=0.35) for y in range(528, 606, 14))
        + rect(370, 536, 60, 16, BARK, r=8)
        + rect(240, 300, 320, 20, pen.light)
        + rect(240, 450, 320, 20, pen.light)
        + both(rect(240, 150, 22, 490, pen.body, r=6))
        + rect(232, 140, 336, 26, pen.light, r=8)
        + rect(248, 146, 200, 6, WHITE, r=3, opacity=0.4)
        + rect(240, 614, 320, 26, pen.base, r=6)
    )


SHAPES: Final[dict[str, Shape]] = {
    "armchair": Shape(armchair, 170, 646),
    "bed": Shape(bed, 270),
    "chair": Shape(chair, 176, 646),
    "desk": Shape(desk, 250),
    "lamp": Shape(lamp, 110),
    "shelf": Shape(shelf, 164),
    "sofa": Shape(sofa, 290),
    "table": Shape(table, 250),
}
