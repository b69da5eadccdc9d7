"""The data folder: the secrets that the store makes up, and the lock that keeps a second store away."""

from __future__ import annotations

import fcntl
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from agent_store.adapters.directory import write_durably
from agent_store.kernel.errors import Conflict


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the store makes up once and keeps in `<data>/secrets.json` (mode 0600)."""

    staff_token: str
    app_secret: str
    verify_token: str
    access_token: str
    simulator_secret: str
    page_secret: str
    service_key: str
    payment_secret: str

    @classmethod
    def load(cls, folder: Path) -> Secrets:
        """Several processes may begin on one folder: they come to the same secrets."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "secrets.json"
        with (folder / "secrets.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known: dict[str, str] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
            values = {name: known.get(name) or secrets.token_urlsafe(24) for name in cls.__slots__}
            if values != known:
                write_durably(path, json.dumps(values, indent=2), mode=0o600)
        return cls(**values)


class DataLock:
    """One store a data folder: a second one is refused with a sentence."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "lock").open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise Conflict(f"another store runs on {folder}: stop it, or give this one another --data") from None

    def release(self) -> None:
        self._file.close()
