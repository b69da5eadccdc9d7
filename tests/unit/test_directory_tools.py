"""`tools.yaml` in the data folder: which brands' sellers may use which tools of added agents."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent_store.adapters.directory import FileDirectory
from agent_store.entrypoints import assets
from agent_store.kernel.errors import InvalidInput


def read(folder: Path, text: str | None) -> FileDirectory:
    if text is not None:
        (folder / "tools.yaml").write_text(text, "utf-8")
    return FileDirectory(assets.folder("data"), assets.folder("prompts"), folder / "brands")


def test_a_brand_that_comes_with_the_store_is_allowed_tools(tmp_path: Path) -> None:
    directory = read(tmp_path, 'fashion: ["gift-wrapping.*"]\ntech: []\n')
    assert {brand.id: brand.tools for brand in directory.brands() if brand.tools} == {"fashion": ("gift-wrapping.*",)}


def test_without_the_file_no_brand_has_any(tmp_path: Path) -> None:
    assert not any(brand.tools for brand in read(tmp_path, None).brands())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("shoes: []\n", "shoes: there is no such brand"),
        ("fashion: all\n", "fashion: a list"),
        ("fashion: [1]\n", "fashion: a list"),
    ],
)
def test_a_mistake_in_it_stops_the_start_with_a_sentence(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=f"tools.yaml: {why}"):
        read(tmp_path, text)
