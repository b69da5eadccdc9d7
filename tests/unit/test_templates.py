"""The store's own templates against the platform's rules for them."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_store.contracts.common import Language
from agent_store.contracts.templates import BODY, CODES, TEMPLATES, Template, out
from agent_store.contracts.whatsapp import MARKETING
from agent_store.kernel.errors import InvalidInput

EVERY = pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)


@EVERY
def test_a_template_is_one_that_the_platform_takes(template: Template) -> None:
    assert re.fullmatch(r"[a-z0-9_]{1,512}", template.name)
    assert set(template.bodies) == set(get_args(Language)) == set(CODES)
    assert len(template.example) == len(template.values)
    for language, body in template.bodies.items():
        assert not re.search(r"^\s*\{\{|\}\}\s*$", body), "a body neither begins nor ends with a variable"
        assert [int(n) for n in re.findall(r"\{\{(\d+)\}\}", body)] == list(range(1, len(template.values) + 1))
        assert "\n\n\n" not in body
        assert "}} {{" not in body, "two variables side by side are refused"
        titles = template.buttons.get(language, ())
        assert len(titles) == len(template.payloads)
        assert all(0 < len(title) <= 25 for title in titles)
        assert len(template.filled(language, dict(zip(template.values, template.example, strict=True)))) <= BODY


@EVERY
def test_what_can_be_opted_out_of_says_how(template: Template) -> None:
    assert (template.category == "MARKETING") == (template.purpose in MARKETING)
    if template.category == "MARKETING":
        for language, word in (("pt", "SAIR"), ("en", "STOP"), ("es", "SALIR")):
            assert word in template.bodies[language]  # type: ignore[index]


@given(values=st.lists(st.text(min_size=1, max_size=2000).filter(str.strip), min_size=4, max_size=4))
def test_whatever_the_values_a_body_stays_within_its_limit(values: list[str]) -> None:
    template = TEMPLATES["payment_due"]
    sent = out(template.name, "pt", dict(zip(template.values, values, strict=True)))
    assert len(sent.text) <= BODY
    assert not any(re.search(r"[\n\t]|    ", value) for value in sent.values)
    assert all(sent.values)


def test_a_value_that_is_missing_is_told_by_name() -> None:
    with pytest.raises(InvalidInput, match="template order_shipped needs details"):
        out("order_shipped", "en", {"number": "1", "details": "  "})
    with pytest.raises(InvalidInput, match="there is no template order_lost: there are cart_reminder"):
        out("order_lost", "en", {})
