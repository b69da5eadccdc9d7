"""Clothes."""

from typing import Final

from agent_store.agents.catalog.pictures.ink import (
    GOLD,
    PAPER,
    SHADE,
    STEEL,
    WHITE,
    Pen,
    Shape,
    both,
    line,
    mirror,
    oval,
    path,
    rect,
    twin,
)


def _cloth(pen: Pen, outline: str, *folds: str) -> str:
    """Return a garment: its outline lit from the left, shaded on the right, with `folds` over it."""
    return path(outline, pen.body) + pen.inside(outline, *folds)


def _fold(d: str, width: float = 10) -> str:
    return line(d, SHADE, width, opacity=0.13)


def _gleam(d: str, width: float = 12) -> str:
    return line(d, WHITE, width, opacity=0.22)


def dress(pen: Pen) -> str:
    """Draw a belted midi dress with a V neck."""
    outline = twin(
        "M400 262L352 160L324 168C330 222 322 258 300 282C316 312 330 346 336 380C314 462 268 556 222 636"
        "C282 664 346 672 400 672"
    )
    return (
        path("M352 160C372 196 428 196 448 160L400 262Z", pen.deep)
        + _cloth(
            pen,
            outline,
            path("M478 380C506 470 540 560 584 644L470 680C478 580 470 480 452 398Z", SHADE, opacity=0.12),
            _fold("M370 410C352 500 326 590 300 664"),
            _fold("M404 410C404 500 402 600 398 680"),
            _fold("M436 410C456 500 478 590 500 664"),
            _gleam("M346 420C324 500 292 580 262 640"),
            _gleam("M346 190C350 220 348 256 336 288", 8),
            _fold("M330 336C352 352 376 350 396 330M470 336C448 352 424 350 404 330", 5),
        )
        + path("M400 262L352 160L342 163L390 276ZM400 262L448 160L458 163L410 276Z", pen.dark)
        + path("M333 372Q400 388 467 372L470 400Q400 417 330 400Z", pen.deep)
        + rect(382, 378, 36, 32, GOLD, r=8)
        + rect(390, 386, 20, 16, pen.deep, r=4)
    )


def sheath(pen: Pen) -> str:
    """Draw a short fitted dress with a round neck."""
    outline = twin(
        "M400 206C374 204 352 186 344 156L300 168C312 216 310 250 290 286C306 330 318 370 312 414"
        "C290 470 280 550 284 640C320 650 360 652 400 652"
    )
    return (
        path("M344 156C360 172 440 172 456 156C446 192 424 206 400 206C376 206 354 192 344 156Z", pen.deep)
        + _cloth(
            pen,
            outline,
            path("M514 262C486 330 462 372 470 420C484 480 492 560 488 660H560V262Z", SHADE, opacity=0.12),
            _fold("M344 290C350 350 352 400 344 470M456 290C450 350 448 400 456 470", 4),
            _gleam("M330 330C338 372 334 420 322 462C310 510 304 570 306 630", 12),
            line("M276 622C320 636 360 638 400 638C440 638 480 636 524 622", SHADE, 4, opacity=0.16),
        )
        + line("M345 158C354 190 374 206 400 206C426 206 446 190 455 158", pen.light, 6, opacity=0.7)
    )


def shirtdress(pen: Pen) -> str:
    """Draw a buttoned dress with a collar, short sleeves and a tied belt."""
    outline = twin(
        "M400 206L344 158C296 168 256 186 236 224L206 320L270 344L296 296C310 340 320 366 322 396"
        "C306 470 280 570 258 650C306 664 352 668 400 668"
    )
    return (
        path("M344 156C362 176 438 176 456 156L400 222Z", pen.deep)
        + _cloth(
            pen,
            outline,
            path("M474 400C492 480 514 570 540 660H580L500 380Z", SHADE, opacity=0.12),
            line("M386 220V670M414 220V670", SHADE, 3, opacity=0.2),
            line("M200 304L276 330M600 304L524 330", SHADE, 5, opacity=0.18),
            _fold("M296 298C296 276 300 256 308 240M504 298C504 276 500 256 492 240", 6),
            _fold("M350 440C338 520 322 600 308 664M450 440C462 520 478 600 492 664", 8),
            _gleam("M330 440C316 510 298 580 282 644", 12),
            line("M336 300H372V346Q354 356 336 346Z", SHADE, 4, opacity=0.18),
        )
        + both(
            path("M400 222L344 154L322 174L352 246Z", pen.light),
            line("M400 222L352 246L322 174", SHADE, 4, opacity=0.2),
        )
        + "".join(oval(400, y, 6, PAPER) + oval(400, y, 2.2, STEEL) for y in (276, 336, 470, 530, 590))
        + path("M318 384Q400 400 482 384L486 416Q400 432 314 416Z", pen.deep)
        + path("M436 404C462 440 470 490 466 530L446 524C446 480 436 440 420 414Z", pen.deep)
        + path("M430 404C446 430 446 470 438 500L420 492C424 460 420 436 412 414Z", pen.dark)
        + oval(428, 408, 16, pen.dark, ry=20)
    )


