"""The whole written configuration, section by section, as a person edits it. `compile.py` makes the snapshot of it.

Every field has a description: `tollway check --schema` and the table in `docs/configuration.md` are printed from here.
"""

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    WithJsonSchema,
    model_validator,
)

from gateway.settings.schema_base import (
    Count,
    Duration,
    Name,
    Off,
    OptionalSecret,
    Percent,
    Secret,
    Section,
    Size,
    duration,
    is_text,
    kind_of,
    percent,
    secret,
    section,
    size,
    url_of,
)
from gateway.settings.schema_base import ModelName as ModelName
from gateway.settings.schema_guardrails import RuleSection
from gateway.settings.schema_incidents import IncidentsSection
from gateway.settings.schema_limits import LimitsSection
from gateway.settings.schema_routes import ModelSection, ProviderSection
from gateway.settings.schema_teams import KeyHash, PolicyNames, TeamSection
from gateway.settings.schema_telemetry import TelemetrySection
from gateway.settings.schema_webhooks import WebhookSection

LEAST_SECRET = 16
"""Bytes of `secrets.key_hash`."""


def _kind(value: object) -> str:
    return "<text>" if is_text(value) else "<mapping>"


def _check_version(value: object) -> object:
    if value not in (1, "1"):
        raise ValueError("this version of the configuration is not known; allowed is 1")
    return 1


def _check_server_secret(secret: SecretStr | None) -> SecretStr | None:
    if secret is not None and len(secret.get_secret_value().encode()) < LEAST_SECRET:
        raise ValueError(f"this secret is too short; allowed are {LEAST_SECRET} bytes or more")
    return secret


class ServerSection(Section):
    """How the gateway listens. `host`, `port`, `workers`, `max_headers`, `keep_alive` and `runtime_dir` are read at the
    start only; the rest follows a reload."""

    host: str = Field("0.0.0.0", min_length=1, description="Address to listen on.")  # noqa: S104 - a gateway serves others
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    workers: int = Field(1, ge=1, le=256, description="Worker processes.")
    max_body: Size = size("20MiB", "Largest JSON request body.", ge=1024)
    max_values: Count = Field(
        1_000_000,
        ge=1_000,
        description="Values that a JSON request body of more than 256KiB may have, those inside of others too: "
        "strings, numbers, arrays and objects. Reading them takes time in which nobody else is served.",
    )
    max_upload: Size = size("512MiB", "Largest body that is passed through as a stream (files, audio).", ge=1024)
    max_headers: Size = size("64KiB", "Largest request head.", ge=1024)
    max_event: Size = size("1MiB", "Largest server-sent event of a provider.", ge=1024)
    notice: Duration = duration(
        "0s", "How long after SIGTERM requests are still taken, while /readyz says no: for load balancers to notice."
    )
    drain: Duration = duration("30s", "How long open requests may run on after that.")
    header_timeout: Duration = duration("10s", "From a request's first byte to the end of its head.", gt=0)
    body_timeout: Duration = duration("30s", "Between two pieces of a request body.", gt=0)
    body_rate: Size = size(
        "512B",
        "Least average rate of a request body, bytes a second, once it has been waited for as long as `body_timeout`; "
        "time in which the gateway does not read is not counted. 0: only `body_timeout` holds.",
    )
    body_total: Duration = duration(
        "1h", "How long a whole request body may be waited for, at whatever rate it comes. 0: for ever."
    )
    keep_alive: Duration = duration("75s", "How long an idle client connection is kept.", gt=0)
    ping: Duration = duration(
        "15s", "A stream that is quiet for so long gets a comment, so that proxies keep it.", gt=0
    )
    runtime_dir: str = Field("var/run", min_length=1, description="Where running workers leave their state files.")


class SecretsSection(Section):
    """Where values may come from, and the secret that key hashes are made with."""

    from_: list[Literal["env", "file"]] = Field(
        ["env", "file"], alias="from", description="Sources of variables: env for ${env:NAME}, file for ${file:/path}."
    )
    key_hash: Annotated[OptionalSecret, AfterValidator(_check_server_secret)] = Field(
        None,
        description=f"Server secret of HMAC key hashes, {LEAST_SECRET} bytes or more. Needed for `tollway keys` and "
        "for hmac: hashes. Changing it makes every such key invalid.",
    )
    previous_key_hash: Annotated[OptionalSecret, AfterValidator(_check_server_secret)] = Field(
        None,
        description="What key_hash was before. Digests that `allow: {digests: …}` of a guardrail took over then still "
        "match; keys and pseudonyms made with it do not.",
    )


