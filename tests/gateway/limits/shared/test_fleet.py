"""Where counters live: a master among several, the one sentinels name, a Cluster whose slots move; TLS, ACL users."""

import ssl
from pathlib import Path

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.clock import SystemClock
from gateway.limits.shared.address import AddressError, parse_address
from gateway.limits.shared.fleet import slot_of
from gateway.limits.shared.redis_open import SharedStore
from gateway.limits.stores import open_store
from gateway.quota import NOTHING, Admitted, Bound, Charge, Refused
from tests.gateway.limits.helpers import LIFE, States, budget, holds, opened, until
from tests.support.redis_servers import (
    Connection,
    RedisServer,
    cluster,
    free_port,
    in_step,
    replicated,
    running,
    sentinel,
)

PATIENCE = 0.05


def spending(nanos: int) -> Charge:
    return Charge(nanos=nanos)


async def test_the_master_among_several_places(tmp_path: Path) -> None:
    with replicated(tmp_path) as (master, replica):
        url = f"redis://127.0.0.1:{replica.port},127.0.0.1:{master.port}"
        bound, states = budget(1000), States()
        async with opened(url, patience=PATIENCE, states=states) as store:
            await store.admit("a", [bound], spending(100), LIFE)
            store.settle("a", spending(80))
            await holds(store, bound, 80)
            await store.admit("b", [bound], spending(100), LIFE)
            await until(lambda: in_step(master, replica), "replication")
            master.stop()
            await until(lambda: not store.up, "the store to notice")
            assert isinstance(await store.admit("c", [bound], spending(7), LIFE), Admitted)
            replica.ask("REPLICAOF", "NO", "ONE")
            await until(lambda: store.up, "the store to find the new master")
            for hold in "bc":
                store.settle(hold, spending(5))
            await holds(store, bound, 80 + 5 + 5)


async def test_a_master_that_was_demoted_is_left(tmp_path: Path) -> None:
    with replicated(tmp_path) as (master, replica):
        url = f"redis://127.0.0.1:{master.port},127.0.0.1:{replica.port}"
        bound = budget(1000)
        async with opened(url, patience=PATIENCE) as store:
            await store.admit("a", [bound], spending(100), LIFE)
            await until(lambda: in_step(master, replica), "replication")
            replica.ask("REPLICAOF", "NO", "ONE")
            master.ask("REPLICAOF", "127.0.0.1", replica.port)
            await store.admit("b", [bound], spending(10), LIFE)
            await until(lambda: store.up and store.gauges().connections >= 2, "the new master")
            store.settle("b", spending(10))
            await until(lambda: not len(store.arrears), "what was owed to be told")
            await holds(store, bound, 10, 100)


async def test_sentinels_name_the_master(tmp_path: Path) -> None:
    with replicated(tmp_path) as (master, replica), sentinel(tmp_path / "sentinel", master) as watcher:
        unreachable = free_port()
        url = f"redis+sentinel://127.0.0.1:{unreachable},127.0.0.1:{watcher.port}/tollway"
        bound = budget(1000)
        async with opened(url, patience=PATIENCE) as store:
            await until(lambda: b"num-slaves" in str(watcher.ask("SENTINEL", "MASTERS")).encode(), "sentinel")
            await until(lambda: watcher.ask("SENTINEL", "REPLICAS", "tollway"), "the sentinel to know the replica")
            await store.admit("a", [bound], spending(100), LIFE)
            await until(lambda: in_step(master, replica), "replication")
            master.stop()
            await until(lambda: not store.up, "the store to notice")
            await until(lambda: store.up, "the promotion of the replica")
            store.settle("a", spending(60))
            await holds(store, bound, 60)


