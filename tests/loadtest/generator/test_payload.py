"""The requests that are sent: every operation, mixed models and keys."""

import pytest

from loadtest.generator import LoadError, Result, Run, read_load
from loadtest.mock import MockProvider


async def _run(mock: MockProvider, text: str, keys: list[str] | None = None) -> Result:
    return await Run(read_load(text), mock.base_url, ["sk-a"] if keys is None else keys).run()


@pytest.mark.parametrize("operation", ["chat", "completions", "responses", "messages"])
@pytest.mark.parametrize("stream", [False, True])
async def test_every_operation(mock: MockProvider, operation: str, stream: bool) -> None:
    mix = f"{{operation: {operation}, stream: {str(stream).lower()}, max_tokens: 3, prompt_bytes: [10, 90]}}"
    result = await _run(mock, f"stages:\n- {{rate: 40, duration: 100ms, request: {mix}}}\n")
    stage = result.stages[0]
    assert (stage.ok, stage.failed, stage.output_tokens) == (4, 0, 12)
    assert stage.input_tokens == mock.stats.totals.input_tokens > 0


async def test_embeddings_keys_and_models_are_mixed(mock: MockProvider) -> None:
    text = """
request: {operation: embeddings, models: {one: 1, two: 1}, key_weights: [1, 1]}
stages:
  - {rate: 400, duration: 200ms}
"""
    result = await _run(mock, text, ["sk-a", "sk-b"])
    assert result.stages[0].ok == 80
    assert set(mock.stats.totals.by_model) == {"one", "two"}
    with pytest.raises(LoadError, match="2 entries for 1 keys"):
        await _run(mock, text, ["sk-a"])
