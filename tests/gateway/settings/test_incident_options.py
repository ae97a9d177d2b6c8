"""The written incident section becomes options."""

from gateway.settings.incident_options import KIND, PAGERDUTY, IncidentOptions, compile_incidents
from gateway.settings.schema_incidents import IncidentsSection

SECRET = "whsec_c29tZXRoaW5nLXRoYXQtaXMtbG9uZy1lbm91Z2g="


def test_defaults_are_those_of_the_schema() -> None:
    assert compile_incidents(IncidentsSection()) == IncidentOptions()
    assert compile_incidents("off") is None


def test_receivers() -> None:
    section = IncidentsSection.model_validate(
        {
            "notify": [
                {"url": "https://hooks.example/x", "secret": SECRET},
                {"kind": "alertmanager", "url": "http://am:9093/", "severities": ["page"]},
                {"kind": "alertmanager", "url": "http://am:9093/prefix/api/v2/alerts"},
                {"kind": "pagerduty", "routing_key": "k3y"},
            ]
        }
    )
    options = compile_incidents(section)
    assert options is not None
    assert [each.url for each in options.endpoints] == [
        "https://hooks.example/x",
        "http://am:9093/api/v2/alerts",
        "http://am:9093/prefix/api/v2/alerts",
        PAGERDUTY,
    ]
    assert [len(each.key) for each in options.endpoints] == [29, 0, 0, 0]
    assert options.endpoints[3].routing_key == "k3y"
    assert options.receivers[1].severities == {"page"}
    assert all(each.events == {KIND} for each in options.endpoints)
