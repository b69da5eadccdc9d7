"""Identifiers: new ones sort by their time, derived ones come out the same."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from agent_store.kernel.clock import ManualClock
from agent_store.kernel.ids import derived_id, new_id, short_code


def test_a_new_id_is_a_uuid7_of_now() -> None:
    before = datetime.now(UTC)
    value = uuid.UUID(new_id())
    assert value.version == 7
    assert value.variant == uuid.RFC_4122
    made = datetime.fromtimestamp((value.int >> 80) / 1000, UTC)
    assert abs(made - before) < timedelta(seconds=5)


def test_new_ids_sort_by_their_millisecond_and_never_repeat() -> None:
    ids = [new_id() for _ in range(5000)]
    stamps = [text[:13] for text in ids]
    assert stamps == sorted(stamps)
    assert len(set(ids)) == len(ids)
    assert all(text == text.lower() and len(text) == 36 for text in ids)


def test_derived_ids_depend_on_every_part_and_on_nothing_else() -> None:
    assert derived_id("a", 1) == derived_id("a", 1)
    assert (
        len({derived_id("a", 1), derived_id("a", 2), derived_id("a1"), derived_id("a", "1", ""), derived_id(1, "a")})
        == 5
    )
    assert uuid.UUID(derived_id("x")).version == 5


def test_short_codes_have_no_letters_that_are_mistaken_for_digits() -> None:
    codes = "".join(short_code() for _ in range(500))
    assert not set(codes) & set("01IO")
    assert len(short_code()) == 6
    assert len(short_code(9)) == 9
    assert len(set(codes)) == 32


def test_a_clock_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        ManualClock(datetime(2026, 1, 1))  # noqa: DTZ001  # that is the point