def gown(pen: Pen) -> str:
    """Draw a long evening dress with thin straps and a slit."""
    outline = twin(
        "M400 214C380 222 350 214 336 196C332 226 322 246 314 264"
        "C326 292 340 320 342 352C334 470 288 610 250 690"
        "C300 706 350 710 400 710"
    )
    return both(line("M338 200C340 168 344 136 352 112", pen.dark, 8)) + _cloth(
        pen,
        outline,
        path("M440 400C462 500 500 620 552 696L480 716C468 620 450 500 440 400Z", pen.deep),
        line("M440 404C464 500 502 620 550 690", pen.light, 5),
        _fold("M376 372C368 480 340 610 316 704"),
        _fold("M406 372C410 480 408 610 404 710"),
        _gleam("M352 380C344 480 312 600 282 686"),
        _fold("M342 352C372 366 428 366 458 352", 7),
        _fold("M336 300C360 280 384 262 398 224M464 300C440 280 416 262 402 224", 5),
        _gleam("M346 218C350 236 348 256 342 270", 8),
    )


def tshirt(pen: Pen) -> str:
    """Draw a T-shirt with a crew neck."""
    outline = twin(
        "M400 236C368 236 346 218 336 186L296 196C246 214 204 258 168 326L238 376L272 340L270 632"
        "C316 646 358 648 400 648"
    )
    return (
        path("M336 186C360 204 440 204 464 186C456 226 430 240 400 240C370 240 344 226 336 186Z", pen.deep)
        + _cloth(
            pen,
            outline,
            path("M528 338C508 440 506 540 500 650H532V338Z", SHADE, opacity=0.12),
            _fold("M272 344C276 316 286 292 300 272M528 344C524 316 514 292 500 272", 7),
            _fold("M300 470C330 500 350 540 352 580", 8),
            _fold("M500 420C470 460 452 500 446 540", 8),
            _gleam("M300 300C292 400 292 500 296 610", 14),
            line("M262 616C310 630 358 632 400 632C442 632 490 630 538 616", SHADE, 4, opacity=0.16),
            line("M184 314L246 360M616 314L554 360", SHADE, 4, opacity=0.16),
        )
        + line("M336 188C346 220 368 238 400 238C432 238 454 220 464 188", pen.dark, 15)
        + line("M336 188C346 220 368 238 400 238C432 238 454 220 464 188", pen.light, 4, opacity=0.6)
    )


def shirt(pen: Pen) -> str:
    """Draw a buttoned shirt with a collar and long sleeves."""
    outline = twin("M400 214L340 176C280 188 236 208 222 256L164 560L226 578L276 372L268 640C314 654 356 656 400 656")
    collar = "M400 232L340 168L318 190L346 262Z"
    return (
        path("M340 172C360 196 440 196 460 172L400 236Z", pen.deep)
        + _cloth(
            pen,
            outline,
            path("M524 372C506 470 506 560 502 660H534L524 372Z", SHADE, opacity=0.12),
            _fold("M276 372C278 330 284 296 294 270M524 372C522 330 516 296 506 270", 7),
            _fold("M240 420C226 460 214 500 206 550", 8),
            _gleam("M246 270C226 350 210 440 196 530", 12),
            _gleam("M304 330C298 430 298 530 300 630", 12),
            line("M158 536L240 558M642 536L560 558", SHADE, 5, opacity=0.2),
            rect(384, 232, 32, 430, WHITE, opacity=0.14),
            line("M384 240V660M416 240V660", SHADE, 3, opacity=0.18),
        )
        + both(path(collar, pen.light), line("M400 232L346 262L318 190", SHADE, 4, opacity=0.22))
        + "".join(oval(400, y, 7, PAPER) + oval(400, y, 2.5, STEEL) for y in (290, 366, 442, 518, 594))
        + path("M444 330H496V382Q496 392 486 396L470 404L454 396Q444 392 444 382Z", SHADE, opacity=0.09)
        + line("M444 340H496", SHADE, 4, opacity=0.2)
    )


