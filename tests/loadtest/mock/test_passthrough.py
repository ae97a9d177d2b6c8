"""What a gateway only passes through: uploads measured, downloads and speech in binary."""

import base64
import hashlib

import openai

from loadtest.mock import MockProvider


async def test_files_audio_images(client: openai.AsyncOpenAI, mock: MockProvider) -> None:
    made = await client.files.create(file=("a.bin", b"\x00" * 300_000), purpose="user_data")
    assert made.bytes > 300_000
    content = await client.files.with_raw_response.content("file-x", extra_query={"bytes": 200_000})
    assert content.content == (bytes(range(256)) * 800)[:200_000]
    speech = await client.audio.speech.create(model="tts", voice="alloy", input="hi")
    assert len(speech.content) == 32 * 1024
    image = await client.images.generate(model="img", prompt="a cat", n=2)
    assert image.data is not None
    assert base64.b64decode(image.data[0].b64_json or "").startswith(b"\x89PNG")
    assert {r.operation for r in mock.requests} == {"files", "audio", "images"}


async def test_an_upload_is_measured_not_kept(client: openai.AsyncOpenAI, mock: MockProvider) -> None:
    body = b"z" * 100_000
    raw = await client.post(
        "/batches/x", content=body, cast_to=dict[str, object], options={"headers": {"content-type": "image/png"}}
    )
    assert raw["sha256"] == hashlib.sha256(body).hexdigest()
    assert raw["bytes"] == len(body)
