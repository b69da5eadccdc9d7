"""How far a send may move."""

from __future__ import annotations

from agent_store.agents.whatsapp.model import advances


def test_a_send_moves_forward_only() -> None:
    ladder = ["queued", "uncertain", "sent", "delivered", "read"]
    for index, state in enumerate(ladder):
        for later, to in enumerate(ladder[1:], start=1):
            assert advances(state, to) is (later > index)  # type: ignore[arg-type]


def test_a_failure_ends_a_send_that_was_not_delivered() -> None:
    assert advances("sent", "failed")
    assert advances("uncertain", "failed")
    assert not advances("delivered", "failed")
    assert not advances("read", "failed")
    assert not any(advances("failed", to) for to in ("sent", "delivered", "read", "failed", "uncertain"))
