"""Agents of installed packages are looked for when somebody asks for more than the store's own."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from agent_store.adapters.directory import FileDirectory
from agent_store.entrypoints import assets, rooms
from agent_store.kernel.errors import InvalidInput


@pytest.fixture
def fresh() -> Generator[None]:
    rooms.added.cache_clear()
    yield
    rooms.added.cache_clear()


@pytest.fixture
def directory() -> FileDirectory:
    return FileDirectory(assets.folder("data"), assets.folder("prompts"))


def looked() -> int:
    return rooms.added.cache_info().misses


@pytest.mark.usefixtures("fresh")
def test_a_process_of_the_stores_own_agents_starts_without_a_look_at_other_packages(directory: FileDirectory) -> None:
    names = [consumer.name for consumer in rooms.consumers_of(["orders", "seller/fashion"], directory)]
    assert names == ["orders", "seller/fashion"]
    assert looked() == 0
    assert {consumer.agent.name for consumer in rooms.consumers_of(["all"], directory)} >= set(rooms.AGENTS)
    assert looked() == 1


@pytest.mark.usefixtures("fresh")
def test_an_agent_that_no_package_brings_is_refused_with_the_names_there_are(directory: FileDirectory) -> None:
    with pytest.raises(InvalidInput, match="there is no agent 'nobody': whatsapp, conversations"):
        rooms.consumers_of(["nobody"], directory)
    assert looked() == 1
