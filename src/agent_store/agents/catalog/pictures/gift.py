"""The package that stands in for a product without a drawing of its own."""

from typing import Final

from agent_store.agents.catalog.pictures.ink import GOLD, SHADE, WHITE, Pen, Shape, both, line, path, rect


def gift(pen: Pen) -> str:
    """Draw a box with a lid, a ribbon and a bow."""
    ribbon = pen.fade("#f0d28a", GOLD)
    bow = "M400 268C372 200 300 178 282 214C268 246 330 274 400 268Z"
    return "".join(
        (
            rect(220, 340, 360, 300, pen.fade(pen.light, pen.dark, "slant"), r=14),
            rect(220, 340, 360, 26, SHADE, opacity=0.16),
            rect(372, 340, 56, 300, ribbon),
            rect(196, 268, 408, 84, pen.body, r=14),
            rect(206, 278, 388, 10, WHITE, r=5, opacity=0.28),
            rect(372, 268, 56, 84, ribbon),
            both(path(bow, ribbon), line("M384 262C352 226 316 210 300 222", "#a67f35", 5, opacity=0.6)),
            both(path("M400 268C384 296 352 318 326 322L344 296L330 280Z", GOLD)),
            rect(378, 244, 44, 40, "#e9c673", r=12),
        )
    )


BOX: Final = Shape(gift, 186)
SHAPES: Final[dict[str, Shape]] = {"gift": BOX}
