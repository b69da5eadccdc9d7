"""The process that a user starts: `agent-store up`, killed, interrupted, searched for what must not be in it."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.support.process import TOKEN, StoreProcess

pytestmark = pytest.mark.timeout(240)
WHO = "5511966660000"


async def test_killed_in_the_middle_of_a_conversation_it_goes_on_where_it_was(tmp_path: Path) -> None:
    async with StoreProcess(tmp_path / "var") as store:
        await store.start()
        await store.say(WHO, "Oi, quero um vestido vermelho até 300 reais", until="número")
        await store.say(WHO, "/product:vestido-midi-aurora", until="tamanho")
        assert await store.end(signal.SIGKILL) == -signal.SIGKILL
        await store.start()
        await store.say(WHO, "/add:FAS-VAURORA-VM-M", until="Fechamos")
        await store.say(WHO, "/checkout", until="receber")
        await store.say(WHO, "/method:delivery", until="CEP")
        await store.say(WHO, "Ana Souza, 01310-100, Av Paulista 1000 ap 12", until="Qual entrega")
        assert await store.end(signal.SIGKILL) == -signal.SIGKILL
        await store.start()
        await store.say(WHO, "/ship:economico", until="Está tudo certo")
        placed = await store.say(WHO, "/confirm_order", until="/pay/")
        assert await store.end(signal.SIGKILL) == -signal.SIGKILL
        await store.start()
        await store.say(WHO, "4242", until="Pagamento aprovado")
        staff = {"Authorization": f"Bearer {TOKEN}"}
        (order,) = (await store.http.get("/api/orders", headers=staff)).json()
        assert order["state"] == "confirmed"
        assert order["number"] in next(one.text for one in placed if "/pay/" in one.text)
        assert (await store.http.get("/api/dead", headers=staff)).json() == []


async def test_ctrl_c_stops_it_cleanly_and_a_second_one_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    async with StoreProcess(tmp_path / "var") as store, StoreProcess(tmp_path / "var") as second:
        await store.start()
        assert f"http://127.0.0.1:{store.port}" in store.printed()
        assert TOKEN in store.printed(), "the staff token is printed"
        await second.start(ready=False)
        assert await second.ended() != 0
        assert "another store runs" in second.printed()
        assert "Traceback" not in second.printed()
        assert await store.end(signal.SIGINT) == 0
        assert "nothing is lost" in store.printed()
        assert "Traceback" not in store.printed()


async def test_a_card_number_in_a_chat_is_nowhere_afterwards(tmp_path: Path) -> None:
    """Neither in any file of the data folder (journals, events, the message as it came) nor in the most talkative log."""
    async with StoreProcess(tmp_path / "var") as store:
        await store.start()
        await store.say(WHO, "oi, quero um vestido")
        await store.say(WHO, "meu cartão é 4111 1111 1111 1111 validade 12/29 cvv 123")
        await store.say(WHO, "5555555555554444")
        await store.say(WHO, "paga no 3782-822463-10005 por favor")
        caption = {"id": "1", "mime_type": "image/jpeg", "sha256": "x", "caption": "o cartão: 6011.1111.1111.1117"}
        await store.deliver(WHO, {"type": "image", "image": caption})
        file = {"id": "2", "mime_type": "application/pdf", "sha256": "x", "filename": "cartao 4000056655665556.pdf"}
        await store.deliver("5511966660001", {"type": "document", "document": file})
        contact = {"name": {"formatted_name": "5425 2334 3010 9903"}, "phones": []}
        await store.deliver("5511966660002", {"type": "contacts", "contacts": [contact]})
        staff = {"Authorization": f"Bearer {TOKEN}"}
        listed = (await store.http.get("/api/conversations", headers=staff)).json()
        paths = [f"/api/conversations/{one['conversation_id']}{what}" for one in listed for what in ("", "/trail")]
        seen = [(await store.http.get(path, headers=staff)).text for path in (*paths, "/api/events?after=0")]
        assert "[card number removed]" in "".join(seen), "the transcript says that something was taken out"
        assert await store.end(signal.SIGTERM) == 0
        places = {path.name: path.read_bytes() for path in store.data.rglob("*") if path.is_file()}
        places["log"] = store.printed().encode()
        places["api"] = "\n".join(seen).encode()
        assert len(places["store.sqlite3"]) > 100_000
        cards = ("4111111111111111", "5555555555554444", "378282246310005", "6011111111111117", "4000056655665556",
                 "5425233430109903")  # fmt: skip
        for card in cards:
            pattern = re.compile(rb"[ .-]{0,2}".join(bytes([digit]) for digit in card.encode()))
            for place, content in places.items():
                assert pattern.search(content) is None, f"{card} stands in {place}"


async def test_no_phone_number_and_no_name_stands_in_the_log(tmp_path: Path) -> None:
    async with StoreProcess(tmp_path / "var") as store:
        await store.start()
        await store.say(WHO, "oi, quero um vestido vermelho")
        await store.say(WHO, "quero falar com uma pessoa")
        await store.say("5511966660001", "vocês são uns ladrões!!!")
        assert await store.end(signal.SIGTERM) == 0
        log = store.printed()
        assert "turn.granted" in log
        for private in (WHO, "5511966660001", "ladrões", "vestido vermelho"):
            assert private not in log
