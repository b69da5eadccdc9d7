"""Where the sample data and the prompts are: in a checkout beside `src/`, in an installed wheel inside the package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def folder(name: str) -> Path:
    """The folder `data` or `prompts`. Raises FileNotFoundError that names both places."""
    installed = _PACKAGE / "_assets" / name
    if installed.is_dir():
        return installed
    checkout = _PACKAGE.parent.parent / name
    if checkout.is_dir():
        return checkout
    raise FileNotFoundError(f"neither {installed} nor {checkout} is there: the installation is incomplete")
