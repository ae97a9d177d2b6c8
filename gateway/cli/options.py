"""Options that every command spells the same way."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_CONFIG = Path("config/gateway.yaml")

ConfigOption = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="TOLLWAY_CONFIG", metavar="FILE", help="Configuration file."),
]
"""`--config FILE`, or `TOLLWAY_CONFIG`; the default is written as `= DEFAULT_CONFIG` in each command."""
