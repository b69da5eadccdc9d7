"""Colours and drawing tools that every shape family shares.

All lengths are in SVG user units on an 800 x 800 sheet; the origin is the top left corner.
Functions return fragments of SVG markup, or path data where the docstring says so.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

SIZE: Final = 800

WHITE: Final = "#ffffff"
PAPER: Final = "#faf8f4"
SILVER: Final = "#cfd4dc"
STEEL: Final = "#949cab"
GRAPHITE: Final = "#434857"
INK: Final = "#20222f"
SHADE: Final = "#14121f"
GOLD: Final = "#d8b15a"
WOOD: Final = "#c08d5c"
BARK: Final = "#8d6040"
LEAF: Final = "#4f8a5b"
GLASS: Final = "#e3f1f6"
BLUSH: Final = "#e8a79b"
NEUTRAL: Final = "#8f96a3"

COLORS: Final[dict[str, str]] = {
    "amarelo": "#f2c230",
    "azul": "#2f74c0",
    "azul-claro": "#8dbde6",
    "azul-marinho": "#22355e",
    "bege": "#dcc6a4",
    "branco": "#f6f4ef",
    "bronze": "#a9713f",
    "caramelo": "#b8743a",
    "cinza": "#8d939d",
    "coral": "#f2745f",
    "cobre": "#b66a45",
    "creme": "#efe3c8",
    "dourado": "#d4a94c",
    "grafite": "#4a4e59",
    "laranja": "#ee7f2d",
    "lilas": "#b79ad6",
    "marrom": "#7a4e33",
    "mostarda": "#d29b2a",
    "natural": "#c9a273",
    "nude": "#d9a88c",
    "off-white": "#f3ede1",
    "prateado": "#c3c8d1",
    "preto": "#2c2d36",
    "rosa": "#ea7fa6",
    "rose": "#dfa597",
    "roxo": "#74479f",
    "terracota": "#bf5f3f",
    "transparente": "#d5e4ec",
    "turquesa": "#2faeab",
    "verde": "#3b8f5c",
    "verde-militar": "#5f6845",
    "verde-menta": "#9ad3b6",
    "vermelho": "#c8313a",
    "vinho": "#78213a",
}
"""Colour words in Brazilian Portuguese, as written in the catalogues without accents, to #rrggbb."""

Way = Literal["down", "right", "slant"]
_WAYS: Final[dict[Way, str]] = {
    "down": 'x1="0" y1="0" x2="0" y2="1"',
    "right": 'x1="0" y1="0" x2="1" y2="0"',
    "slant": 'x1="0" y1="0" x2="1" y2="1"',
}
_HEX: Final = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})")
_TOKEN: Final = re.compile(r"[MLCQ]|-?\d+(?:\.\d+)?")
_POINTS: Final = {"M": 1, "L": 1, "Q": 2, "C": 3}
Point = tuple[float, float]


