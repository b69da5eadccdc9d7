"""The conversation's own rules: one speaker at a time, tokens that only grow, turns without gaps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent_store.agents.conversations.model import (
    Conversation,
    Line,
    Told,
    refusal,
    statuses_before,
    why_not_tell,
)
from agent_store.agents.conversations.settings import ConversationsSettings
from agent_store.kernel.ids import ConversationId, CustomerId

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
LIMIT = timedelta(seconds=90)
ME = CustomerId("me")


def a_conversation() -> Conversation:
    return Conversation(
        id=ConversationId("c"), customer_id=ME, channel="whatsapp", number="1", address="2", address_kind="phone",
        brand="fashion", language="pt", created_at=NOW, last_at=NOW, heard_at=NOW,
    )  # fmt: skip


def a_line(conversation: Conversation) -> Line:
    return Line(conversation.next_seq(), "w", "text", "oi", None, NOW)


def test_a_turn_is_granted_to_the_bot_only_and_once() -> None:
    conversation = a_conversation()
    conversation.grant([a_line(conversation)], NOW, LIMIT)
    with pytest.raises(ValueError, match="none is open"):
        conversation.grant([a_line(conversation)], NOW, LIMIT)
    with pytest.raises(ValueError, match="the bot speaks"):
        conversation.give_to_person([a_line(conversation)])
    assert conversation.wait()
    assert not conversation.wait()
    with pytest.raises(ValueError, match="granted to the bot"):
        conversation.grant([a_line(conversation)], NOW, LIMIT)
    assert conversation.back_to_bot()
    assert not conversation.back_to_bot()


def test_why_an_answer_is_refused() -> None:
    conversation = a_conversation()
    conversation.grant([a_line(conversation)], NOW, LIMIT)
    assert refusal(conversation, author="bot", token=1, customer_id=ME) is None
    assert refusal(conversation, author="bot", token=0, customer_id=ME) == "stale token"
    assert refusal(conversation, author="bot", token=1, customer_id=CustomerId("you")) == "another customer"
    assert refusal(conversation, author="person", token=1, customer_id=ME) == "no person speaks"
    conversation.end_turn()
    assert refusal(conversation, author="bot", token=1, customer_id=ME) == "no turn is open"
    token = conversation.hand_to("Rui")
    assert refusal(conversation, author="person", token=token, customer_id=ME) is None
    assert refusal(conversation, author="bot", token=token, customer_id=ME) == "the bot is silent"


def test_a_burst_ends_a_window_after_its_last_message_and_in_the_end_by_itself() -> None:
    conversation, window, longest = a_conversation(), timedelta(seconds=1), timedelta(seconds=3)
    assert conversation.open_burst(NOW, window, longest) == NOW + window
    assert conversation.open_burst(NOW + timedelta(seconds=0.5), window, longest) is None
    assert conversation.burst_due == NOW + timedelta(seconds=1.5)
    conversation.open_burst(NOW + timedelta(seconds=2.9), window, longest)
    assert conversation.burst_due == NOW + longest
    conversation.close_burst()
    assert conversation.open_burst(NOW, window, longest) is not None
    assert conversation.burst == 2


def test_a_status_comes_only_from_an_earlier_one() -> None:
    assert statuses_before("sent") == ["queued", "uncertain"]
    assert statuses_before("read") == ["queued", "uncertain", "sent", "delivered"]
    assert "delivered" not in statuses_before("failed")
    assert statuses_before("unheard of") == []


def test_what_was_told_or_is_older_is_not_told() -> None:
    told = [Told("a", "confirmed", 5)]
    assert why_not_tell("confirmed", "a", 5, told) == "told"
    assert why_not_tell("shipped", "b", 7, told) is None
    assert why_not_tell("cancelled", "b", 4, told) == "newer told"
    assert why_not_tell("link", "l", 0, told) == "newer told"
    assert why_not_tell("failed", "f", 9, told) == "newer told"
    assert why_not_tell("refunded", "r", 0, told) is None
    assert why_not_tell("link", "l", 0, [Told("f", "failed", 1)]) == "newer told"
    assert why_not_tell("failed", "f2", 2, [Told("f", "failed", 1)]) is None
    assert why_not_tell("failed", "f1", 1, [Told("f", "failed", 2)]) == "newer told"


@pytest.mark.parametrize(
    "wrong",
    [
        {"burst_window": timedelta(seconds=-1)},
        {"burst_window": timedelta(seconds=5), "burst_max": timedelta(seconds=1)},
        {"turn_limit": timedelta(0)},
        {"person_limit": timedelta(0)},
        {"polite_pause": timedelta(seconds=-1)},
        {"turn_tries": 0},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, timedelta]) -> None:
    with pytest.raises(ValueError, match="must"):
        ConversationsSettings(**wrong)  # type: ignore[arg-type]


class OneSpeaker(RuleBasedStateMachine):
    """Whatever happens, in whatever order: at most one of bot and person may be heard, and nothing counts backward."""

    def __init__(self) -> None:
        super().__init__()
        self.conversation = a_conversation()
        self.tokens = [0]
        self.turns: list[int] = []
        self.bot_tokens: list[int] = []
        self.person_tokens: list[int] = []
        self.waiting: list[Line] = []

    @rule(messages=st.integers(min_value=1, max_value=3))
    def customer_writes(self, messages: int) -> None:
        for _ in range(messages):
            self.waiting.append(a_line(self.conversation))
            self.conversation.pending += 1
        if self.conversation.speaker != "bot":
            self.conversation.give_to_person(self.waiting)
            self.turns.append(self.conversation.turn)
            self.waiting = []

    @precondition(lambda self: self.waiting and self.conversation.speaker == "bot" and not self.conversation.turn_open)
    @rule()
    def turn_begins(self) -> None:
        self.conversation.grant(self.waiting, NOW, LIMIT)
        self.bot_tokens.append(self.conversation.lease_token)
        self.turns.append(self.conversation.turn)
        assert all(line.turn == self.conversation.turn for line in self.waiting)
        self.given, self.waiting = self.waiting, []

    @precondition(lambda self: self.conversation.turn_open)
    @rule()
    def bot_answers(self) -> None:
        self.conversation.end_turn()

    @precondition(lambda self: self.conversation.turn_open)
    @rule()
    def turn_expires(self) -> None:
        for line in self.given:
            line.turn = None
        self.conversation.reopen(len(self.given))
        self.waiting = self.given + self.waiting

    @rule()
    def person_is_wanted(self) -> None:
        if self.conversation.wait():
            self.conversation.pending, self.waiting = 0, []

    @rule()
    def person_claims(self) -> None:
        self.person_tokens.append(self.conversation.hand_to("Rui"))
        self.conversation.pending, self.waiting = 0, []

    @rule()
    def back_to_bot(self) -> None:
        self.conversation.back_to_bot()

    @invariant()
    def tokens_and_turns_only_grow(self) -> None:
        self.tokens.append(self.conversation.lease_token)
        assert self.tokens[-1] >= self.tokens[-2]
        assert self.turns == list(range(1, len(self.turns) + 1))
        assert len(set(self.bot_tokens + self.person_tokens)) == len(self.bot_tokens + self.person_tokens)
        assert self.conversation.pending == len(self.waiting)

    @invariant()
    def one_speaker(self) -> None:
        heard = [
            (author, token)
            for author, tokens in (("bot", self.bot_tokens), ("person", self.person_tokens))
            for token in tokens
            if refusal(self.conversation, author=author, token=token, customer_id=ME) is None  # type: ignore[arg-type]
        ]
        assert len(heard) <= 1
        assert not (self.conversation.turn_open and self.conversation.speaker != "bot")


TestOneSpeaker = OneSpeaker.TestCase
TestOneSpeaker.settings = hypothesis_settings(max_examples=60, stateful_step_count=30, deadline=None)
