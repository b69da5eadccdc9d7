"""Settings: what the environment may say, and what it hears when it is wrong."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from agent_store.entrypoints import settings
from agent_store.entrypoints.settings import load
from agent_store.kernel.errors import InvalidInput


def test_defaults_need_nothing() -> None:
    found = load({})
    assert (found.host, found.port, found.data, found.brain, found.sample_data) == (
        "127.0.0.1", 8080, Path("var"), "rules", True,
    )  # fmt: skip


def test_variables_are_read_and_options_win_over_them() -> None:
    environment = {
        "AGENT_STORE_PORT": "9000",
        "AGENT_STORE_BRAIN": "ollama",
        "AGENT_STORE_BURST_WINDOW": "0.25",
        "HOME": "x",
    }
    found = load(environment, port=9001, host=None)
    assert (found.port, found.brain, found.burst_window) == (9001, "ollama", timedelta(seconds=0.25))


@pytest.mark.parametrize("name", ["AGENT_STORE_NO_SAMPLE_DATA", "AGENT_STORE_SAMPLE_DATA"])
def test_the_sample_data_can_be_left_out_by_either_name(name: str) -> None:
    value = "1" if "NO_" in name else "no"
    assert load({name: value}).sample_data is False
    assert load({name: ""}).sample_data is True


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PORT", "eighty", "a whole number is expected"),
        ("TURN_LIMIT", "soon", "a number is expected"),
        ("PORT", "70000", "between 0 and 65535"),
        ("BRAIN", "gpt", "one of rules, ollama, openai"),
        ("SAMPLE_DATA", "perhaps", "yes or no"),
        ("NO_SAMPLE_DATA", "perhaps", "yes or no"),
        ("PUBLIC_URL", "shop.example", "begins with http"),
        ("LOG_LEVEL", "loud", "one of debug, info, warning, error"),
        ("TURN_LIMIT", "-1", "number of seconds"),
        ("RETENTION", "0", "days from 1"),
        ("TURN_STEPS", "-2", "not be negative"),
        ("MODEL_TEMPERATURE", "9", "between 0 and 2"),
        ("CANARY_PERCENT", "101", "from 0 to 100"),
        ("CONTEXT_MESSAGES", "-1", "from 0 to 100"),
        ("QUIET_FROM", "late", "a time of day is expected, like 21:00"),
        ("CONTACTS_A_DAY", "-1", "not be negative"),
        ("BRAND", "[]", "a JSON object is expected"),
        ("BRAND", "{", "a JSON object is expected"),
    ],
)
def test_a_wrong_value_stops_the_start_with_a_sentence_that_names_the_variable(
    name: str, value: str, says: str
) -> None:
    with pytest.raises(InvalidInput, match=f"AGENT_STORE_{name}=.*{says}"):
        load({f"AGENT_STORE_{name}": value})


def test_an_unknown_variable_is_warned_of_and_those_of_the_tests_are_not() -> None:
    with pytest.warns(UserWarning, match="AGENT_STORE_PROT: there is no such setting"):
        load({"AGENT_STORE_PROT": "8081", "AGENT_STORE_TEST_REQUIRE": "all"})


def test_openai_itself_needs_a_key_and_another_server_does_not() -> None:
    with pytest.raises(InvalidInput, match="AGENT_STORE_OPENAI_API_KEY"):
        load({"AGENT_STORE_BRAIN": "openai"})
    assert load(
        {"AGENT_STORE_BRAIN": "openai", "AGENT_STORE_OPENAI_URL": "http://127.0.0.1:1234/v1/"}
    ).openai_url.endswith("/v1")


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    assert "hush" not in repr(load({"AGENT_STORE_STAFF_TOKEN": "hush", "AGENT_STORE_WHATSAPP_APP_SECRET": "hush"}))


def test_the_settings_page_of_the_docs_is_fresh() -> None:
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert page.read_text("utf-8") == settings.page(), (
        "docs/settings.md is stale: write entrypoints.settings.page() there"
    )


def test_a_triggers_request_outlives_a_turn() -> None:
    with pytest.raises(InvalidInput, match="AGENT_STORE_ANSWER_WITHIN"):
        load({"AGENT_STORE_BUS": "knative", "AGENT_STORE_ANSWER_WITHIN": "60", "AGENT_STORE_TURN_LIMIT": "60"})
    assert load({"AGENT_STORE_BUS": "knative"}).answer_within > load({}).turn_limit


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://host/store"),
        ("BUS", "kafka://host"),
        ("BUS_PREFIX", "a b"),
        ("BUS_PREFETCH", "0"),
        ("KEYS", "no-secret"),
        ("KEYS", "one:short"),
    ],
)
def test_what_several_processes_need_is_checked_at_the_start(name: str, value: str) -> None:
    with pytest.raises(InvalidInput, match=f"AGENT_STORE_{name}") as refusal:
        load({f"AGENT_STORE_{name}": value})
    assert name not in ("DATABASE_URL", "BUS", "KEYS") or value not in refusal.value.message, "a secret is not shown"


def test_a_directory_stands_in_place_of_the_services_file_and_a_config_map_holds_it() -> None:
    both = {"AGENT_STORE_DIRECTORY": "directory.yaml", "AGENT_STORE_SERVICES": "services.yaml"}
    with pytest.raises(InvalidInput, match="AGENT_STORE_SERVICES: AGENT_STORE_DIRECTORY names the services as well"):
        load(both)
    with pytest.raises(InvalidInput, match="AGENT_STORE_DIRECTORY: name the file"):
        load({"AGENT_STORE_DIRECTORY_CONFIGMAP": "agent-store-directory"})
