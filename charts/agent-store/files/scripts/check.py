"""`helm test`: the directory is kept, the gateway answers, and it takes a signed delivery and refuses an unsigned one.

The delivery is the status of a message that nobody sent: it is committed like any other, and no customer hears of it.

CHECK_GATEWAY   the gateway's URL
CHECK_SERVICES  names that the directory must have, with blanks between
CHECK_BRANDS    ids of brands that it must have
CHECK_SECONDS   how long all of it may take
CHECK_DIRECTORY the directory's file
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import yaml


def directory() -> str | None:
    """What is not as it should be, or None. The kubelet brings a changed ConfigMap within about a minute."""
    path = Path(os.environ["CHECK_DIRECTORY"])
    if not path.exists():
        return "the ConfigMap agent-store-directory is not there: does the operator run, and see this namespace?"
    found = yaml.safe_load(path.read_text("utf-8"))
    services = set(os.environ["CHECK_SERVICES"].split()) - set(found.get("services", {}))
    brands = set(os.environ["CHECK_BRANDS"].split()) - {brand["id"] for brand in found.get("brands", ())}
    if services:
        return f"the directory lacks {', '.join(sorted(services))}: see kubectl get lambdaagents"
    if brands:
        return f"the directory lacks the brands {', '.join(sorted(brands))}: their Triggers are not Ready yet"
    return None


def gateway() -> str | None:
    """From zero it takes some seconds: the request itself wakes it."""
    status, body = _ask("/healthz")
    return None if status == 200 else f"the gateway's /healthz answered {status}: {body}"


def signed() -> str | None:
    body = json.dumps(_DELIVERY).encode()
    status, answer = _ask("/webhooks/whatsapp", body, _signature(os.environ["AGENT_STORE_WHATSAPP_APP_SECRET"], body))
    return None if status == 200 else f"a signed delivery was answered {status}: {answer}"


def unsigned() -> str | None:
    body = json.dumps(_DELIVERY).encode()
    status, answer = _ask("/webhooks/whatsapp", body, _signature("not the secret", body))
    return None if status == 401 else f"a delivery with a wrong signature was answered {status}, not 401: {answer}"


_DELIVERY = {
    "object": "whatsapp_business_account",
    "entry": [
        {
            "id": "0",
            "changes": [
                {
                    "field": "messages",
                    "value": {
                        "messaging_product": "whatsapp",
                        "metadata": {"display_phone_number": "0", "phone_number_id": "0"},
                        "statuses": [
                            {"id": "wamid.helm-test", "status": "sent", "timestamp": "0", "recipient_id": "0"}
                        ],
                    },
                }
            ],
        }
    ],
}


def _signature(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _ask(path: str, body: bytes | None = None, signature: str = "") -> tuple[int, str]:
    """Status and the beginning of the body; 0 when there was no answer."""
    request = Request(os.environ["CHECK_GATEWAY"] + path, data=body)  # noqa: S310  # the URL is the chart's own
    if body is not None:
        request.add_header("Content-Type", "application/json")
        request.add_header("X-Hub-Signature-256", signature)
    try:
        with urlopen(request, timeout=30) as response:  # noqa: S310
            return response.status, response.read(300).decode(errors="replace")
    except HTTPError as error:
        return error.code, error.read(300).decode(errors="replace")
    except (URLError, TimeoutError, ConnectionError) as error:
        return 0, str(error)


def main() -> int:
    deadline = time.monotonic() + float(os.environ["CHECK_SECONDS"])
    checks: tuple[tuple[str, Callable[[], str | None]], ...] = (
        ("the directory has every agent and brand of this release", directory),
        ("the gateway answers its health", gateway),
        ("a signed delivery is taken", signed),
        ("a delivery with a wrong signature is refused", unsigned),
    )
    for name, check in checks:
        while (wrong := check()) is not None:
            if time.monotonic() > deadline:
                print(f"not ok  {name}: {wrong}", flush=True)
                return 1
            time.sleep(2)
        print(f"ok      {name}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