def pants(pen: Pen) -> str:
    """Draw full length trousers."""
    outline = twin("M400 160L302 160C288 240 270 400 262 676C296 686 336 686 370 678C374 560 384 450 400 352")
    return (
        path("M304 156Q400 176 496 156L496 184H304Z", pen.deep)
        + _cloth(
            pen,
            outline,
            path("M500 200C520 340 530 520 532 690L500 690C500 520 490 340 476 200Z", SHADE, opacity=0.13),
            path("M400 352C384 450 374 560 370 684L348 684C352 560 366 420 400 330Z", SHADE, opacity=0.13),
            rect(280, 160, 240, 40, SHADE, opacity=0.12),
            _gleam("M316 230C304 360 296 520 294 660", 14),
            _fold("M330 240C322 380 318 540 318 680", 4),
            _fold("M470 240C478 380 482 540 482 680", 4),
            line("M300 210C320 222 330 246 332 274M500 210C480 222 470 246 468 274", SHADE, 5, opacity=0.25),
            line("M400 200V340C400 322 424 312 428 290V200", SHADE, 4, opacity=0.25),
            _fold("M270 640C300 652 340 652 372 644M530 640C500 652 460 652 428 644", 5),
        )
        + "".join(rect(x, 154, 12, 52, pen.dark, r=3) for x in (326, 462))
        + oval(400, 180, 9, GOLD)
        + oval(398, 178, 3.5, WHITE, opacity=0.7)
    )


def shorts(pen: Pen) -> str:
    """Draw shorts with a drawstring."""
    outline = twin("M400 226L288 226C270 330 246 450 224 566C276 588 334 594 382 586C386 530 392 480 400 430")
    return (
        path("M288 222Q400 240 512 222V260H288Z", pen.deep)
        + _cloth(
            pen,
            outline,
            rect(250, 226, 300, 46, SHADE, opacity=0.13),
            path("M520 260C544 380 560 480 580 600H520C516 480 506 360 496 260Z", SHADE, opacity=0.12),
            path("M400 430C392 480 386 530 384 590H356C362 520 376 460 400 400Z", SHADE, opacity=0.13),
            _gleam("M304 300C290 390 272 480 258 556", 16),
            line("M280 290C312 300 326 330 330 372M520 290C488 300 474 330 470 372", SHADE, 6, opacity=0.24),
            line("M224 544C276 566 334 572 384 564M576 544C524 566 466 572 416 564", SHADE, 4, opacity=0.2),
            "".join(line(f"M{x} 232V266", SHADE, 3, opacity=0.16) for x in range(300, 510, 14)),
            _fold("M400 272V430", 4),
        )
        + line("M390 252C380 290 374 320 378 350M410 252C418 290 430 312 424 342", PAPER, 7)
        + oval(378, 352, 6, STEEL)
        + oval(424, 344, 6, STEEL)
    )


def skirt(pen: Pen) -> str:
    """Draw a flared skirt with pleats."""
    outline = twin("M400 196L306 196C290 320 240 470 196 594C262 630 332 640 400 640")
    pleats = "".join(
        path(f"M{top} 226L{hem} 650L{hem + 28} 650Z", SHADE, opacity=0.13)
        + line(f"M{top - 6} 240L{hem - 12} 650", WHITE, 6, opacity=0.18)
        for top, hem in ((331, 243), (359, 306), (386, 369), (414, 431), (441, 494), (469, 557))
    )
    return (
        path("M306 192Q400 208 494 192V226H306Z", pen.deep)
        + _cloth(
            pen,
            outline,
            path("M494 226C520 350 570 490 620 600L540 650C520 500 500 360 470 226Z", SHADE, opacity=0.1),
            pleats,
        )
        + path("M302 198Q400 214 498 198L502 236Q400 252 298 236Z", pen.dark)
        + line("M306 206Q400 222 494 206", WHITE, 4, opacity=0.3)
        + oval(470, 222, 8, GOLD)
    )


