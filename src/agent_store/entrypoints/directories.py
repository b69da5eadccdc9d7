"""What a process knows of the others: brands, and who runs what where. Fixed files of this package, or one that changes
while the store runs (AGENT_STORE_DIRECTORY), in a cluster watched through the API server."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from agent_store.adapters.directory import FileDirectory, OwnBrand, parse_brand, with_prompts
from agent_store.adapters.livefile import read_text
from agent_store.adapters.services import Services
from agent_store.contracts.brands import Brand, Directory
from agent_store.entrypoints import assets
from agent_store.entrypoints.rooms import A_BRAND_EACH
from agent_store.entrypoints.settings import Settings
from agent_store.kernel.errors import InvalidInput
from agent_store.kernel.metrics import Metrics

if TYPE_CHECKING:
    from agent_store.adapters.kubernetes import ConfigMapWatch, ServiceAccount
    from agent_store.adapters.live_directory import DirectoryFile

_log = structlog.get_logger("agent_store.directory")

_BEGIN_WITHIN = 2.0
"""Seconds, at random, after which a process that has a directory begins to watch it: what it was started for goes first,
and a thousand pods that start together do not ask together."""
_LOOK = 0.1


class Directories:
    """`directory` and `services` (None where neither file is set). `watch` once, when the process is ready."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        names: Sequence[str] = (),
        *,
        account: Callable[[], ServiceAccount] | None = None,
    ) -> None:
        """`names`: what the process serves; the one brand among them is its own. Without names it sells nothing, and has
        no prompt. `account`: how it comes in at the API server (by default as its pod). Raises InvalidInput that names
        the file or the variable."""
        self._settings = settings
        self._metrics = metrics
        self._account = account
        self._watching: asyncio.Task[None] | None = None
        self._watch: ConfigMapWatch | None = None
        self.file: DirectoryFile | None = None
        prompts = assets.folder("prompts")
        self.services: Services | None
        directory: Directory
        if settings.directory:
            from agent_store.adapters.live_directory import DirectoryFile, LiveDirectory

            mounted = Path(settings.directory)
            kept = settings.data / "directory.yaml" if settings.directory_configmap else None
            file = self.file = DirectoryFile(mounted, prompts, kept=kept, metrics=metrics)
            directory = LiveDirectory(file, prompts)
            self.services = Services(lambda: file.look().services)
        else:
            directory = FileDirectory(assets.folder("data"), prompts, settings.data / "brands")
            self.services = Services(Path(settings.services), metrics=metrics) if settings.services else None
        self.directory: Directory = _with_own_brand(directory, settings, names, prompts) if names else directory

    @property
    def live(self) -> bool:
        """Brands come and go."""
        return self.file is not None

    @property
    def version(self) -> int:
        """Grows when there is something new."""
        if self.file is None:
            return 0
        self.file.look()
        return self.file.version

    @property
    def healthy(self) -> bool:
        """False when a mistake of the program has ended the watch, which only a restart brings back."""
        return self._watching is None or not self._watching.done()

    @property
    def watched(self) -> bool:
        """The API server tells of changes now."""
        return self._watch is not None and self._watch.connected

    async def there(self) -> None:
        """Until there is a directory. Without one a gateway would take every number for an unknown one."""
        if self.file is None or self.file.known:
            return
        _log.warning("directory.awaited", file=self._settings.directory, config_map=self._settings.directory_configmap)
        self.watch(within=0.0)
        while not self.file.known:
            if self._watching is not None and self._watching.done():
                self._watching.result()  # a mistake of the program
            await asyncio.sleep(_LOOK)

    def watch(self, *, within: float = _BEGIN_WITHIN) -> None:
        """Begin to watch the ConfigMap, if one is named, within so many seconds. A second call does nothing."""
        if not self._settings.directory_configmap or self._watching is not None:
            return
        self._watching = asyncio.create_task(self._follow(random.uniform(0, within)), name="directory's watch")

    async def _follow(self, pause: float) -> None:
        await asyncio.sleep(pause)
        from agent_store.adapters.kubernetes import ConfigMapWatch, ServiceAccount

        file = self.file
        assert file is not None  # noqa: S101  # the settings say so
        take: Callable[[str], Awaitable[None]] = file.keep
        self._watch = ConfigMapWatch(
            self._account or ServiceAccount.of_this_pod, self._settings.directory_configmap,
            Path(self._settings.directory).name, take=take, away=file.fall_back, metrics=self._metrics,
        )  # fmt: skip
        await self._watch.run()

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)


def _with_own_brand(directory: Directory, settings: Settings, names: Sequence[str], prompts: Path) -> Directory:
    own: Brand | None = None
    if settings.brand:
        own = with_prompts(parse_brand(json.loads(settings.brand), Path("AGENT_STORE_BRAND")), prompts)
    if settings.canary_percent and not settings.prompt_canary:
        raise InvalidInput(
            "AGENT_STORE_PROMPT_CANARY: name the file of the prompt that AGENT_STORE_CANARY_PERCENT is of"
        )
    served = {brand for agent, _, brand in (name.partition("/") for name in names) if agent in A_BRAND_EACH and brand}
    if own is not None:
        served = {own.id}
    if own is None and not settings.prompt and not settings.prompt_canary:
        return directory
    if len(served) != 1:
        raise InvalidInput(
            "AGENT_STORE_PROMPT: it is one brand's prompt: serve one, like seller/fashion, or say which in AGENT_STORE_BRAND"
        )
    return OwnBrand(
        directory, served.pop(), brand=own,
        prompt=_prompt("prompt", settings.prompt), canary_prompt=_prompt("prompt_canary", settings.prompt_canary),
        canary_percent=settings.canary_percent,
    )  # fmt: skip


def _prompt(name: str, path: str) -> str:
    if not path:
        return ""
    text = read_text(Path(path)).strip()
    if not text:
        raise InvalidInput(f"AGENT_STORE_{name.upper()}: {path} is empty")
    return text
