"""A connection that has served the same head before, seen from its client: what is remembered changes no answer."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import yaml

from tests.support.served import key_hash

ADMIN = {"authorization": "Bearer sk-admin"}


def body(text: str, model: str = "mock-echo") -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": text}]}).encode()


def post(
    sent: bytes, key: bytes = b"sk-search", path: bytes = b"/v1/chat/completions", length: int = -1, more: bytes = b""
) -> bytes:
    length = len(sent) if length < 0 else length
    return (
        b"POST %b HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\ncontent-type: application/json\r\n%b"
        b"content-length: %d\r\n\r\n%b" % (path, key, more, length, sent)
    )


class Conversation:
    """One connection to the gateway, one answer at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, *pieces: bytes) -> tuple[int, bytes]:
        """Send, each piece in a segment of its own, and read one answer."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)
        return await self.answer()

    async def answer(self, bodiless: bool = False) -> tuple[int, bytes]:
        async with asyncio.timeout(60):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0
            )
            return int(head[9:12]), b"" if bodiless else await self.reader.readexactly(length)

    async def says(self, text: str, *pieces: bytes) -> None:
        """The answer to `pieces` is an echo of `text`."""
        status, answer = await self.ask(*pieces)
        assert (status, said(answer)) == (200, text)


def said(answer: bytes) -> str:
    return json.loads(answer)["choices"][0]["message"]["content"]


@asynccontextmanager
async def conversation(gateway, warm: bytes = b"sk-search") -> AsyncIterator[Conversation]:
    """A connection that has served one request with the head of `post`."""
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    talk = Conversation(reader, writer)
    try:
        await talk.says("first", post(body("first"), warm))
        yield talk
    finally:
        writer.close()


@pytest.mark.parametrize("size", [1, 17, 4096])
async def test_a_body_in_any_pieces_and_of_any_length(gateway, size: int) -> None:
    async with conversation(gateway) as talk:
        for text in ("second", "x" * 200, "", "é€𝄞"):
            whole = post(body(text))
            at = whole.index(b"\r\n\r\n") + 4
            await talk.says(text, whole[:at], *(whole[i : i + size] for i in range(at, len(whole), size)))
            await talk.says(text, whole)


async def test_a_body_longer_than_declared_is_followed_by_the_next_request(gateway) -> None:
    async with conversation(gateway) as talk:
        talk.writer.write(post(body("second")) + post(body("third")) + post(body("fourth"), more=b"x-other: 1\r\n"))
        for text in ("second", "third", "fourth"):
            status, answer = await talk.answer()
            assert (status, said(answer)) == (200, text)
        whole = post(body("fifth")) + post(body("sixth"))
        cut = whole.index(b"fifth")
        await talk.says("fifth", whole[:cut], whole[cut:])
        status, answer = await talk.answer()
        assert (status, said(answer)) == (200, "sixth")


async def test_what_follows_a_body_is_read_as_http_and_nothing_else(gateway) -> None:
    async with conversation(gateway) as talk:
        await talk.says("second", post(body("second")) + b"smuggled")
        async with asyncio.timeout(60):
            rest = await talk.reader.read()
        assert rest == b"", "the request is answered, what came after it never is"


async def test_a_client_that_leaves_within_its_body_reaches_no_provider(serve, own_mock) -> None:
    mock = own_mock()
    gateway = serve(upstream=mock.url)
    async with conversation(gateway) as talk:
        talk.writer.write(post(body("second"), length=9999))
        await talk.writer.drain()
    async with conversation(gateway):
        pass
    assert httpx.get(mock.url + "/stats").json()["requests"] == 2
    assert gateway.settled(3)["total"]["requests"] == 3


async def test_another_key_on_the_same_connection_is_looked_at(gateway) -> None:
    """The head remembered was authenticated; a head with another key is another head."""
    async with conversation(gateway) as talk:
        for wrong in (b"sk-searcH", b"sk-search2", b"", b"sk-nobody"):
            async with conversation(gateway) as other:
                status, answer = await other.ask(post(body("x"), wrong))
                assert status == 401, answer
        status, answer = await talk.ask(post(body("x", "gpt-4o"), b"sk-support"))
        assert (status, json.loads(answer)["error"]["code"]) == (403, "model_not_allowed")
        await talk.says("back", post(body("back")))


async def test_a_key_that_expires_between_two_requests_is_refused(serve) -> None:
    gateway = serve()
    written = yaml.safe_load(gateway.config.read_text())
    for seconds in (2, 4, 8, 16, 32):
        ends = datetime.now(UTC) + timedelta(seconds=seconds)
        name = f"sk-short-{seconds}"
        written["teams"]["search"]["keys"].append({"id": name, "hash": key_hash(name), "expires": ends.isoformat()})
        gateway.config.write_text(yaml.safe_dump(written))
        httpx.post(gateway.url + "/admin/v1/reload", headers=ADMIN).raise_for_status()
        again = post(body("again"), name.encode())
        async with conversation(gateway) as talk:
            status, _ = await talk.ask(again)
            if status == 401:
                continue  # it was over before it was used: the machine needs one that lives longer
            while status == 200:
                asked = time.time()
                status, _ = await talk.ask(again)
                assert status == 401 or asked < ends.timestamp(), "it is served after its end"
            assert status == 401
            assert time.time() >= ends.timestamp()
            return
    pytest.fail("no key was served before its end")


async def test_a_reload_between_two_requests_holds_for_the_second(serve) -> None:
    gateway = serve()
    written = yaml.safe_load(gateway.config.read_text())
    async with conversation(gateway) as talk, conversation(gateway) as revoked:
        written["teams"]["search"]["models"] = ["gpt-4o-mini"]
        gateway.config.write_text(yaml.safe_dump(written))
        httpx.post(gateway.url + "/admin/v1/reload", headers=ADMIN).raise_for_status()
        status, answer = await talk.ask(post(body("second")))
        assert (status, json.loads(answer)["error"]["code"]) == (403, "model_not_allowed")

        del written["teams"]["search"]
        gateway.config.write_text(yaml.safe_dump(written))
        httpx.post(gateway.url + "/admin/v1/reload", headers=ADMIN).raise_for_status()
        status, answer = await revoked.ask(post(body("third")))
        assert status == 401, answer


async def test_a_reload_that_moves_the_provider_moves_the_next_request(serve, own_mock) -> None:
    """What was encoded for the old provider, its credential among it, is not sent to the new one."""
    old, new = own_mock(), own_mock()
    gateway = serve(upstream=old.url)
    async with conversation(gateway) as talk:
        written = yaml.safe_load(gateway.config.read_text())
        written["providers"]["mock"] |= {"base_url": new.url + "/v1", "api_key": "sk-new-canary"}
        gateway.config.write_text(yaml.safe_dump(written))
        httpx.post(gateway.url + "/admin/v1/reload", headers=ADMIN).raise_for_status()
        await talk.ask(post(body("second")))
    last = httpx.get(new.url + "/last").json()
    headers = last["headers"].items() if isinstance(last["headers"], dict) else last["headers"]
    assert {name.lower(): value for name, value in headers}["authorization"] == key_hash("Bearer sk-new-canary")
    assert httpx.get(old.url + "/stats").json()["requests"] == 1


async def test_other_requests_between(gateway) -> None:
    async with conversation(gateway) as talk:
        get = b" /v1/models/gpt-4o HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-search\r\n\r\n"
        status, answer = await talk.ask(b"GET" + get)
        assert (status, json.loads(answer)["id"]) == (200, "gpt-4o")
        await talk.says("third", post(body("third")))
        talk.writer.write(b"HEAD" + get)
        status, _ = await talk.answer(bodiless=True)
        assert status == 200
        async with conversation(gateway) as other:
            status, answer = await other.ask(
                post(b'{"model":"text-embedding-3-small","input":"x"}', path=b"/v1/embeddings")
            )
            assert (status, json.loads(answer)["object"]) == (200, "list")
            await other.says("chat again", post(body("chat again")))
        await talk.says("chat after HEAD", post(body("chat after HEAD")))


async def test_close_is_heeded_after_a_known_head(gateway) -> None:
    async with conversation(gateway) as talk:
        await talk.says("second", post(body("second")))
        await talk.says("last", post(body("last"), more=b"connection: close\r\n"))
        async with asyncio.timeout(60):
            assert await talk.reader.read() == b""


async def test_fifty_pipelined_requests_refused_ones_among_them_are_answered_in_order(gateway) -> None:
    async with conversation(gateway) as talk:
        asked = [(f"text {n}", "mock-echo" if n % 3 else f"unknown-{n}") for n in range(50)]
        talk.writer.write(b"".join(post(body(text, model)) for text, model in asked))
        for text, model in asked:
            status, answer = await talk.answer()
            if model == "mock-echo":
                assert (status, said(answer)) == (200, text)
            else:
                assert status == 404
                assert f"'{model}'" in json.loads(answer)["error"]["message"]
        await talk.says("after", post(body("after")))


async def test_an_early_413_while_the_body_is_due_closes(serve) -> None:
    gateway = serve(server={"host": "127.0.0.1", "port": 0, "max_body": "4KiB"})
    async with conversation(gateway) as talk:
        status, answer = await talk.ask(post(b"{", length=5000))
        assert status == 413, answer
        async with asyncio.timeout(60):
            assert await talk.reader.read() == b""