async def test_groups_of_a_cluster_are_asked_in_turn_and_all_or_none_is_taken(redis_cluster: list[RedisServer]) -> None:
    team, whole = budget(1000), budget(300, group="g")
    assert slot_of(team.group) != slot_of(whole.group)
    async with opened(f"redis+cluster://127.0.0.1:{redis_cluster[1].port}") as store:
        bounds = [team, whole]
        assert isinstance(await store.admit("a", bounds, spending(200), LIFE), Admitted)
        decision = await store.admit("b", bounds, spending(200), LIFE)
        assert isinstance(decision, Refused)
        assert decision.bound == whole
        for bound in bounds:
            await holds(store, bound, 0, 200)
        # The same hold may come again: a refusal leaves no mark.
        assert isinstance(await store.admit("b", bounds, spending(100), LIFE), Admitted)
        store.settle("a", spending(50))
        store.settle("b", NOTHING)
        for bound in bounds:
            await holds(store, bound, 50)


async def test_slots_that_move(redis_cluster: list[RedisServer]) -> None:
    """MOVED: the store follows, within the same request."""
    bound = budget(1000)
    slot = slot_of(bound.group)
    names = {server.port: str(server.ask("CLUSTER", "MYID"), "ascii") for server in redis_cluster}
    owner = next(server for server in redis_cluster if owns(server, slot))
    other = next(server for server in redis_cluster if server is not owner)
    async with opened(f"redis+cluster://127.0.0.1:{owner.port}") as store:
        # A node that imports what it is given claims it with a newer epoch: else the old owner's claim may win.
        other.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", names[owner.port])
        for server in (other, *redis_cluster):
            server.ask("CLUSTER", "SETSLOT", slot, "NODE", names[other.port])
        decision = await store.admit("a", [bound], spending(10), LIFE)
        assert isinstance(decision, Admitted)
        assert not decision.degraded
        store.settle("a", spending(4))
        await holds(store, bound, 4)
        # ASK: while the slot goes back, what is not there yet is asked for at the other end.
        fresh = same_slot(bound)
        owner.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", names[other.port])
        other.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", names[owner.port])
        for key in other.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            other.ask("MIGRATE", "127.0.0.1", owner.port, key, 0, 5000)
        decision = await store.admit("b", [fresh], spending(10), LIFE)
        assert isinstance(decision, Admitted)
        assert not decision.degraded
        for server in (owner, *redis_cluster):
            server.ask("CLUSTER", "SETSLOT", slot, "NODE", names[owner.port])
        store.settle("b", spending(7))
        await holds(store, fresh, 7)
        await holds(store, bound, 4)


def owns(server: RedisServer, slot: int) -> bool:
    port = server.port
    return any(
        first <= slot <= last and master[1] == port for first, last, master, *_ in server.ask("CLUSTER", "SLOTS")
    )


def same_slot(bound: Bound) -> Bound:
    return budget(1000, group=bound.group)


async def test_a_cluster_s_node_that_dies_takes_only_its_groups_with_it(tmp_path: Path) -> None:
    with cluster(tmp_path) as nodes:
        for node in nodes:
            node.ask("CONFIG", "SET", "cluster-require-full-coverage", "no")
        bounds = [budget(1000) for _ in range(12)]
        dead = nodes[2]
        hit = [bound for bound in bounds if owns(dead, slot_of(bound.group))]
        async with opened(f"redis+cluster://127.0.0.1:{nodes[0].port}", patience=PATIENCE) as store:
            dead.stop()
            await until(lambda: not store.up, "the store to notice")
            for bound in bounds:
                decision = await store.admit(bound.key, [bound], spending(10), LIFE)
                assert isinstance(decision, Admitted)
                assert decision.degraded == (bound in hit)
                store.settle(bound.key, spending(5))
            dead.start()
            await until(lambda: store.up and not len(store.arrears), "recovery")
            for bound in bounds:
                await holds(store, bound, 5)