def resolve(color: str, otherwise: str = NEUTRAL) -> str:
    """Return `color`, a hex code or a pt-BR colour word, as #rrggbb; `otherwise` when it is neither."""
    plain = unicodedata.normalize("NFKD", color.strip().lower()).encode("ascii", "ignore").decode()
    plain = re.sub(r"[\s_]+", "-", plain)
    if not _HEX.fullmatch(plain):
        return COLORS.get(plain, otherwise)
    return plain if len(plain) == 7 else "#" + "".join(digit * 2 for digit in plain[1:])


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def mix(color: str, other: str, share: float) -> str:
    """Return the #rrggbb that is `share` (0 to 1) of the way from `color` to `other`."""
    pairs = zip(_channels(color), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def brightness(color: str) -> float:
    """Return the perceived brightness of a #rrggbb colour, from 0 (black) to 1 (white)."""
    red, green, blue = _channels(color)
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


def num(value: float) -> str:
    """Return a length with at most one decimal, without a trailing zero."""
    return f"{round(value, 1):g}"


def _alpha(opacity: float) -> str:
    return "" if opacity >= 1 else f' opacity="{opacity:g}"'


# --- path data ---------------------------------------------------------------------------------------


def box(x: float, y: float, width: float, height: float, radius: float = 0) -> str:
    """Return the path data of a rectangle whose corners are rounded by `radius`."""
    r = min(radius, width / 2, height / 2)
    right, bottom = x + width, y + height
    return (
        f"M{num(x + r)} {num(y)}L{num(right - r)} {num(y)}Q{num(right)} {num(y)} {num(right)} {num(y + r)}"
        f"L{num(right)} {num(bottom - r)}Q{num(right)} {num(bottom)} {num(right - r)} {num(bottom)}"
        f"L{num(x + r)} {num(bottom)}Q{num(x)} {num(bottom)} {num(x)} {num(bottom - r)}"
        f"L{num(x)} {num(y + r)}Q{num(x)} {num(y)} {num(x + r)} {num(y)}Z"
    )


def disc(cx: float, cy: float, rx: float, ry: float | None = None) -> str:
    """Return the path data of an ellipse; a circle when `ry` is left out."""
    high = rx if ry is None else ry
    arc = f"A{num(rx)} {num(high)} 0 1 1"
    return f"M{num(cx - rx)} {num(cy)}{arc} {num(cx + rx)} {num(cy)}{arc} {num(cx - rx)} {num(cy)}Z"


def twin(half: str) -> str:
    """Return the closed outline that `half` and its reflection in the line x = 400 make.

    `half` is path data of absolute M, L, Q and C commands that starts and ends on the axis.
    """
    tokens = _TOKEN.findall(half)
    legs: list[tuple[str, list[Point]]] = []
    spot = 0
    while spot < len(tokens):
        count = _POINTS[tokens[spot]]
        numbers = [float(token) for token in tokens[spot + 1 : spot + 1 + 2 * count]]
        legs.append((tokens[spot], list(zip(numbers[::2], numbers[1::2], strict=True))))
        spot += 1 + 2 * count
    ends = [points[-1] for _, points in legs]
    back: list[str] = []
    for place in range(len(legs) - 1, 0, -1):
        command, points = legs[place]
        route = [*reversed(points[:-1]), ends[place - 1]]
        back.append(command + " ".join(f"{num(SIZE - x)} {num(y)}" for x, y in route))
    return half + "".join(back) + "Z"


# --- markup ------------------------------------------------------------------------------------------


def path(d: str, fill: str, *, opacity: float = 1) -> str:
    """Return a filled path."""
    return f'<path d="{d}" fill="{fill}"{_alpha(opacity)}/>'


def rect(x: float, y: float, width: float, height: float, fill: str, *, r: float = 0, opacity: float = 1) -> str:
    """Return a filled rectangle with corners of radius `r`."""
    return path(box(x, y, width, height, r), fill, opacity=opacity)


def oval(cx: float, cy: float, rx: float, fill: str, *, ry: float | None = None, opacity: float = 1) -> str:
    """Return a filled ellipse; a circle when `ry` is left out."""
    high = rx if ry is None else ry
    return f'<ellipse cx="{num(cx)}" cy="{num(cy)}" rx="{num(rx)}" ry="{num(high)}" fill="{fill}"{_alpha(opacity)}/>'


def line(d: str, stroke: str, width: float = 4, *, opacity: float = 1, dash: str = "") -> str:
    """Return a stroked path with round ends; `dash` is an SVG dash pattern."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<path d="{d}" fill="none" stroke="{stroke}" stroke-width="{num(width)}" stroke-linecap="round" '
        f'stroke-linejoin="round"{dashes}{_alpha(opacity)}/>'
    )


def mirror(*parts: str) -> str:
    """Return `parts` reflected in the line x = 400."""
    return f'<g transform="matrix(-1 0 0 1 {SIZE} 0)">{"".join(parts)}</g>'


def both(*parts: str) -> str:
    """Return `parts` and their reflection in the line x = 400."""
    return "".join(parts) + mirror(*parts)


def turn(degrees: float, *parts: str, cx: float = 400, cy: float = 400) -> str:
    """Return `parts` turned clockwise about (cx, cy)."""
    return f'<g transform="rotate({num(degrees)} {num(cx)} {num(cy)})">{"".join(parts)}</g>'


def move(dx: float, dy: float, *parts: str, scale: float = 1) -> str:
    """Return `parts` scaled about the origin, then moved."""
    grow = "" if scale == 1 else f" scale({scale:g})"
    return f'<g transform="translate({num(dx)} {num(dy)}){grow}">{"".join(parts)}</g>'


def leaf(x: float, y: float, length: float, degrees: float, color: str = LEAF) -> str:
    """Return a leaf of `length` that grows upwards from (x, y), turned clockwise by `degrees`."""
    blade = (
        path("M0 0C-42 -30 -32 -80 0 -100C32 -80 42 -30 0 0Z", color)
        + path("M0 0C42 -30 32 -80 0 -100Z", SHADE, opacity=0.1)
        + line("M0 0V-84", WHITE, 2, opacity=0.35)
    )
    return move(x, y, turn(degrees, blade, cx=0, cy=0), scale=length / 100)


class Pen:
    """The colours of one picture and the gradients and clips it has asked for.

    `base` is the product's colour; `light`, `pale`, `dark` and `deep` are tones of it that keep apart
    even when it is nearly black or nearly white. `theme` is the brand's colour.
    """

    def __init__(self, *, key: str, base: str, theme: str) -> None:
        """Take #rrggbb colours and a `key` that keeps the ids apart when pictures share a page."""
        glow = brightness(base)
        self.base = base
        self.theme = theme
        self.light = mix(base, WHITE, 0.22 if glow > 0.2 else 0.16)
        self.pale = mix(base, WHITE, 0.58)
        self.dark = mix(base, "#1d1830", 0.13 if glow > 0.8 else 0.24)
        self.deep = mix(base, "#1d1830", 0.27 if glow > 0.8 else 0.46)
        self.detail = self.pale if glow < 0.34 else self.deep
        self._key = key
        self._defs: list[str] = []

    @property
    def defs(self) -> str:
        """The definitions asked for so far."""
        return "".join(self._defs)

    @property
    def body(self) -> str:
        """A fill for the product's main surface, lit from the top left."""
        return self.fade(self.light, mix(self.base, self.dark, 0.45), "slant")

    def define(self, tag: str, attributes: str, content: str) -> str:
        """Add a definition and return the reference to it, to stand as a fill, a clip or a filter."""
        name = f"{self._key}{len(self._defs)}"
        self._defs.append(f'<{tag} id="{name}" {attributes}>{content}</{tag}>')
        return f"url(#{name})"

    def fade(self, start: str, end: str, way: Way = "down") -> str:
        """Return a fill that runs from one colour to another."""
        stops = f'<stop offset="0" stop-color="{start}"/><stop offset="1" stop-color="{end}"/>'
        return self.define("linearGradient", _WAYS[way], stops)

    def inside(self, outline: str, *parts: str) -> str:
        """Return `parts` cut off at `outline`, which is path data."""
        clip = self.define("clipPath", "", f'<path d="{outline}"/>')
        return f'<g clip-path="{clip}">{"".join(parts)}</g>'

    def round(self, outline: str, left: float, right: float, fill: str | None = None) -> str:
        """Return a filled outline modelled as a cylinder that spans `left` to `right`."""
        width = right - left
        return path(outline, fill or self.body) + self.inside(
            outline,
            rect(left + width * 0.12, 0, width * 0.13, SIZE, WHITE, opacity=0.28),
            rect(left + width * 0.72, 0, width * 0.28, SIZE, SHADE, opacity=0.1),
        )


class Shape(NamedTuple):
    """How to draw one kind of product.

    `floor` is the half width of its shadow on the ground at y = `ground`; None for a thing that hangs.
    """

    draw: Callable[[Pen], str]
    floor: float | None = None
    ground: float = 640
