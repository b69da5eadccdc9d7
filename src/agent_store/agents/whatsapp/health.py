"""How the platform sees the store's numbers: what sends have found out, beside what its webhooks say."""

from __future__ import annotations

from agent_store.agents.whatsapp import codes
from agent_store.agents.whatsapp.repository import News
from agent_store.contracts.brands import Directory
from agent_store.contracts.whatsapp import ChannelNews, OutTemplate, WhatsAppAccountUpdated
from agent_store.kernel.context import Context
from agent_store.kernel.metrics import Metrics

_MOST = 200


async def channel_health(ctx: Context) -> tuple[ChannelNews, ...]:
    return await ctx.get(News).latest(_MOST)


async def complain(
    tx: Context, phone_number_id: str, code: int | None, rule: codes.Rule, reason: str, template: OutTemplate | None
) -> None:
    """Tell staff what a refused send says of the number or the template. Once, until it changes."""
    if rule.news is None:
        return
    news = rule.news
    update = WhatsAppAccountUpdated(
        subject_id=codes.subject_of(news, phone_number_id, template),
        what=news.what,
        state=news.state,
        severity=news.severity,
        reason=reason[:500],
        at=tx.now(),
    )
    if await _tell(tx, update, phone_number_id):
        tx.use(Metrics).count("whatsapp_alerts", what=news.what, state=news.state)
        log = tx.log.error if news.severity == "alert" else tx.log.warning
        log("whatsapp.channel", what=news.what, state=news.state, subject_id=update.subject_id, code=code,
            reason=reason)  # fmt: skip


async def recover(tx: Context, phone_number_id: str) -> None:
    """A send was taken: what earlier ones had found wrong with the number is over."""
    for what in ("token", "account"):
        before = await tx.get(News).of(what, phone_number_id)
        if before is None or before.state not in codes.OURS:
            continue
        update = WhatsAppAccountUpdated(
            subject_id=phone_number_id, what=what, state="OK", severity="info", reason="", at=tx.now()
        )
        if await _tell(tx, update, phone_number_id):
            tx.log.info("whatsapp.channel", what=what, state="OK", subject_id=phone_number_id)


async def _tell(tx: Context, update: WhatsAppAccountUpdated, phone_number_id: str) -> bool:
    """False when it is no news."""
    news = tx.get(News)
    before = await news.of(update.what, update.subject_id)
    if before is not None and before.state == update.state:
        return False
    if not await news.put(update):
        return False
    brand = tx.use(Directory).by_number(phone_number_id)
    tx.emit(update, brand=None if brand is None else brand.id, channel="whatsapp")
    return True
