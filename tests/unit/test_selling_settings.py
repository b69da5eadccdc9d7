from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from agent_store.agents.cart.settings import CartSettings
from agent_store.agents.orders.settings import OrdersSettings
from agent_store.agents.payments.settings import PaymentsSettings

ZERO = timedelta(0)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: CartSettings(max_lines=0), "max_lines"),
        (lambda: CartSettings(max_lines=101), "max_lines"),
        (lambda: CartSettings(max_quantity=0), "max_quantity"),
        (lambda: CartSettings(low_stock=-1), "low_stock"),
        (lambda: OrdersSettings(payment_window=ZERO), "payment_window"),
        (lambda: OrdersSettings(reservation_margin=ZERO), "reservation_margin"),
        (lambda: OrdersSettings(number_length=0), "number_length"),
        (lambda: OrdersSettings(max_alternatives=-1), "max_alternatives"),
        (lambda: PaymentsSettings(public_url="shop.example"), "public_url"),
        (lambda: PaymentsSettings(public_url="https://shop.example/"), "public_url"),
        (lambda: PaymentsSettings(public_url="https://shop.example", max_attempts=0), "max_attempts"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_its_name(make: Callable[[], object], names: str) -> None:
    with pytest.raises(ValueError, match=names):
        make()


def test_stock_is_held_longer_than_a_link_lives() -> None:
    settings = OrdersSettings(payment_window=timedelta(minutes=10), reservation_margin=timedelta(minutes=1))
    assert settings.hold == timedelta(minutes=11)
