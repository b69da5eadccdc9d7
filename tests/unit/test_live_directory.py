"""The directory's file: services, brands and the shared number, read live, and never worse than before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from agent_store.adapters.directory import FileDirectory, OwnBrand
from agent_store.adapters.live_directory import LAG, DirectoryFile, LiveDirectory
from agent_store.adapters.services import Services
from agent_store.contracts.brands import Brand
from agent_store.entrypoints import assets
from agent_store.kernel.errors import InvalidInput
from tests.support.directory import brand, directory_text, put
from tests.support.events_http import CountedMetrics

PROMPTS = assets.folder("prompts")
FASHION, PETS = brand("fashion", "1001"), brand("pets", "1009")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return put(tmp_path / "mounted" / "directory.yaml", directory_text(FASHION))


def live(path: Path, kept: Path | None = None, metrics: CountedMetrics | None = None) -> tuple[LiveDirectory, Services]:
    file = DirectoryFile(path, PROMPTS, kept=kept, metrics=metrics)
    return LiveDirectory(file, PROMPTS), Services(lambda: file.look().services)


def test_brands_numbers_and_services_are_read_from_one_file(path: Path) -> None:
    directory, services = live(path)
    assert [one.id for one in directory.brands()] == ["fashion"]
    found = directory.by_number("1001")
    assert found is not None
    assert found.id == "fashion"
    assert directory.is_known("1000"), "the shared number"
    assert directory.by_number("1000") is None
    assert not directory.is_known("1009")
    assert directory.shared.name == "Agent Store"
    assert directory.house_prompt()
    assert services.url_of_consumer("seller/fashion") == "http://ai-seller-fashion.test"


def test_a_brand_comes_and_goes_without_a_restart(path: Path) -> None:
    directory, services = live(path)
    put(path, directory_text(FASHION, PETS))
    assert directory.by_number("1009") is not None
    assert services.url_of_consumer("seller/pets") == "http://ai-seller-pets.test"
    put(path, directory_text(PETS))
    assert directory.brand("fashion") is None
    assert not directory.is_known("1001")
    assert services.url_of_consumer("seller/fashion") is None


def test_a_brand_without_words_of_its_own_has_those_of_the_folder_of_prompts(path: Path) -> None:
    directory, _ = live(path)
    shipped = FileDirectory(assets.folder("data"), PROMPTS).brand("fashion")
    found = directory.brand("fashion")
    assert found is not None
    assert shipped is not None
    assert (found.prompt, found.greeting) == (shipped.prompt, shipped.greeting)


def test_what_a_newer_operator_adds_is_passed_over(path: Path) -> None:
    value = yaml.safe_load(directory_text({**FASHION, "loyalty": {"points": 3}}))
    value["regions"] = ["br"]
    value["services"]["ai-seller-fashion"]["weight"] = 5
    put(path, yaml.safe_dump(value))
    directory, _ = live(path)
    assert directory.brand("fashion") is not None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("brands: {", "is no YAML"),
        ("[]", "a mapping is expected"),
        (directory_text({"id": "Fashion", "name": "x", "seller": "y"}), r"brands\.0\.id"),
        (directory_text(FASHION, FASHION), "defined twice"),
        (directory_text(FASHION, brand("pets", "1001")), "1001 is fashion's and pets's"),
        (directory_text(brand("pets", "1000")), "1000 is the shared one"),
        ("services: {a: {url: 'http://a', consumers: [x]}, b: {url: 'http://b', consumers: [x]}}", "one service each"),
    ],
)
def test_a_file_that_makes_no_sense_stops_the_start_and_changes_nothing_later(
    path: Path, text: str, sentence: str
) -> None:
    metrics = CountedMetrics()
    directory, services = live(path, metrics=metrics)
    put(path, text)
    with pytest.raises(InvalidInput, match=sentence):
        live(path)
    for _ in range(3):
        assert [one.id for one in directory.brands()] == ["fashion"]
        assert services.url_of_consumer("seller/fashion")
    assert metrics.counted == {"directory_file_bad": 1}


def test_an_absent_file_stops_the_start_unless_it_can_come(tmp_path: Path) -> None:
    mounted, kept = tmp_path / "mounted" / "directory.yaml", tmp_path / "directory.yaml"
    with pytest.raises(InvalidInput, match="cannot be read"):
        DirectoryFile(mounted, PROMPTS)
    metrics = CountedMetrics()
    file = DirectoryFile(mounted, PROMPTS, kept=kept, metrics=metrics)
    directory = LiveDirectory(file, PROMPTS)
    assert not file.known
    assert list(directory.brands()) == []
    put(mounted, directory_text(FASHION))
    assert file.known
    assert directory.brand("fashion") is not None
    assert metrics.counted == {}


# --- what is kept ----------------------------------------------------------------------------------------------------


async def test_what_is_kept_is_read_in_place_of_what_is_mounted_and_outlives_the_process(path: Path) -> None:
    kept = path.parent.parent / "directory.yaml"
    file = DirectoryFile(path, PROMPTS, kept=kept)
    directory = LiveDirectory(file, PROMPTS)
    await file.keep(directory_text(FASHION, PETS))
    assert directory.brand("pets") is not None
    put(path, directory_text(FASHION), at=os.stat(kept).st_mtime - 1)  # the kubelet is late
    assert directory.brand("pets") is not None
    again, _ = live(path, kept)
    assert again.brand("pets") is not None, "the next process of this pod begins with it"


async def test_a_mounted_file_that_is_newer_is_begun_with(path: Path) -> None:
    kept = put(path.parent.parent / "directory.yaml", directory_text(FASHION))
    put(path, directory_text(PETS), at=os.stat(kept).st_mtime + 10)
    directory, _ = live(path, kept)
    assert [one.id for one in directory.brands()] == ["pets"]


@pytest.mark.parametrize("seconds", [-10, 10])
def test_of_two_files_the_one_that_can_be_read_is_begun_with(path: Path, seconds: int) -> None:
    kept = put(path.parent.parent / "directory.yaml", directory_text(FASHION))
    put(path, "brands: {", at=os.stat(kept).st_mtime + seconds)
    directory, _ = live(path, kept)
    assert directory.brand("fashion") is not None
    put(kept, "brands: {")
    put(path, directory_text(PETS), at=os.stat(kept).st_mtime + seconds)
    directory, _ = live(path, kept)
    assert directory.brand("pets") is not None


async def test_what_is_broken_is_not_kept(path: Path) -> None:
    kept = path.parent.parent / "directory.yaml"
    file = DirectoryFile(path, PROMPTS, kept=kept)
    with pytest.raises(InvalidInput, match="no YAML"):
        await file.keep("brands: {")
    assert not kept.exists()
    assert "fashion" in file.look().brands


async def test_while_nobody_tells_of_changes_the_mounted_file_counts_when_it_is_newer_for_sure(path: Path) -> None:
    kept = path.parent.parent / "directory.yaml"
    file = DirectoryFile(path, PROMPTS, kept=kept)
    await file.keep(directory_text(FASHION))
    heard = os.stat(kept).st_mtime
    put(path, directory_text(PETS), at=heard + LAG - 1)  # may be from before
    await file.fall_back(heard)
    assert list(file.look().brands) == ["fashion"]
    put(path, directory_text(PETS), at=heard + LAG + 1)
    await file.fall_back(heard)
    assert list(file.look().brands) == ["pets"]
    version = file.version
    os.utime(kept, (heard + LAG + 2, heard + LAG + 2))
    await file.fall_back(heard)
    assert file.look().brands.keys() == {"pets"}
    assert file.version - version <= 1, "once is enough"


# --- a brand's own seller --------------------------------------------------------------------------------------------


def test_a_seller_knows_its_own_brand_before_it_is_listed_and_routing_does_not(path: Path) -> None:
    inner, _ = live(path)
    own = OwnBrand(inner, "pets", brand=Brand.model_validate(PETS), prompt="You are Rex.")
    found = own.brand("pets")
    assert found is not None
    assert (found.name, found.prompt) == ("Pets", "You are Rex.")
    assert [one.id for one in own.brands()] == ["fashion"]
    assert own.by_number("1009") is None
    assert own.brand("fashion") == inner.brand("fashion")
    assert own.brand("tech") is None


def test_a_listed_brand_is_dressed_in_the_prompts_of_its_process(path: Path) -> None:
    inner, _ = live(path)
    own = OwnBrand(inner, "fashion", prompt="stable", canary_prompt="canary", canary_percent=30)
    found = own.brand("fashion")
    assert found is not None
    assert (found.prompt, found.canary_prompt, found.canary_percent) == ("stable", "canary", 30)
    put(path, directory_text({**FASHION, "seller": "Nina"}))
    renamed = own.brand("fashion")
    assert renamed is not None
    assert (renamed.seller, renamed.prompt) == ("Nina", "stable")