async def test_tls_client_certificate_and_acl_user(tmp_path: Path) -> None:
    authority = trustme.CA()
    ours, theirs = authority.issue_cert("worker"), authority.issue_cert("localhost")
    files = {name: str(tmp_path / f"{name}.pem") for name in ("ca", "server", "client")}
    authority.cert_pem.write_to_path(files["ca"])
    theirs.private_key_and_cert_chain_pem.write_to_path(files["server"])
    ours.private_key_and_cert_chain_pem.write_to_path(files["client"])
    port = free_port()
    options = (
        "--port", "0", "--tls-port", str(port), "--tls-cert-file", files["server"], "--tls-key-file", files["server"],
        "--tls-ca-cert-file", files["ca"], "--tls-auth-clients", "yes",
        "--aclfile", str(tmp_path / "users.acl"),
    )  # fmt: skip
    (tmp_path / "users.acl").write_text(
        "user tollway on >s3cr%t ~tollway:* -@all +@scripting +@hash +@sortedset +time +ping +del +pexpire +pexpireat"
        " +persist\nuser default off\n"
    )
    with running(tmp_path / "redis", *options, port=port):
        query = f"ca={files['ca']}&cert={files['client']}"
        bound = budget(1000)
        async with opened(f"rediss://tollway:s3cr%25t@localhost:{port}?{query}&prefix=tollway") as store:
            assert isinstance(await store.admit("a", [bound], spending(10), LIFE), Admitted)
            store.settle("a", spending(3))
            await holds(store, bound, 3)


async def test_a_certificate_that_is_not_trusted_and_a_wrong_password_are_said(tmp_path: Path) -> None:
    with running(tmp_path / "redis", "--requirepass", "right") as server:
        wrong = open_store(f"redis://:wrong@127.0.0.1:{server.port}", clock=SystemClock(), worker="w")
        assert isinstance(wrong, SharedStore)
        await until(lambda: "WRONGPASS" in wrong.gauges().reason, "the reason")
        assert "wrong@" not in wrong.gauges().reason
        await wrong.aclose()
        encrypted = open_store(f"rediss://:right@127.0.0.1:{server.port}", clock=SystemClock(), worker="w")
        assert isinstance(encrypted, SharedStore)
        await until(lambda: encrypted.gauges().reason not in ("", "not connected yet"), "the reason")
        assert not encrypted.up
        await encrypted.aclose()


async def test_a_password_that_is_changed_while_it_serves_is_said(tmp_path: Path) -> None:
    """Once, and not only that the connection was closed; when it is right again, so is the store."""
    states = States()
    with running(tmp_path / "redis", "--requirepass", "one") as server:
        url = f"redis://:one@127.0.0.1:{server.port}"
        async with opened(url, states=states) as store:
            admin = Connection(server.port)
            admin.ask("AUTH", "one")
            admin.ask("CONFIG", "SET", "requirepass", "two")
            admin.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await until(lambda: any("WRONGPASS" in reason for _, reason, _ in states.seen), "the reason to be told")
            admin.ask("CONFIG", "SET", "requirepass", "one")
            await until(lambda: store.up, "it to be there again")
            admin.close()
        assert [up for up, _, _ in states.seen[:4]] == [True, False, False, True]


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=30))
def test_slots_are_those_of_the_specification(group: str) -> None:
    """HASH_SLOT = CRC16(key) mod 16384, CRC-16/XMODEM (Redis Cluster specification); bit by bit."""
    crc = 0
    for byte in group.encode():
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    assert slot_of(group) == crc % 16384


def test_the_specification_s_example() -> None:
    """CRC16 of "123456789" is 0x31C3."""
    assert slot_of("123456789") == 0x31C3 % 16384


def test_verification_is_always_on(tmp_path: Path) -> None:
    address = parse_address("rediss://localhost")
    assert address.encryption is not None
    context = address.encryption.context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    address = parse_address(f"rediss://localhost?ca={tmp_path}/none.pem")
    assert address.encryption is not None
    with pytest.raises(AddressError, match=r"none\.pem"):
        address.encryption.context()
