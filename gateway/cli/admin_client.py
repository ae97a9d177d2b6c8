"""A command's way to a running gateway's admin API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar
from urllib.parse import quote

import msgspec
import typer

from gateway.errors import TollwayError

if TYPE_CHECKING:
    from gateway.settings.load import Written

T = TypeVar("T", bound=msgspec.Struct)
PATIENCE = 30.0
"""Seconds for one answer."""

UrlOption = Annotated[
    str | None,
    typer.Option("--admin-url", metavar="URL", help="Gateway to ask. Default: the one that runs with --config."),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--admin-key",
        envvar="TOLLWAY_ADMIN_KEY",
        show_envvar=True,
        metavar="KEY",
        help="Admin key. Without one, the command works on the ledger itself.",
    ),
]


class AdminError(TollwayError):
    """The gateway could not be asked (`status` 0), or refused."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class AdminClient:
    """Asks one gateway."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self._key = key

    def get(self, path: str, shape: type[T], **query: str | None) -> T:
        """Raises `AdminError`."""
        return self._ask("GET", path, shape, {name: value for name, value in query.items() if value is not None}, None)

    def post(self, path: str, shape: type[T], body: msgspec.Struct) -> T:
        """Raises `AdminError`."""
        return self._ask("POST", path, shape, {}, msgspec.json.encode(body))

    def _ask(self, method: str, path: str, shape: type[T], query: dict[str, str], body: bytes | None) -> T:
        import httpx

        if not self._key.isascii() or not self._key.isprintable():
            raise AdminError("The admin key has characters that no key has: was it pasted whole?", 401)
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        try:
            answer = httpx.request(
                method, self.url + path, params=query, content=body, headers=headers, timeout=PATIENCE
            )
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise AdminError(f"the gateway at {self.url} cannot be asked ({type(error).__name__})") from None
        try:
            if answer.is_success:
                return msgspec.json.decode(answer.content, type=shape)
            message: str = answer.json()["error"]["message"]
        except (ValueError, KeyError, TypeError):
            raise AdminError(
                f"{self.url} answered with status {answer.status_code}, and not as a gateway does", answer.status_code
            ) from None
        raise AdminError(message, answer.status_code)


def find_gateway(written: Written, config: Path) -> str | None:
    """Where a worker that serves this configuration listens, on this machine; None: none runs."""
    from gateway.settings.state import running

    server = written.root.server
    for state in running(server.runtime_dir):
        source = Path(state.source)
        if source == config.absolute() or source.resolve() == config.resolve():
            host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(server.host, server.host)  # noqa: S104 - we only connect
            return f"http://{f'[{host}]' if ':' in host and host[0] != '[' else host}:{state.port}"
    return None


def path_of(name: str) -> str:
    """A counter's name as a part of a path."""
    return quote(name, safe="")
