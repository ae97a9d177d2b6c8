from gateway.routing.table import Route, RouteTable


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
