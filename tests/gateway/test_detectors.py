"""Detectors over reloads: what did not change is kept, what is gone is closed when nobody asks it any more, and worker
processes are replaced when the new ones are ready."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.clock import SystemClock
from gateway.detectors import Detectors
from gateway.inspection.external.config import ExternalConfig
from gateway.inspection.external.shape import Context
from gateway.inspection.ner.config import NerConfig
from gateway.settings.outside_rules import LeakConfig, OutsideRules, Source
from gateway.tasks import TaskGroup
from guardrails.interface import Segment
from tests.support.answers import chat
from tests.support.guarded import Guarded
from tests.support.outside import SAID, external, outside_configuration, outside_gateway, post, services
from tests.support.scripted import scripted
from tests.support.served import get_json, wait_for

ADMIN = {"authorization": "Bearer sk-admin"}

FAKE = "tests.support.fake_ner:model"
NAMES = NerConfig(model=FAKE, entities=("NRP",), deadline=20.0)
TEXT = [Segment("p", "user", "Zorana came")]


def rules(**configs: Any) -> OutsideRules:
    return OutsideRules(rules={}, sources={name: Source(name=name, config=config) for name, config in configs.items()})


def service(**changes: Any) -> ExternalConfig:
    fields: dict[str, Any] = {"name": "s", "kind": "webhook", "base_url": "http://127.0.0.1:9", "deadline": 5.0}
    return ExternalConfig(**fields | changes)


@asynccontextmanager
async def detectors() -> AsyncIterator[Detectors]:
    failed: list[str] = []
    tasks = TaskGroup(lambda name, error: failed.append(f"{name}: {error!r}"))
    kept = Detectors(SystemClock(), tasks)
    yield kept
    await kept.aclose()
    await tasks.close()
    assert failed == []


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


async def test_what_did_not_change_is_kept() -> None:
    """A reload keeps the caller of an unchanged detector: its connections, its breaker, its verdicts."""
    async with detectors() as kept:
        first = await kept.lease(rules(a=service(), b=service(), leak=LeakConfig()))
        assert sorted(first.by_name) == ["a", "b"]
        second = await kept.lease(rules(a=service(), b=service(deadline=9.0)))
        assert second.by_name["a"] is first.by_name["a"]
        assert second.by_name["b"] is not first.by_name["b"]
        assert (await kept.lease(second.outside)) is second


async def test_what_is_gone_is_closed_after_its_last_user(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    async with detectors() as kept:
        first = await kept.lease(rules(a=service(), b=service()))
        for name, asked in first.by_name.items():

            async def close(name: str = name) -> None:
                closed.append(name)

            monkeypatch.setattr(asked, "aclose", close)
        await kept.prepare(rules(a=service()), patient=True)
        assert closed == []
        kept.release(first)
        await until(lambda: closed)
        assert closed == ["b"]


async def test_a_lease_of_what_is_in_force_waits_for_nothing() -> None:
    async with detectors() as kept:
        outside = rules(a=service())
        await kept.prepare(outside, patient=True)
        lease = kept.lease(outside)
        with pytest.raises(StopIteration) as ended:
            lease.send(None)
        assert ended.value.value.by_name.keys() == {"a"}


async def test_many_leases_at_once_make_one_set() -> None:
    async with detectors() as kept:
        outside = rules(a=service())
        leased = await asyncio.gather(*(kept.lease(outside) for _ in range(20)))
        assert len({id(each) for each in leased}) == 1
        assert leased[0].users == 20


async def test_workers_are_replaced_when_the_new_ones_are_ready() -> None:
    async with detectors() as kept:
        await kept.prepare(rules(ner=NAMES), patient=True)
        before = kept.current["ner"]
        assert (await before.check(TEXT, Context()).report()).outcome == "ok"
        changed = rules(ner=NerConfig(model=FAKE, entities=("NRP",), deadline=19.0))
        await kept.prepare(changed, patient=False)
        leased = await kept.lease(changed)
        assert leased.by_name["ner"] is before
        await until(lambda: kept.current["ner"] is not before)
        assert (await leased.by_name["ner"].check(TEXT, Context()).report()).flagged
        after = await before.check(TEXT * 2, Context()).report()
        assert after.outcome in ("overloaded", "unavailable", "ok")


async def test_workers_that_cannot_start_are_told_and_fail(caplog: pytest.LogCaptureFixture) -> None:
    async with detectors() as kept:
        await kept.prepare(rules(ner=NerConfig(model="tests.support.fake_ner:nobody")), patient=True)
        assert "guardrail_detector_unusable" in caplog.text
        report = await kept.current["ner"].check(TEXT, Context()).report()
        assert report.outcome == "overloaded" or report.outcome == "unavailable"


async def test_a_circuit_that_opens_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with detectors() as kept:
        leased = await kept.lease(rules(a=service(failures=1, back_off=30.0)))
        asked = leased.by_name["a"]
        for _ in range(3):
            report = await asked.check(TEXT, Context()).report()
            asked.told(report)
        assert [each.message for each in caplog.records].count("guardrail_detector_open") == 1


def test_a_reload_puts_other_detectors_in_force(tmp_path: Path) -> None:
    """Without a restart: a service that moved, a rule that was not there. What did not change keeps its verdicts."""
    with services() as old, services() as new, scripted() as model:
        model.says(chat("fine"))

        def written(url: str, *more: dict) -> str:
            rules = {"moving": [external("webhook", url)], "staying": [external("presidio", old.scripted.url)]}
            return yaml.safe_dump(outside_configuration(model.url, tmp_path, {**rules, "more": list(more)}))

        gateway = outside_gateway(model.url, tmp_path, {"moving": [external("webhook", old.scripted.url)]})
        try:
            reloads(gateway, written(old.scripted.url))
            assert [post(gateway, team, SAID).status_code for team in ("moving", "staying", "more")] == [400, 400, 200]
            assert old.asked == 2
            late = {"detect": "ner", "model": FAKE, "entities": ["NRP"], "action": "mask", "mode": "enforce",
                    "deadline": "20s"}  # fmt: skip
            reloads(gateway, written(new.scripted.url, late))
            assert [post(gateway, team, SAID).status_code for team in ("moving", "staying")] == [400, 400]
            assert (old.asked, new.asked) == (2, 1)
            post(gateway, "more", "the Zorana 7 came")
            assert model.last.json["messages"][0]["content"] == "the <NRP> 7 came"
        finally:
            assert gateway.stop() == 0


def reloads(gateway: Guarded, text: str) -> None:
    """Put another configuration in force."""
    before = get_json(gateway.url + "/admin/v1/config", ADMIN)["hash"]
    gateway.config.write_text(text)
    gateway.process.send_signal(signal.SIGHUP)
    wait_for(lambda: get_json(gateway.url + "/admin/v1/config", ADMIN)["hash"] != before, "the reload")
