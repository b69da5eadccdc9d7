"""What the hook before `helm uninstall` does when the API server does not answer at once. (test_chart_install.py has it
against a real one.)"""

from __future__ import annotations

import importlib.util
from types import ModuleType

import httpx2
import pytest

from tests.support.manifests import ROOT

SCRIPT = ROOT / "charts" / "agent-store" / "files" / "scripts" / "remove.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("remove", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    monkeypatch.setattr(found, "PAUSE", 0.01)
    return found


class ApiServer:
    """Fails with each of these in turn, then answers."""

    def __init__(self, *troubles: int | Exception) -> None:
        self.troubles, self.asked = list(troubles), 0

    def __call__(self) -> str:
        self.asked += 1
        if not self.troubles:
            return "an answer"
        trouble = self.troubles.pop(0)
        if isinstance(trouble, Exception):
            raise trouble
        request = httpx2.Request("GET", "https://api")
        raise httpx2.HTTPStatusError(str(trouble), request=request, response=httpx2.Response(trouble, request=request))


def test_an_api_server_that_has_no_answer_now_is_asked_again(script: ModuleType) -> None:
    server = ApiServer(429, 503, httpx2.ConnectError("refused"), 500)
    assert script.answered(server, 5.0, "absent") == "an answer"
    assert server.asked == 5


def test_what_is_not_there_is_an_answer(script: ModuleType) -> None:
    assert script.answered(ApiServer(404), 5.0, "absent") == "absent"


@pytest.mark.parametrize("status", [401, 403, 422])
def test_a_refusal_is_told_at_once(script: ModuleType, status: int) -> None:
    server = ApiServer(status)
    with pytest.raises(httpx2.HTTPStatusError):
        script.answered(server, 5.0, "absent")
    assert server.asked == 1


@pytest.mark.parametrize("trouble", [429, httpx2.ConnectError("refused")])
def test_it_does_not_ask_for_ever(script: ModuleType, trouble: int | Exception) -> None:
    with pytest.raises(httpx2.HTTPError):
        script.answered(ApiServer(*[trouble] * 1000), 0.05, "absent")
