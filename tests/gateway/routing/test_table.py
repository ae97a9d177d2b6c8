from gateway.routing.table import Provider, Route, RouteTable
from gateway.seams import Origin


def test_exact_wins_over_wildcard_and_longer_wildcards_over_shorter(target) -> None:
    table = RouteTable(
        [Route("local/special", (target("a", "s"),))],
        [Route("*", (target("c", "*"),)), Route("local/*", (target("b", "*"),))],
    )
    assert table.find("local/special").targets[0].model == "s"
    assert table.find("local/llama-3").targets[0].provider.name == "b"
    assert table.find("local/llama-3").targets[0].model == "llama-3"
    assert table.find("other").targets[0].provider.name == "c"
    assert table.find("local/llama-3").name == "local/llama-3"


def test_a_wildcard_needs_a_rest(target) -> None:
    assert RouteTable([], [Route("local/*", (target("b", "*"),))]).find("local/") is None


def test_a_wildcard_target_may_wrap_the_rest(target) -> None:
    table = RouteTable([], [Route("eu/*", (target("b", "prod-*"),))])
    assert table.find("eu/gpt").targets[0].model == "prod-gpt"


def test_streams_wait_for_their_head_no_longer_than_for_their_first_event(target) -> None:
    provider = target("a").provider
    assert provider.stream_timeouts.header == min(provider.timeouts.header, provider.timeouts.first_event)


def test_names_are_sorted_and_complete(target) -> None:
    table = RouteTable([Route("b", (target("p"),)), Route("a", (target("p"),))], [Route("c/*", (target("p", "*"),))])
    assert table.names() == ["a", "b", "c/*"]


def test_credentials_follow_the_providers_dialect_and_the_operations() -> None:
    """Anthropic's own operations are paid by x-api-key, its OpenAI-compatible ones and all else by a bearer token."""
    made = {
        wire: Provider(name="p", wire=wire, origin=Origin("http", "h", 1), base_path=b"", api_key="K").auth
        for wire in ("openai", "anthropic")
    }
    bearer, own = [(b"authorization", b"Bearer K")], [(b"x-api-key", b"K")]
    assert made["openai"] == {"openai": bearer, "anthropic": bearer}
    assert made["anthropic"] == {"openai": bearer, "anthropic": own}
    assert Provider(name="p", wire="openai", origin=Origin("http", "h", 1), base_path=b"").auth["openai"] == []


def test_a_name_a_client_chose_ends_no_line_of_the_answers_head(target) -> None:
    found = RouteTable([], [Route("*", (target("b", "*"),))]).find("m\r\nset-cookie: a\0é")
    assert found.targets[0].block.startswith(b"x-tollway-model: m??set-cookie: a??\r\n")
    assert found.targets[0].block.count(b"\n") == 2
