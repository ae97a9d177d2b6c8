"""The real World is what the admin API asks for."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from gateway.admin.app import admin_app
from gateway.telemetry.metrics import Metrics
from gateway.world import World
from tests.gateway.admin.fakes import FakeWorld


async def test_every_page_of_the_real_world(world: FakeWorld) -> None:
    real = World(world.configuration, world.clock, world.journal, Metrics())
    transport = httpx.ASGITransport(admin_app(real))
    headers = {"x-api-key": "sk-admin"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
        for path in ("/healthz", "/readyz", "/admin/v1/config", "/admin/v1/providers", "/admin/v1/keys"):
            assert (await client.get(path)).status_code == 200, path
        assert (await client.post("/admin/v1/reload")).json()["changed"] is False
        figures = {
            sample.name: sample.value
            for family in text_string_to_metric_families((await client.get("/metrics")).text)
            for sample in family.samples
        }
    assert figures["tollway_metrics_failures_total"] == 0
    assert figures["tollway_config_reload_total"] in (0, 1)
    await real.aclose()
