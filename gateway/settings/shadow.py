"""Finds out whether another package called `guardrails` stands before ours (guardrails-ai imports as that)."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import gateway
import guardrails

OTHER = "guardrails-ai"


def shadow_warnings(other: str = OTHER) -> list[str]:
    """A warning when package `other` is installed, or when `guardrails` was imported from beside something else."""
    found: list[str] = []
    try:
        version = distribution(other).version
        found.append(
            f"the package {other} {version} is installed and imports as `guardrails`, as ours does: "
            "install Tollway in an environment of its own"
        )
    except PackageNotFoundError:
        pass
    ours, theirs = Path(gateway.__file__).parent.parent, Path(guardrails.__file__ or "").parent.parent
    if ours != theirs:
        found.append("`guardrails` is imported from elsewhere than `gateway`: ours is shadowed by another package")
    return found