class FindingsSection(Section):
    """The findings log: what guardrails found on live traffic, with offsets and keyed digests, and without any text."""

    sample: Percent = percent("100%", "Share of the exchanges with findings that are logged.", gt=0, le=1)
    most: int = Field(50, ge=1, le=1000, description="Findings kept of one exchange; more are counted and dropped.")
    retention: Duration = duration("30d", "Age at which findings are deleted. Reviews stay.", gt=0)


class LedgerSection(Section):
    """The books: journal files first, loaded into a database."""

    url: Annotated[
        Secret,
        url_of("sqlite", "postgresql", "postgresql+psycopg", example="sqlite:///PATH and postgresql://USER@HOST/DB"),
    ] = secret("sqlite:///var/tollway.db", "Database: sqlite:///PATH or postgresql://….")
    journal: str = Field("var/journal", min_length=1, description="Directory of the append-only journal files.")
    fsync: Duration = duration("1s", "How often the journal is synced to disk; what a power failure may lose.")
    segment: Size = size("64MiB", "Size at which a journal file is closed and the next one begun.", ge=4096)
    retention: Duration = duration("90d", "Age at which raw events are deleted; roll-ups stay.", gt=0)
    on_full: Literal["refuse", "serve"] = Field(
        "refuse", description="When the journal cannot be written: refuse new requests (503), or serve them unrecorded."
    )
    findings: Annotated[
        Annotated[Off, Tag("<text>")] | Annotated[FindingsSection, Tag("<mapping>")], Discriminator(_kind)
    ] = Field(
        "off",
        description="The findings log of guardrails, for the review queue and `tollway guardrails diff --shadow-log`; "
        "{} turns it on.",
    )


class AdminKeySection(Section):
    """A key of the admin API and the console."""

    id: Name = Field(description="Name of the key in logs; unique among admin keys.")
    role: Literal["admin", "finops", "oncall", "viewer"] = Field(description="What it may do.")
    hash: KeyHash = Field(description="sha256:HEX or hmac:HEX, as for virtual keys.")


class AdminSection(Section):
    """The admin API."""

    keys: list[AdminKeySection] = Field([], description="Its keys. None: the admin API refuses everyone.")


class Root(Section):
    """The configuration of one gateway."""

    version: Annotated[int, BeforeValidator(_check_version), WithJsonSchema({"const": 1})] = Field(
        1, description="Version of this format: 1."
    )
    include: Annotated[
        Annotated[str, Tag("<text>")] | Annotated[list[str], Tag("<mapping>")], Discriminator(kind_of)
    ] = Field([], description="Files or patterns, relative to this file, merged into this tree.")
    server: ServerSection = section(ServerSection, "How the gateway listens.")
    secrets: SecretsSection = section(SecretsSection, "Variables, and the key hash secret.")
    providers: dict[Name, ProviderSection] = Field({}, description="Model providers by name.")
    passthrough: Name | None = Field(
        None,
        description="Provider of operations that name no model (files, batches, …). Default: the first provider. "
        "Operations of the other dialect go to the first provider that speaks it, if there is one.",
    )
    models: dict[ModelName, ModelSection] = Field(
        {}, description="Model names that clients may use. A name may end with *: the longest match wins."
    )
    teams: dict[Name, TeamSection] = Field({}, description="Teams by name.")
    guardrails: dict[Name, list[RuleSection]] = Field(
        {}, description="Guardrail policies by name, each a list of rules. Teams name the ones that hold for them."
    )
    baseline: PolicyNames = Field(
        [], description="Guardrail policy that holds for every team, or a list of policies, beside the teams' own."
    )
    prices: Annotated[
        Annotated[str, Tag("<text>")] | Annotated[dict[str, object], Tag("<mapping>")], Discriminator(kind_of)
    ] = Field({}, description="Own prices over the public catalogue: a file, or written here; off: nothing is priced.")
    ledger: Annotated[
        Annotated[Off, Tag("<text>")] | Annotated[LedgerSection, Tag("<mapping>")], Discriminator(kind_of)
    ] = section(LedgerSection, "The books; off: nothing is recorded.")
    limits: LimitsSection = section(LimitsSection, "Limits and budgets: rules, defaults, and where they are counted.")
    webhooks: list[WebhookSection] = Field([], description="Who is told when a budget comes to its end.")
    incidents: Annotated[
        Annotated[Off, Tag("<text>")] | Annotated[IncidentsSection, Tag("<mapping>")], Discriminator(kind_of)
    ] = section(IncidentsSection, "The incident detector; off: none.")
    telemetry: TelemetrySection = section(TelemetrySection, "Metrics, logs, traces.")
    admin: AdminSection = section(AdminSection, "The admin API.")

    @model_validator(mode="after")
    def _baseline_of_teams(self) -> Self:
        for team in self.teams.values():
            team.stand_on(self.baseline)
        return self
