"""How the simulated phone shows a text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.console.simulator import formatted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("*Vestido* por _só_ R$ 10", "<b>Vestido</b> por <i>só</i> R$ 10"),
        ("de ~R$ 20~\npor R$ 10", "de <s>R$ 20</s><br>por R$ 10"),
        ("3*4*5 e snake_case_nome", "3*4*5 e snake_case_nome"),
        ("<b onclick='x'>&", "&lt;b onclick=&#x27;x&#x27;&gt;&amp;"),
        (
            "pague: https://loja.example/p?a=1&b=_2_.",
            'pague: <a href="https://loja.example/p?a=1&amp;b=_2_" target="_blank" rel="noopener noreferrer">'
            "https://loja.example/p?a=1&amp;b=_2_</a>.",
        ),
    ],
)
def test_marks_and_links_are_shown_and_markup_is_not(text: str, shown: str) -> None:
    assert formatted(text) == shown


@given(st.text(alphabet=st.sampled_from("<>\"'&*_~`ab \nhttps://x.y"), max_size=60))
def test_no_text_becomes_markup_of_its_own(text: str) -> None:
    allowed = r'<br>|</?(?:b|i|s|code)>|</a>|<a href="https?://[^"<>]+" target="_blank" rel="noopener noreferrer">'
    left = re.sub(allowed, "", formatted(text))
    assert not re.search(r"[<>\"']", left)
