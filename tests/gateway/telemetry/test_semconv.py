"""The table of names, held against the packages of OpenTelemetry itself."""

import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes, openai_attributes
from opentelemetry.semconv.attributes import error_attributes, http_attributes, server_attributes

from gateway.telemetry import semconv
from gateway.telemetry.semconv import OPERATIONS, SEMCONVS, TABLE, Names, names_of, provider_name

PUBLISHED = {
    value
    for module in (gen_ai_attributes, openai_attributes, error_attributes, http_attributes, server_attributes)
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, str)
}
RENAMED = {"gen_ai.usage.cache_creation.input_tokens": "gen_ai.usage.cache_write.input_tokens"}


def test_every_name_of_1_41_is_in_the_published_package() -> None:
    assert {old for old, _ in TABLE.values() if old} <= PUBLISHED
    constants = (semconv.SERVER_ADDRESS, semconv.SERVER_PORT, semconv.ERROR_TYPE, semconv.HTTP_METHOD)
    assert {*constants, semconv.HTTP_STATUS, semconv.HTTP_RESENDS} <= PUBLISHED
    well_known = {value.value for value in gen_ai_attributes.GenAiOperationNameValues}
    assert set(OPERATIONS.values()) <= well_known


def test_the_latest_version_renames_one_and_adds_modalities() -> None:
    """https://github.com/open-telemetry/semantic-conventions-genai : cache_creation became cache_write; tokens are told
    by modality."""
    changed = {old: new for old, new in TABLE.values() if old and old != new}
    assert changed == RENAMED
    added = {new for old, new in TABLE.values() if not old}
    assert all(name.startswith(("gen_ai.usage.audio.", "gen_ai.usage.image.")) for name in added)


@pytest.mark.parametrize("version", SEMCONVS)
def test_every_name_has_its_row(version: semconv.Semconv) -> None:
    assert list(TABLE) == list(Names.__struct_fields__)
    names = names_of(version)
    assert names.operation == ("gen_ai.operation.name",)
    old, new = TABLE["cache_write"]
    assert names.cache_write == {"v1_41": (old,), "latest": (new,), "both": (old, new)}[version]
    assert names.input_audio == (() if version == "v1_41" else ("gen_ai.usage.audio.input_tokens",))


@pytest.mark.parametrize(
    ("host", "dialect", "name"),
    [
        ("api.openai.com", "openai", "openai"),
        ("api.anthropic.com", "anthropic", "anthropic"),
        ("acme.openai.azure.com", "openai", "azure.ai.openai"),
        ("europe-west1-aiplatform.googleapis.com", "openai", "gcp.vertex_ai"),
        ("aiplatform.googleapis.com", "openai", "gcp.vertex_ai"),
        ("bedrock-runtime.eu-west-1.amazonaws.com", "openai", "aws.bedrock"),
        ("api.mistral.ai", "openai", "mistral_ai"),
        ("api.openai.com.evil.example", "openai", "openai"),
        ("notapi.groq.com", "openai", "openai"),
        ("127.0.0.1", "anthropic", "anthropic"),
    ],
)
def test_who_answers_at_a_host(host: str, dialect: str, name: str) -> None:
    assert provider_name(host, dialect) == name
    assert name in {value.value for value in gen_ai_attributes.GenAiProviderNameValues}
