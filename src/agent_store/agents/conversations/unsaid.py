"""What the closed window kept from a customer: written down as they read it, and a person's words said when they write again.

A template went out in place of the words, or, of a second message, nothing. A seller's words are not said again, since their
facts may be old by then: the seller reads in the history what the customer did read, and answers anew.
"""

from __future__ import annotations

from agent_store.agents.conversations.model import Conversation
from agent_store.agents.conversations.records import Outgoing
from agent_store.agents.conversations.repository import Conversations, Notices
from agent_store.agents.conversations.speech import Saying, decide, dump, flush_held
from agent_store.contracts.whatsapp import WhatsAppStatus
from agent_store.kernel.context import Context

WINDOW_CLOSED = 131047
"""The customer has not written for 24 hours (Cloud API, "Error codes")."""
_KIND = "unsaid"


async def kept_back(event: WhatsAppStatus, ctx: Context) -> None:
    refused = event.status == "failed" and event.error_code == WINDOW_CLOSED
    if not refused and not (event.as_template and event.status != "failed"):
        return
    outgoing = ctx.get(Outgoing)
    sent = await outgoing.find(event.send_id)
    if sent is None or sent.kind == "template":
        return
    if not refused:
        await outgoing.became_template(sent)
    if sent.role != "person" or await outgoing.is_kept(_key(event)):
        return
    conversation = await ctx.get(Conversations).for_update(event.conversation_id)
    if conversation is None:
        return
    saying = Saying(contents=(sent.content,), purpose="reply", role="person", author=sent.author)
    conversation.held += 1
    await ctx.get(Notices).add(
        key=_key(event),
        order_id=conversation.id,
        kind=_KIND,
        version=0,
        conversation_id=conversation.id,
        at=ctx.now(),
        position=conversation.held,
        contents=dump(saying),
    )
    await decide(ctx, conversation, "answer.kept", send_id=event.send_id)
    if conversation.heard_at > event.at and not conversation.turn_open:
        await flush_held(ctx, conversation)  # they have written since
    await ctx.get(Conversations).save(conversation)


def _key(event: WhatsAppStatus) -> str:
    return f"{_KIND}:{event.send_id}"


async def say_now(ctx: Context, conversation: Conversation) -> None:
    """The customer writes, so the window is open: what a person had said comes before what is answered now."""
    if conversation.held and not conversation.turn_open:
        await flush_held(ctx, conversation)
