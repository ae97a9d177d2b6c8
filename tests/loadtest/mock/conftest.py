"""The official SDK, asking the mock."""

from collections.abc import AsyncIterator

import openai
import pytest

from loadtest.mock import MockProvider


@pytest.fixture
async def client(mock: MockProvider) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=mock.base_url, api_key="sk-mock", max_retries=0) as made:
        yield made
