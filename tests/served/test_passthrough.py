"""Operations that are not read: streamed through both ways, authenticated and recorded."""

import hashlib
import http.client
import json

import httpx
import psutil
import pytest
from openai import OpenAI

KEY = {"authorization": "Bearer sk-search"}


def test_a_multipart_upload_arrives_byte_for_byte(gateway) -> None:
    content = bytes(range(256)) * 4096
    client = OpenAI(base_url=gateway.v1, api_key="sk-search", max_retries=0)
    answer = client.files.with_raw_response.create(file=("a.bin", content), purpose="batch")
    assert answer.http_response.status_code == 200
    assert answer.headers["x-tollway-provider"] == "mock"


def test_a_chunked_upload_is_not_held_whole(gateway) -> None:
    size, piece = 64 * 1024 * 1024, b"x" * 65536
    process = psutil.Process(gateway.pid)
    before = process.memory_info().rss

    def pieces():
        for _ in range(size // len(piece)):
            yield piece

    headers = {**KEY, "content-type": "application/octet-stream"}
    answer = httpx.post(gateway.v1 + "/files", content=pieces(), headers=headers, timeout=60)
    assert answer.status_code == 200
    told = answer.json()
    digest = hashlib.sha256()
    for _ in range(size // len(piece)):
        digest.update(piece)
    assert told["sha256"] == digest.hexdigest()
    assert process.memory_info().rss - before < size // 2


def test_a_binary_download_is_streamed(gateway) -> None:
    with httpx.stream("GET", gateway.v1 + "/files/f1/content?bytes=5000000", headers=KEY) as answer:
        assert answer.status_code == 200
        assert sum(len(piece) for piece in answer.iter_bytes()) == 5_000_000


def test_speech_and_images(gateway) -> None:
    client = OpenAI(base_url=gateway.v1, api_key="sk-search", max_retries=0)
    assert client.audio.speech.create(model="gpt-4o-mini", voice="alloy", input="hi").read()
    assert client.images.generate(model="gpt-4o-mini", prompt="a road").data


def test_the_model_of_an_opaque_json_body_chooses_the_provider_and_is_checked(gateway, mock) -> None:
    body = {"model": "alias", "prompt": "a road"}
    answer = httpx.post(gateway.v1 + "/images/generations", json=body, headers=KEY)
    assert answer.status_code == 200
    last = httpx.get(mock.url + "/last").json()
    assert json.dumps(last["body"]).count("gpt-4o-mini")
    refused = httpx.post(
        gateway.v1 + "/images/generations",
        json={"model": "gpt-4o", "prompt": "x"},
        headers={"authorization": "Bearer sk-support"},
    )
    assert refused.status_code == 403


@pytest.mark.parametrize("path", ["/files/../models", "//files", "/files/%2e%2e/models", "/%66iles"])
def test_sly_paths_are_refused(gateway, path: str) -> None:
    host = gateway.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.putrequest("GET", "/v1" + path)
    connection.putheader("authorization", KEY["authorization"])
    connection.endheaders()
    assert connection.getresponse().status == 404


def test_without_a_key_nothing_passes(gateway) -> None:
    assert httpx.get(gateway.v1 + "/files").status_code == 401