def jacket(pen: Pen) -> str:
    """Draw an open jacket with lapels over a light top."""
    half = "M378 330L346 168C288 182 238 202 220 256L160 560L234 580L276 396L266 640C306 652 346 654 378 650Z"
    lapel = "M378 372L344 162L312 182L296 262L326 276L308 300Z"
    inner = twin("M400 250C376 244 356 220 348 172L330 640C356 650 380 650 400 650")
    return (
        path(inner, pen.fade("#fbf8f2", "#dfd9cf"))
        + line("M348 182C358 226 378 248 400 250C422 248 442 226 452 182", "#c9c2b5", 6)
        + path(half, pen.body)
        + mirror(path(half, pen.body))
        + pen.inside(
            half,
            _fold("M276 396C280 350 286 320 298 290", 7),
            _gleam("M244 276C222 370 206 450 192 540", 14),
            _gleam("M300 420C296 500 296 560 298 630", 12),
            _fold("M146 532L246 556", 5),
        )
        + mirror(
            pen.inside(
                half,
                path("M204 250C256 300 274 350 276 396L234 580L150 566Z", SHADE, opacity=0.12),
                _fold("M276 396C280 350 286 320 298 290", 7),
                _fold("M146 532L246 556", 5),
            )
        )
        + both(
            path(lapel, pen.dark),
            line("M378 372L308 300L326 276L296 262", SHADE, 4, opacity=0.3),
            line("M290 520L352 506", SHADE, 7, opacity=0.28),
        )
        + oval(366, 440, 9, pen.detail)
        + oval(366, 540, 9, pen.detail)
    )


def knit(pen: Pen) -> str:
    """Draw a knitted sweater with ribbed cuffs and a patterned chest."""
    outline = twin(
        "M400 232C368 232 346 214 338 182C280 190 232 212 214 262L152 560L230 584L278 392L272 640"
        "C316 650 358 652 400 652"
    )
    ribs = "".join(line(f"M{x} 606V660", SHADE, 4, opacity=0.18) for x in range(276, 530, 13))
    rows = "".join(
        line(
            f"M250 {y}" + "".join(f"L{x} {y + (14 if step % 2 else 0)}" for step, x in enumerate(range(268, 570, 18))),
            color,
            7,
            opacity=0.75,
        )
        for y, color in ((360, pen.pale), (386, pen.deep), (412, pen.pale))
    )
    stitches = "".join(
        line(f"M{x} {y}l5 7l5 -7", SHADE, 2.5, opacity=0.16)
        for y in range(460, 600, 24)
        for x in range(290 + y % 48 // 24 * 11, 515, 22)
    )
    return (
        path("M338 180C362 196 438 196 462 180C456 222 430 238 400 238C370 238 344 222 338 180Z", pen.deep)
        + _cloth(
            pen,
            outline,
            rows,
            stitches,
            mirror(path("M278 392L230 590L140 570L170 420C210 300 240 280 278 392Z", SHADE, opacity=0.1)),
            rect(486, 440, 60, 220, SHADE, opacity=0.08),
            _gleam("M236 290C214 380 198 450 184 530", 14),
            line("M278 392C280 350 286 318 296 292M522 392C520 350 514 318 504 292", SHADE, 6, opacity=0.2),
            rect(260, 606, 280, 60, SHADE, opacity=0.1),
            ribs,
            both(path("M148 530L246 556L240 600L140 570Z", SHADE, opacity=0.14)),
        )
        + line("M338 184C348 216 368 234 400 234C432 234 452 216 462 184", pen.dark, 22)
        + line("M338 184C348 216 368 234 400 234C432 234 452 216 462 184", pen.light, 12, dash="1 11")
    )


def swimsuit(pen: Pen) -> str:
    """Draw a one-piece swimsuit with a deep neckline."""
    outline = twin(
        "M400 330C374 300 350 240 342 150L318 152C322 222 304 262 288 292C306 350 326 392 322 436"
        "C316 488 292 524 274 548C326 566 366 606 382 660L400 662"
    )
    dots = "".join(
        oval(x + (y // 44 % 2) * 22, y, 7, pen.pale, opacity=0.8)
        for y in range(200, 660, 44)
        for x in range(260, 560, 44)
    )
    return (
        path("M352 240C372 270 428 270 448 240L400 334Z", pen.deep, opacity=0.7)
        + _cloth(
            pen,
            outline,
            dots,
            path("M474 430C482 490 506 526 530 550L430 660L440 430Z", SHADE, opacity=0.12),
            _gleam("M336 330C344 380 346 430 338 480", 14),
        )
        + path("M322 418Q400 436 478 418L480 448Q400 468 320 448Z", pen.deep)
        + path(
            "M400 440C376 424 352 426 348 442C352 460 378 458 400 446C422 458 448 460 452 442C448 426 424 424 400 440Z",
            pen.light,
        )
    )


SHAPES: Final[dict[str, Shape]] = {
    "dress": Shape(dress),
    "gown": Shape(gown),
    "jacket": Shape(jacket),
    "knit": Shape(knit),
    "pants": Shape(pants),
    "sheath": Shape(sheath),
    "shirt": Shape(shirt),
    "shirtdress": Shape(shirtdress),
    "shorts": Shape(shorts),
    "skirt": Shape(skirt),
    "swimsuit": Shape(swimsuit),
    "tshirt": Shape(tshirt),
}
