"""Clocks: the machine's without its jumps, and the one that is moved by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agent_store.kernel.clock import DISTRUST, ManualClock, SystemClock


def test_the_system_clock_is_aware_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)


class Hands:
    """A wall clock that is set, and a running one."""

    def __init__(self) -> None:
        self.wall, self.running = 1_767_614_400.0, 50.0
        self.clock = SystemClock(lambda: self.wall, lambda: self.running)

    def go_on(self, seconds: float) -> None:
        self.wall += seconds
        self.running += seconds

    def shown(self) -> float:
        return round(self.clock.now().timestamp() - 1_767_614_400, 3)


@pytest.mark.parametrize("hour", [3600, -3600])
def test_the_system_clock_does_not_jump_with_the_machines(hour: float) -> None:
    hands = Hands()
    for _ in range(3):
        hands.wall += hour
        assert hands.shown() == hands.running - 50
        hands.go_on(DISTRUST - 1)
        assert hands.shown() == hands.running - 50
        hands.wall -= hour
        assert hands.shown() == hands.running - 50


@pytest.mark.parametrize("hour", [3600, -3600])
def test_a_time_that_has_stood_for_long_is_believed(hour: float) -> None:
    hands = Hands()
    hands.wall += hour
    assert hands.shown() == 0
    hands.go_on(DISTRUST)
    assert hands.shown() == DISTRUST + hour
    hands.go_on(5)
    assert hands.shown() == DISTRUST + hour + 5


def test_a_time_that_jumps_again_and_again_is_not_believed() -> None:
    hands = Hands()
    for jump in (100, 200, -500, 900) * 3:
        hands.wall += jump
        assert hands.shown() == hands.running - 50
        hands.go_on(DISTRUST - 1)


def test_a_clock_that_is_put_right_a_little_at_a_time_is_followed() -> None:
    hands = Hands()
    for _ in range(100):
        hands.go_on(10)
        hands.wall -= 0.2
        hands.shown()
    assert hands.shown() == 1000 - 20


def test_a_manual_clock_moves_only_by_hand_and_backward_too() -> None:
    clock = ManualClock()
    start = clock.now()
    assert clock.now() == start
    clock.move(timedelta(hours=2))
    clock.move(-timedelta(hours=3))
    assert clock.now() - start == -timedelta(hours=1)
