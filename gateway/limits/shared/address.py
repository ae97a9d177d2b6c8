"""Where the shared store is: the URL of a Redis server, of a Sentinel group or of a Cluster, read and checked.

    redis://[user:password@]host[:6379][,host…][/db]            a server; of several, the one that is the master
    rediss://…                                                  the same over TLS
    redis+cluster://[user:password@]host[:port][,host…]         any nodes of a Cluster; TLS with ?tls=1
    redis+sentinel://[user:password@]host[:26379][,host…]/master[/db]

    ?tls=1  ca=FILE  cert=FILE  key=FILE  server_name=NAME      TLS; `tls` is implied by rediss and by any of the others
    ?sentinel_user=NAME  sentinel_password=…                    when the sentinels ask for other credentials
    ?prefix=NAME                                                what all keys begin with; `tollway`

User, password and names are percent-encoded; an IPv6 address stands in brackets.
"""

import re
import ssl
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

Kind = Literal["server", "cluster", "sentinel"]

Place = tuple[str, int]
"""Host and port."""

_SCHEMES: dict[str, tuple[Kind, int]] = {
    "redis": ("server", 6379),
    "rediss": ("server", 6379),
    "redis+cluster": ("cluster", 6379),
    "redis+sentinel": ("sentinel", 26379),
}
_OPTIONS = ("tls", "ca", "cert", "key", "server_name", "sentinel_user", "sentinel_password", "prefix")
_PLACE = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\[\]:@/?#,\s]+))(?::(?P<port>[0-9]{1,5}))?")
_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_BOOLEANS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


class AddressError(ValueError):
    """The URL of the store is not one. Its text names the part that is wrong, and never shows a password."""


class Login(msgspec.Struct, frozen=True):
    """An ACL user (Redis 6), or the password alone of the user `default`."""

    user: str | None
    password: str

    def __repr__(self) -> str:
        return f"Login(user={self.user!r})"


class Encryption(msgspec.Struct, frozen=True):
    """TLS options. Verification is always on; `ca` replaces the system's trust store."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    server_name: str | None = None

    def context(self) -> ssl.SSLContext:
        """Blocking. Raises `AddressError` naming the option that cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:
            raise AddressError(f"cannot use ca={self.ca}: {error.strerror or 'not PEM'}") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.cert is not None:
            try:
                # An encrypted key must fail here, not ask for its pass phrase on the terminal.
                context.load_cert_chain(self.cert, self.key, password="")
            except OSError as error:
                raise AddressError(f"cannot use cert={self.cert}: {error.strerror or 'not PEM'}") from None
        return context


class Address(msgspec.Struct, frozen=True):
    """A store's URL, read."""

    kind: Kind
    places: tuple[Place, ...]
    login: Login | None = None
    db: int = 0
    master: str = ""
    """The name sentinels know the master by."""
    sentinel_login: Login | None = None
    encryption: Encryption | None = None
    prefix: str = "tollway"

    @property
    def nameless(self) -> "Address":
        """The same servers, whoever comes to them."""
        return msgspec.structs.replace(self, login=None, sentinel_login=None)

    def __str__(self) -> str:
        """For logs: no credentials."""
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.places)
        return f"{self.kind} {hosts}" + (f"/{self.master}" if self.master else "")


def parse_address(url: str) -> Address:
    """Raises `AddressError` saying what is wrong and what is allowed."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise AddressError("the store's URL is not a URL") from None
    if parts.scheme not in _SCHEMES:
        raise AddressError(f"scheme {parts.scheme!r} is not known; allowed are {', '.join(_SCHEMES)}")
    if parts.fragment:
        raise AddressError("a # is not allowed in the store's URL; in a password it is written %23")
    kind, default_port = _SCHEMES[parts.scheme]
    options = _options(parts.query)
    credentials, at, hosts = parts.netloc.rpartition("@")
    master, db = _path(kind, parts.path)
    return Address(
        kind=kind,
        places=tuple(_place(text, default_port) for text in hosts.split(",")),
        login=_login(credentials) if at else None,
        db=db,
        master=master,
        sentinel_login=_sentinel_login(kind, options),
        encryption=_encryption(options, parts.scheme == "rediss"),
        prefix=_prefix(options.get("prefix", "tollway")),
    )


def _options(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=32)
    except ValueError:
        raise AddressError("what follows ? is not name=value&name=value") from None
    options: dict[str, str] = {}
    for name, value in pairs:
        if name not in _OPTIONS:
            raise AddressError(f"option {name!r} is not known; allowed are {', '.join(_OPTIONS)}")
        if name in options:
            raise AddressError(f"option {name!r} is given twice")
        if not value:
            raise AddressError(f"option {name!r} is empty")
        options[name] = value
    return options


def _place(text: str, default_port: int) -> Place:
    found = _PLACE.fullmatch(text)
    if found is None:
        raise AddressError(f"{text!r} is no host[:port]" if text else "a host is missing")
    port = int(found["port"] or default_port)
    if not 1 <= port <= 65535:
        raise AddressError(f"port {port} is not between 1 and 65535")
    return found["six"] or found["host"], port


def _login(credentials: str) -> Login:
    user, colon, password = credentials.partition(":")
    if not colon or not password:
        raise AddressError("before @ stands user:password or :password")
    return Login(unquote(user) or None, unquote(password))


def _path(kind: Kind, path: str) -> tuple[str, int]:
    """Master name and database number."""
    rest = [unquote(part) for part in path.strip("/").split("/")] if path.strip("/") else []
    master = ""
    if kind == "sentinel":
        if not rest:
            raise AddressError("after the sentinels stands /NAME of the master")
        master = rest.pop(0)
    if not rest:
        return master, 0
    if kind == "cluster":
        raise AddressError("a Cluster has only database 0: nothing may stand after the hosts")
    if len(rest) > 1 or not re.fullmatch(r"[0-9]{1,4}", rest[0]):
        raise AddressError(f"database {'/'.join(rest)!r} is no number")
    return master, int(rest[0])


def _sentinel_login(kind: Kind, options: dict[str, str]) -> Login | None:
    user, password = options.get("sentinel_user"), options.get("sentinel_password")
    if kind != "sentinel" and (user or password):
        raise AddressError("sentinel_user and sentinel_password are for redis+sentinel:// only")
    if user and not password:
        raise AddressError("sentinel_user needs a sentinel_password")
    return Login(user, password) if password else None


def _encryption(options: dict[str, str], implied: bool) -> Encryption | None:
    wanted = options.get("tls")
    if wanted is not None and wanted not in _BOOLEANS:
        raise AddressError(f"tls={wanted} is neither 1 nor 0")
    asked = {name: options[name] for name in ("ca", "cert", "key", "server_name") if name in options}
    if wanted is not None and not _BOOLEANS[wanted]:
        if implied or asked:
            raise AddressError("tls=0 contradicts the rest of the URL")
        return None
    if "key" in asked and "cert" not in asked:
        raise AddressError("key needs a cert")
    return Encryption(**asked) if implied or asked or wanted else None


def _prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text):
        raise AddressError(f"prefix {text!r} is not 1 to 64 of A-Z a-z 0-9 _ . : -")
    return text
