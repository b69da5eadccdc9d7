"""A provider's callbacks for Pix: the body of Banco Central's Pix API ("Callbacks": a list `pix` of `endToEndId`, `txid`, `valor`,
`horario`), signed with a secret that both sides have.

The signature is one header, `X-Pix-Signature: t=<unix seconds>,v1=<hex HMAC-SHA-256 of "<t>." and the body>`. What is older than
five minutes is not believed, so a delivery that somebody kept cannot be sent again later; within that time it is harmless, since
money is counted once by its end-to-end id.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from agent_store.agents.payments.ports import BadSignature, PixReceived
from agent_store.kernel.clock import Clock
from agent_store.kernel.errors import InvalidInput
from agent_store.kernel.money import Money

HEADER = "x-pix-signature"
BELIEVED_FOR = timedelta(minutes=5)
MOST = 100
_SIGNATURE = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})", re.ASCII)


class _Pix(BaseModel):
    endToEndId: str = Field(min_length=1, max_length=64)
    txid: str = Field(default="", max_length=40)
    valor: Annotated[str, Field(pattern=r"^\d{1,10}\.\d{2}$")]
    horario: AwareDatetime


class _Delivery(BaseModel):
    pix: list[_Pix] = Field(max_length=MOST)


class SignedCallbacks:
    """`Callbacks` of a provider that signs so. One instance both signs (the mock's side) and reads (the store's)."""

    def __init__(self, name: str, secret: str, clock: Clock) -> None:
        if len(secret) < 16:
            raise InvalidInput("AGENT_STORE_PAYMENT_WEBHOOK_SECRET: 16 characters or more")
        self._name = name
        self._secret = secret.encode()
        self._clock = clock

    @property
    def name(self) -> str:
        return self._name

    def read(self, headers: Mapping[str, str], body: bytes) -> tuple[PixReceived, ...]:
        found = _SIGNATURE.fullmatch(headers.get(HEADER, ""))
        if found is None or not hmac.compare_digest(found[2], self._digest(found[1], body)):
            raise BadSignature(f"{HEADER} is not this provider's signature of this body")
        if abs(self._clock.now().timestamp() - int(found[1])) > BELIEVED_FOR.total_seconds():
            raise BadSignature(f"{HEADER} is of another time: sign each delivery when it is sent")
        try:
            delivery = _Delivery.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InvalidInput(f"{where or 'body'}: {first['msg']}", field=where) from None
        return tuple(
            PixReceived(
                txid=one.txid,
                reference=one.endToEndId,
                amount=Money(minor=int(Decimal(one.valor) * 100)),
                paid_at=one.horario,
            )
            for one in delivery.pix
        )

    def write(self, received: Iterable[PixReceived]) -> tuple[dict[str, str], bytes]:
        """Headers and body of a delivery, signed now."""
        listed = [
            {
                "endToEndId": one.reference,
                "txid": one.txid,
                "valor": f"{one.amount.minor // 100}.{one.amount.minor % 100:02}",
                "horario": one.paid_at.isoformat(),
            }
            for one in received
        ]
        body = json.dumps({"pix": listed}).encode()
        stamp = str(int(self._clock.now().timestamp()))
        return {HEADER: f"t={stamp},v1={self._digest(stamp, body)}", "content-type": "application/json"}, body

    def _digest(self, stamp: str, body: bytes) -> str:
        return hmac.digest(self._secret, stamp.encode() + b"." + body, "sha256").hex()
