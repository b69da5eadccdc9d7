"""The few things that the page makes of NiceGUI: a box, markup of its own, and actions with their fields."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from nicegui import ui
from nicegui.element import Element

Fields = Mapping[str, str]
"""What an action carries: the `data-…` of what was tapped, the fields of a form."""
Act = Callable[[Fields], Awaitable[None] | None]


class Html(ui.html):
    """Markup made here: every foreign part of it has been escaped."""

    def __init__(self, content: str) -> None:
        super().__init__(content, sanitize=False)
        self.style("display:contents")

    def show(self, content: str) -> None:
        """Anew, if it differs: what is shown already is not touched."""
        if content != self.content:
            self.set_content(content)


def markup(content: str) -> Html:
    return Html(content)


def div(classes: str, tag: str = "div") -> Element:
    return ui.element(tag).classes(classes)


def script_text(text: str) -> str:
    """As a literal of a script, also where the script stands within markup."""
    return json.dumps(text).replace("<", "\\u003c")


def toast(text: str) -> None:
    ui.run_javascript(f"sim.toast({script_text(text)})")


def fields_of(args: Any) -> dict[str, str]:
    """What the script has sent, as text by name; what is of another shape is dropped."""
    if not isinstance(args, dict):
        return {}
    found = cast("dict[object, object]", args)
    return {name: value for name, value in found.items() if isinstance(name, str) and isinstance(value, str)}
