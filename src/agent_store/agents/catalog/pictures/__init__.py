"""Flat illustrations of the products, drawn as SVG without any text in the picture.

A picture depends on its arguments alone, so the same product always looks the same, and a variant in
another colour is the same drawing in that colour.
"""

import hashlib
import re
from html import escape
from typing import Final

from agent_store.agents.catalog.pictures import (
    accessories,
    beauty,
    care,
    clothes,
    furniture,
    gadgets,
    gaming,
    gift,
    home,
    tech,
)
from agent_store.agents.catalog.pictures.ink import (
    COLORS,
    SIZE,
    WHITE,
    Pen,
    Shape,
    brightness,
    line,
    mix,
    oval,
    path,
    rect,
    resolve,
)

__all__ = ["COLORS", "SHAPES", "draw"]

_SHAPES: Final[dict[str, Shape]] = {
    **clothes.SHAPES,
    **accessories.SHAPES,
    **tech.SHAPES,
    **gadgets.SHAPES,
    **furniture.SHAPES,
    **home.SHAPES,
    **beauty.SHAPES,
    **care.SHAPES,
    **gaming.SHAPES,
    **gift.SHAPES,
}
_UNPRINTABLE: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

SHAPES: Final[frozenset[str]] = frozenset(_SHAPES)
"""Names of the shapes that have a drawing of their own."""


def draw(*, shape: str, color: str, name: str, seed: str, theme: str) -> str:
    """Return the picture of a product as an SVG document of 800 x 800 units.

    `shape` is one of `SHAPES`; any other is drawn as a gift box. `color` and `theme` (the brand's colour)
    are #rgb, #rrggbb or a word of `COLORS`; anything else counts as grey. `name` becomes the document's
    title, which screen readers speak and which is not drawn. `seed` varies the backdrop. Never raises.
    """
    digest = hashlib.sha256(f"{seed}\0{shape}\0{color}\0{theme}".encode("utf-8", "replace")).digest()
    brand = resolve(theme)
    pen = Pen(key=f"p{digest.hex()[:10]}-", base=resolve(color), theme=brand)
    drawing = _SHAPES.get(shape, gift.BOX)
    product = drawing.draw(pen)
    backdrop = _backdrop(pen, digest)
    if drawing.floor is None:
        cast = pen.define(
            "filter",
            'x="-20%" y="-20%" width="140%" height="150%"',
            '<feDropShadow dx="10" dy="20" stdDeviation="15" flood-color="#241c38" flood-opacity="0.24"/>',
        )
        scene = f'<g filter="{cast}">{product}</g>'
    else:
        scene = _ground(pen, drawing.floor, drawing.ground) + product
    title = escape(_UNPRINTABLE.sub("", name))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIZE}" height="{SIZE}" '
        f'viewBox="0 0 {SIZE} {SIZE}" role="img"><title>{title}</title>'
        f"<defs>{pen.defs}</defs>{backdrop}{scene}</svg>"
    )


def _backdrop(pen: Pen, digest: bytes) -> str:
    """Return the sheet behind the product: a soft gradient, a halo and a quiet motif chosen by `digest`."""
    tint = mix(pen.theme, pen.base, 0.3)
    sheet = pen.fade(mix(pen.theme, WHITE, 0.86), mix(tint, WHITE, 0.6), "slant")
    dx, dy = digest[0] % 41 - 20, digest[1] % 31 - 15
    ink = mix(pen.theme, WHITE, 0.35)
    glow = 0.42 if brightness(pen.base) < 0.82 else 0.2
    halo = "".join(oval(400 + dx, 392 + dy, radius, WHITE, opacity=glow) for radius in (305, 244))
    side = 110 if digest[2] % 2 else 690
    motif = digest[3] % 4
    if motif == 0:
        accent = "".join(
            oval(side - 40 + 27 * column, 96 + 27 * row, 4.5, ink, opacity=0.5)
            for row in range(4)
            for column in range(4)
        )
    elif motif == 1:
        accent = line(
            f"M{side - 70} 120q18 -26 36 0t36 0t36 0t36 0M{side - 70} 160q18 -26 36 0t36 0t36 0t36 0",
            ink,
            6,
            opacity=0.5,
        )
    elif motif == 2:
        accent = line(f"M{side - 44} 130a44 44 0 1 0 88 0a44 44 0 1 0 -88 0", ink, 9, opacity=0.38) + oval(
            800 - side, 690, 20, ink, opacity=0.3
        )
    else:
        accent = "".join(
            path(
                f"M{x} {y - s}Q{x} {y} {x + s} {y}Q{x} {y} {x} {y + s}Q{x} {y} {x - s} {y}Q{x} {y} {x} {y - s}Z",
                ink,
            )
            for x, y, s in ((side, 130, 34), (side + 46, 196, 18), (800 - side, 664, 24))
        )
    return rect(0, 0, SIZE, SIZE, sheet) + halo + accent


def _ground(pen: Pen, half: float, ground: float) -> str:
    """Return the shadow of a standing product, `half` units to each side of the middle."""
    blur = pen.define("filter", 'x="-40%" y="-200%" width="180%" height="500%"', '<feGaussianBlur stdDeviation="11"/>')
    soft = oval(404, ground + 4, half + 22, "#241c38", ry=24, opacity=0.26)
    near = oval(400, ground, half, "#241c38", ry=11, opacity=0.28)
    return f'<g filter="{blur}">{soft}{near}</g>'
