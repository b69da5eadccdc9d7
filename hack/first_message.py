"""Write to a running store as a customer: a signed WhatsApp webhook to the gateway's URL; print what the seller answers.

Needs nothing but Python. The secrets come by the environment: APP_SECRET (the Meta app's, signs webhooks), STAFF_TOKEN
(reads the answer on the built-in WhatsApp simulator; a store on Meta's own API has none, and the answer goes to the telephone).

    APP_SECRET=… STAFF_TOKEN=… python3 hack/first_message.py --url http://gateway.example.com --number 100000000000001
"""

from __future__ import annotations

import argparse
import hmac
import http.client
import json
import os
import sys
import time
import uuid
from typing import Any
from urllib.parse import urlsplit

ANA = ("Ana Souza", "5511900000001")
"""A customer whom the simulator knows from the start."""
PAUSE = 1.0
"""Seconds between two attempts."""


class Failed(Exception):
    """What to tell whoever runs this."""


class Store:
    """The gateway. `connect` (HOST:PORT) is where its name leads, for a machine that does not resolve it."""

    def __init__(self, url: str, connect: str, staff_token: str, until: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Failed(f"{url!r} is no http(s) address")
        self.name = parts.hostname
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        host, _, port = connect.rpartition(":") if connect else (parts.hostname, "", str(parts.port or ""))
        self._host, self._port = host, int(port) if port else None
        self._token = staff_token
        self._until = until

    def request(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None, *,
                patience: bool = True) -> tuple[int, bytes]:  # fmt: skip
        """Status and body. While the gateway starts (no connection, 404 of the ingress, 5xx) it is tried again."""
        while True:
            try:
                connection = self._kind(self._host, self._port, timeout=60)
                try:
                    connection.request(method, path, body, {"Host": self.name, **(headers or {})})
                    answer = connection.getresponse()
                    status, content = answer.status, answer.read()
                finally:
                    connection.close()
                fault = f"HTTP {status} {content[:300].decode(errors='replace')}".strip()
                passing = status >= 500 or (status == 404 and not content)
            except (OSError, http.client.HTTPException) as error:
                status, content, fault, passing = 0, b"", f"no connection: {error or type(error).__name__}", True
            if not passing:
                return status, content
            if not patience or time.monotonic() >= self._until:
                raise Failed(f"the gateway at {self.name} ({self._host}) did not take {method} {path}: {fault}")
            time.sleep(PAUSE)

    def staff(self, path: str) -> Any:
        status, content = self.request("GET", path, headers={"Authorization": f"Bearer {self._token}"})
        if status == 404:
            return None
        if status != 200:
            raise Failed(f"GET {path}: HTTP {status} {content[:300].decode(errors='replace')}")
        return json.loads(content)


def webhook(number: str, text: str, at: float) -> bytes:
    """The body of Meta's webhook for one text message."""
    name, phone = ANA
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": number, "phone_number_id": number},
        "contacts": [{"profile": {"name": name}, "wa_id": phone}],
        "messages": [
            {
                "from": phone,
                "id": f"wamid.{uuid.uuid4().hex}",
                "timestamp": str(int(at)),
                "type": "text",
                "text": {"body": text},
            }
        ],
    }
    entry = {"id": "100000000000042", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}, ensure_ascii=False).encode()


def deliver(store: Store, body: bytes, app_secret: str) -> None:
    """Returns when the gateway has committed it."""
    signature = "sha256=" + hmac.digest(app_secret.encode(), body, "sha256").hex()
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": signature}
    status, content = store.request("POST", "/webhooks/whatsapp", body, headers)
    if status == 401:
        raise Failed("the gateway refused the signature: APP_SECRET is not the secret that it has")
    if status != 200:
        raise Failed(f"the gateway answered HTTP {status} {content[:300].decode(errors='replace')}")


class Chat:
    """Ana's chat with the shop's number, on the simulator."""

    def __init__(self, store: Store, number: str) -> None:
        self._store = store
        customers: list[dict[str, Any]] | None = store.staff("/simulator/api/customers")
        self.there = customers is not None
        """False: the store writes to Meta, and this program can't see what."""
        ana = next((person for person in customers or [] if person["wa_id"] == ANA[1]), None)
        if customers is not None and ana is None:
            raise Failed(f"the simulator does not know {ANA[0]}: open its page once, or add her there")
        self._path = f"/simulator/api/customers/{ana['id']}/chats/{number}/messages" if ana else ""
        self._seen = max((bubble["seq"] for bubble in self._bubbles(after=0)), default=0) if self.there else 0

    def _bubbles(self, *, after: int, wait: int = 0) -> list[dict[str, Any]]:
        """None written yet: an empty list."""
        return self._store.staff(f"{self._path}?after={after}&limit=500&wait={wait}") or []

    def answers(self, until: float) -> list[str]:
        """What the seller wrote since this chat was opened; empty when `until` (monotonic) passes without a word."""
        while time.monotonic() < until:
            bubbles = self._bubbles(after=self._seen, wait=max(1, min(20, int(until - time.monotonic()))))
            found = [bubble["text"] for bubble in bubbles if not bubble["mine"]]
            if found:
                return found
            if bubbles:  # what the customer wrote
                self._seen = max(bubble["seq"] for bubble in bubbles)
        return []


def main() -> int:
    parser = argparse.ArgumentParser(description="A customer's first message, and the seller's answer.")
    parser.add_argument("--url", required=True, help="the gateway's address, as its Knative Service has it")
    parser.add_argument(
        "--connect", default="", metavar="HOST:PORT", help="where the ingress is, if the name does not lead there"
    )
    parser.add_argument("--number", required=True, help="the phone number id that is written to")
    parser.add_argument("--text", default="Oi! Quero um vestido até R$ 300")
    parser.add_argument("--timeout", type=float, default=300, help="seconds until the answer must be there")
    options = parser.parse_args()
    until = time.monotonic() + options.timeout
    app_secret, staff_token = os.environ.get("APP_SECRET", ""), os.environ.get("STAFF_TOKEN", "")
    if not app_secret:
        raise Failed("APP_SECRET is not set: it signs the webhook")
    store = Store(options.url, options.connect, staff_token, until)
    chat = Chat(store, options.number) if staff_token else None
    print(f"{ANA[0]}: {options.text}", flush=True)
    began = time.monotonic()
    deliver(store, webhook(options.number, options.text, time.time()), app_secret)
    taken = time.monotonic() - began
    if chat is None or not chat.there:
        print(f"taken after {taken:.2f} s; the answer goes to the telephone")
        return 0
    answers = chat.answers(until)
    if not answers:
        raise Failed(f"the message was taken, and no answer came within {options.timeout:g} s")
    for text in answers:
        print(f"seller: {text}")
    print(f"taken after {taken:.2f} s, answered after {time.monotonic() - began:.2f} s")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        print(f"first message: {failure}", file=sys.stderr)
        sys.exit(1)
