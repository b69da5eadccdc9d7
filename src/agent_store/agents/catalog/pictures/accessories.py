"""Shoes and accessories."""

from typing import Final

from agent_store.agents.catalog.pictures.ink import (
    GOLD,
    GRAPHITE,
    INK,
    PAPER,
    SHADE,
    SILVER,
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


def sneaker(pen: Pen) -> str:
    """Draw a low sneaker from the side."""
    upper = (
        "M176 560C168 500 176 436 204 386C214 370 234 378 246 396C262 410 282 404 296 386L330 346"
        "C346 344 356 350 362 362C400 430 458 466 540 482C592 492 624 512 630 566Z"
    )
    sole = "M160 552C240 566 540 566 640 548C652 586 646 624 616 634C480 646 300 646 190 634C158 628 154 590 160 552Z"
    laces = "".join(line(f"M{342 + 34 * n} {394 + 26 * n}L{386 + 32 * n} {362 + 28 * n}", WHITE, 11) for n in range(4))
    return (
        path("M246 396C262 410 282 404 296 386L330 346L352 356L300 440L220 420Z", pen.deep)
        + path(upper, pen.body)
        + pen.inside(
            upper,
            path("M520 470C560 480 640 500 640 580H500C496 530 500 500 520 470Z", pen.dark),
            path("M160 480C220 470 262 500 270 580H150Z", pen.dark),
            line("M300 580C330 520 380 490 452 486", pen.detail, 20),
            line("M346 580C370 540 404 520 450 514", pen.detail, 10),
            line("M204 396C196 430 192 450 194 470", WHITE, 12, opacity=0.28),
            line("M322 380C360 450 420 496 520 506", SHADE, 4, opacity=0.2),
        )
        + laces
        + path(sole, pen.fade("#ffffff", "#dcdfe5"))
        + line("M166 590C260 602 540 602 644 586", "#b9bfc9", 5)
        + line("M186 622C320 632 500 632 616 620", pen.base, 8, dash="26 16")
    )


def heel(pen: Pen) -> str:
    """Draw a pump with a high heel from the side."""
    upper = (
        "M190 292C194 280 208 282 216 294C250 350 286 420 336 468"
        "C366 494 400 492 424 476C444 462 462 470 482 486"
        "C520 516 576 540 622 578C640 596 636 620 612 622C540 628 460 626 404 590C350 554 306 490 252 462"
        "C204 436 182 350 190 292Z"
    )
    return (
        path("M204 424C238 448 262 462 282 480C256 520 244 570 238 638H208C212 560 212 486 204 424Z", pen.deep)
        + path(
            "M216 296C250 350 286 420 336 468C366 494 400 492 424 476C400 450 350 440 316 410C280 376 250 320 216 296Z",
            "#e9d6bf",
        )
        + path("M248 330C290 400 330 440 424 476L404 486C350 484 300 420 262 350Z", SHADE, opacity=0.12)
        + path(upper, pen.body)
        + pen.inside(
            upper,
            line("M208 330C218 390 240 430 286 456C336 486 380 552 440 576", WHITE, 12, opacity=0.3),
            line("M440 486C480 510 530 530 572 558", WHITE, 10, opacity=0.34),
            path("M240 470C300 500 350 566 400 602C460 636 560 630 640 606V660H240Z", SHADE, opacity=0.16),
        )
        + line("M256 468C304 496 350 562 402 596C458 630 540 630 614 624", pen.deep, 9)
        + rect(206, 630, 33, 12, INK, r=4)
    )


def boot(pen: Pen) -> str:
    """Draw an ankle boot with a block heel from the side."""
    leather = (
        "M262 180C310 192 380 192 428 180L432 404C440 448 500 466 556 490"
        "C604 510 626 548 624 592H250C252 460 266 320 262 180Z"
    )
    return (
        path("M262 180C310 164 380 164 428 180C380 196 310 196 262 180Z", pen.deep)
        + path(leather, pen.body)
        + pen.inside(
            leather,
            path(
                "M400 180V420C420 470 480 480 560 500L640 600H520C460 520 392 500 372 430V180Z",
                SHADE,
                opacity=0.1,
            ),
            line("M292 220C294 340 284 440 280 560", WHITE, 16, opacity=0.22),
            path("M250 440C300 450 330 500 336 600H240Z", SHADE, opacity=0.14),
            path("M540 480C500 510 486 550 488 600H640V520Z", SHADE, opacity=0.12),
            line("M560 520C590 528 604 546 606 566", WHITE, 10, opacity=0.3),
        )
        + line("M372 200C370 300 374 380 392 440", SILVER, 8, dash="3 9")
        + line("M372 200C370 300 374 380 392 440", GRAPHITE, 2)
        + rect(382, 440, 16, 34, SILVER, r=6)
        + path("M246 588H630C638 600 636 612 626 616H440C400 616 380 604 362 604L356 640H250Z", INK)
        + line("M250 594H626", WHITE, 3, opacity=0.25)
    )


def sandal(pen: Pen) -> str:
    """Draw a rope wedge sandal from the side."""
    wedge = (
        "M186 470C260 480 320 530 400 560C470 584 560 578 624 566C644 600 630 634 600 638H214C186 620 178 540 186 470Z"
    )
    rope = "".join(
        line(f"M180 {y}C280 {y + 12} 500 {y + 12} 640 {y}", "#a67f55", 4, opacity=0.7) for y in range(492, 640, 18)
    )
    return (
        line("M206 466C196 420 200 380 222 340", pen.dark, 26)
        + path(wedge, pen.fade("#dcb98c", "#bf955f"))
        + pen.inside(wedge, rope)
        + path(
            "M178 452C260 456 330 510 408 540C480 562 560 560 632 544C638 556 636 568 628 574"
            "C560 590 470 592 396 566C316 536 262 488 180 480Z",
            "#efe0c6",
        )
        + line("M222 336C280 326 322 352 330 398C332 440 310 470 280 484", pen.base, 28)
        + line("M226 328C276 320 312 340 322 376", WHITE, 6, opacity=0.3)
        + path("M470 556C452 500 470 462 512 460C560 462 596 500 606 550C560 568 510 570 470 556Z", pen.body)
        + line("M490 546C478 506 492 480 516 476", WHITE, 8, opacity=0.35)
        + line("M552 566C540 520 530 490 516 462", SHADE, 5, opacity=0.2)
        + rect(300, 376, 48, 40, GOLD, r=8)
        + rect(310, 386, 28, 20, pen.dark, r=4)
    )


def bag(pen: Pen) -> str:
    """Draw a structured handbag with a flap and a clasp."""
    front = "M206 344Q210 316 240 316H560Q590 316 594 344L626 600Q630 640 590 640H210Q170 640 174 600Z"
    flap = "M206 344Q210 316 240 316H560Q590 316 594 344L602 410C560 480 470 500 400 500C330 500 240 480 198 410Z"
    return (
        line("M290 330C284 150 516 150 510 330", pen.deep, 24)
        + line("M296 300C300 176 470 166 500 262", WHITE, 5, opacity=0.3)
        + path(front, pen.body)
        + pen.inside(
            front,
            rect(540, 300, 120, 360, SHADE, opacity=0.12),
            path("M198 430C240 500 330 520 400 520C470 520 560 500 602 430V410H198Z", SHADE, opacity=0.2),
            rect(170, 618, 460, 30, SHADE, opacity=0.12),
        )
        + path(flap, pen.fade(pen.light, pen.base))
        + line(
            "M212 404C256 466 336 484 400 484C464 484 544 466 588 404",
            pen.detail,
            4,
            dash="12 9",
            opacity=0.7,
        )
        + line("M226 340H420", WHITE, 9, opacity=0.3)
        + both(rect(276, 304, 30, 46, GOLD, r=9), oval(291, 338, 6, "#a27a2c"))
        + rect(366, 464, 68, 60, GOLD, r=14)
        + rect(380, 478, 40, 10, "#a27a2c", r=5)
        + line("M376 470H410", WHITE, 4, opacity=0.6)
    )


def hat(pen: Pen) -> str:
    """Draw a straw hat with a wide brim and a ribbon."""
    crown = "M270 440C262 330 286 238 340 226C370 220 384 240 400 240C416 240 430 220 460 226C514 238 538 330 530 440Z"
    weave = "".join(line(f"M250 {y}Q400 {y + 34} 550 {y}", SHADE, 3, opacity=0.12) for y in range(220, 440, 17))
    brim = disc(400, 470, 290, 98)
    rings = "".join(line(disc(400, 470 - n, 290 - 24 * n, 98 - 9 * n), SHADE, 3, opacity=0.1) for n in range(1, 5))
    return (
        path(disc(400, 482, 290, 98), pen.deep)
        + path(brim, pen.body)
        + pen.inside(brim, rings, path("M250 450Q400 540 600 440L560 540Q400 600 260 520Z", SHADE, opacity=0.12))
        + path(crown, pen.fade(pen.light, pen.dark, "right"))
        + pen.inside(
            crown,
            weave,
            line("M306 270C292 310 288 350 288 380", WHITE, 16, opacity=0.3),
            path("M262 372Q400 420 540 372V460H262Z", INK if pen.detail != pen.pale else pen.pale),
            line("M262 384Q400 432 540 384", WHITE, 4, opacity=0.25),
        )
        + path("M266 430Q400 486 534 430L536 448Q400 504 264 448Z", SHADE, opacity=0.16)
    )


def necklace(pen: Pen) -> str:
    """Draw a necklace with a stone pendant on a display bust."""
    bust = twin(
        "M400 170C372 170 356 176 350 190C356 280 346 320 296 346C226 380 196 440 190 640C260 652 330 654 400 654"
    )
    return (
        path(bust, pen.fade("#4a4558", "#2c2938", "slant"))
        + pen.inside(bust, line("M330 360C260 392 230 450 224 620", WHITE, 22, opacity=0.08))
        + oval(400, 182, 50, "#5b566b", ry=14)
        + line("M348 262C330 380 350 470 400 500C450 470 470 380 452 262", pen.deep, 8)
        + line("M348 262C330 380 350 470 400 500C450 470 470 380 452 262", pen.light, 6, dash="2 9")
        + line("M338 312C300 420 340 560 400 580C460 560 500 420 462 312", pen.dark, 4)
        + "".join(oval(x, y, 8, PAPER) for x, y in ((340, 502), (366, 552), (434, 552), (460, 502)))
        + oval(400, 510, 9, pen.light)
        + path("M400 514L432 546L400 602L368 546Z", pen.fade(pen.light, pen.deep))
        + path("M400 514L432 546H368Z", WHITE, opacity=0.45)
        + path("M400 602L384 546L400 514Z", WHITE, opacity=0.22)
        + oval(400, 590, 0.1, WHITE)
    )


def earrings(pen: Pen) -> str:
    """Draw a pair of hoops with drops on a card."""
    metal = pen.fade(pen.light, pen.dark, "slant")
    one = (
        oval(310, 300, 12, metal)
        + line("M310 300C312 322 310 334 310 346", pen.dark, 5)
        + line(disc(310, 420, 74), metal, 17)
        + line("M250 400C258 372 280 354 304 352", WHITE, 5, opacity=0.7)
        + path(
            "M310 452C330 486 340 500 340 522A30 30 0 0 1 280 522C280 500 290 486 310 452Z",
            pen.fade(pen.pale, pen.base),
        )
        + oval(300, 516, 8, WHITE, ry=13, opacity=0.7)
        + oval(306, 297, 4, WHITE, opacity=0.8)
    )
    return (
        rect(190, 180, 420, 460, pen.fade("#fffdf9", "#efe8de"), r=26)
        + rect(360, 204, 80, 20, "#d9cfc0", r=10)
        + line("M222 600H578", "#e2d8c9", 4)
        + one
        + move(180, 0, one)
    )


def watch(pen: Pen) -> str:
    """Draw an analogue wristwatch."""
    strap = "M336 120H464L476 300H324Z"
    ticks = "".join(turn(30 * n, rect(396, 272, 8, 24 if n % 3 == 0 else 12, GRAPHITE, r=3)) for n in range(12))
    return (
        path(strap, pen.body)
        + path("M324 500H476L464 690H336Z", pen.fade(pen.base, pen.dark))
        + rect(336, 120, 24, 180, WHITE, opacity=0.16)
        + line("M346 132V280M454 132V280M346 520V670M454 520V670", pen.detail, 3, dash="9 8", opacity=0.6)
        + "".join(oval(400, y, 6, SHADE, opacity=0.45) for y in (560, 596, 632))
        + rect(556, 382, 30, 36, GOLD, r=8)
        + path(disc(400, 400, 164), pen.fade("#f3dc9d", "#b58a36", "slant"))
        + oval(400, 400, 142, "#8f6a25", opacity=0.5)
        + path(disc(400, 400, 138), pen.fade("#ffffff", "#e6e9ee", "slant"))
        + ticks
        + line("M400 400L346 342", INK, 11)
        + line("M400 400L484 350", INK, 8)
        + line("M400 420L412 494", pen.base if pen.detail == pen.deep else "#c8313a", 4)
        + oval(400, 400, 12, GOLD)
        + path(
            "M290 330C312 290 350 268 392 264C350 300 320 340 300 400C290 376 286 352 290 330Z",
            WHITE,
            opacity=0.55,
        )
    )


def sunglasses(pen: Pen) -> str:
    """Draw sunglasses from the front."""
    lens = "M170 350C230 332 320 332 372 352C384 430 352 500 280 504C206 506 160 440 170 350Z"
    tint = pen.fade(mix(pen.base, INK, 0.75), mix(pen.base, "#d8a878", 0.45))
    temple = "M162 352C150 320 164 290 196 272L214 284C194 304 190 326 192 350Z"
    return (
        both(path(temple, pen.deep))
        + line("M366 372C384 352 416 352 434 372", pen.base, 18)
        + both(
            path(lens, tint),
            line(lens, pen.base, 20),
            line("M176 352C232 338 318 338 366 354", pen.light, 7, opacity=0.8),
            pen.inside(
                lens,
                path("M220 320L280 320L210 520L150 520ZM300 320L322 320L252 520L230 520Z", WHITE, opacity=0.22),
            ),
        )
        + both(oval(182, 364, 6, GOLD))
    )


def belt(pen: Pen) -> str:
    """Draw a coiled leather belt with a metal buckle."""
    coil = box(190, 300, 420, 230, 110)
    return (
        path(coil, pen.deep)
        + path(box(190, 270, 420, 210, 104), pen.dark)
        + path(box(222, 292, 356, 160, 80), mix(pen.deep, INK, 0.4))
        + path(box(250, 312, 300, 120, 60), pen.dark)
        + path(box(276, 330, 248, 84, 42), mix(pen.deep, INK, 0.5))
        + path(
            "M190 380C196 470 240 486 300 486H640C660 486 666 500 666 520"
            "V548C666 566 656 574 640 574H300C230 574 190 530 190 470Z",
            pen.body,
        )
        + line(
            "M214 470C226 500 250 504 300 504H646M220 520C240 552 270 556 300 556H646",
            pen.detail,
            3,
            dash="11 8",
            opacity=0.7,
        )
        + "".join(oval(x, 530, 7, SHADE, opacity=0.5) for x in (520, 560, 600))
        + line(box(318, 462, 116, 136, 20), pen.fade("#f3dc9d", "#a98034", "slant"), 20)
        + line("M376 530H440", GOLD, 14)
        + line("M322 470H400", WHITE, 5, opacity=0.6)
        + rect(452, 478, 26, 104, pen.dark, r=8)
    )


SHAPES: Final[dict[str, Shape]] = {
    "bag": Shape(bag, 230),
    "belt": Shape(belt),
    "boot": Shape(boot, 200),
    "earrings": Shape(earrings),
    "hat": Shape(hat),
    "heel": Shape(heel, 210),
    "necklace": Shape(necklace, 214, 648),
    "sandal": Shape(sandal, 220),
    "sneaker": Shape(sneaker, 240),
    "sunglasses": Shape(sunglasses),
    "watch": Shape(watch),
}
