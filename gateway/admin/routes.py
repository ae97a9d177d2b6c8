"""Every route of the admin side in one table: the application and the OpenAPI document are both made of it."""

from gateway.admin import health, keys, savings, spend, state
from gateway.admin.budget_routes import BUDGET_ROUTES
from gateway.admin.config_routes import CONFIG_ROUTES
from gateway.admin.endpoint import Endpoint, Parameter
from gateway.admin.incident_routes import INCIDENT_ROUTES
from gateway.admin.review_routes import REVIEW_ROUTES
from gateway.admin.shapes import (
    ConfigView,
    CreateKey,
    KeyList,
    KeyView,
    NewKeyView,
    ProviderList,
    Ready,
    ReloadView,
    RotateKey,
    SavingsView,
    SpendView,
)

_KEY_ID = Parameter("key_id", "Id of the key, as listed.", where="path")
_NO_LEDGER = "The gateway keeps no ledger."
_AWAY = "The ledger database is away."
_NO_KEY = "There is no such key in the ledger."

ROUTES = (
    Endpoint(method="GET", path="/healthz", handler=health.healthz, summary="Liveness.", media=("text/plain",)),
    Endpoint(
        method="GET",
        path="/readyz",
        handler=health.readyz,
        summary="Readiness with reasons; 503 while this worker should get no requests.",
        answer=Ready,
        same_shape=(503,),
    ),
    Endpoint(
        method="GET",
        path="/metrics",
        handler=health.metrics,
        summary="Prometheus metrics of all workers (OpenMetrics if asked for).",
        media=("text/plain", "application/openmetrics-text"),
        refusals={404: "Metrics are off.", 503: "The other workers' figures cannot be read."},
    ),
    Endpoint(
        method="GET",
        path="/admin/v1/config",
        handler=state.show_config,
        summary="The configuration in force.",
        permission="read_config",
        answer=ConfigView,
    ),
    Endpoint(
        method="POST",
        path="/admin/v1/reload",
        handler=state.reload,
        summary="Reload the configuration in every worker.",
        permission="reload",
        answer=ReloadView,
        refusals={409: "The file is not valid; the last good configuration stays in force."},
    ),
    Endpoint(
        method="GET",
        path="/admin/v1/providers",
        handler=state.list_providers,
        summary="Providers, their credentials' health, and connections.",
        permission="read_config",
        answer=ProviderList,
    ),
    Endpoint(
        method="GET",
        path="/admin/v1/keys",
        handler=keys.list_keys,
        summary="Virtual keys in the ledger.",
        permission="list_keys",
        answer=KeyList,
        parameters=(Parameter("team", "Only this team's."),),
        refusals={409: _NO_LEDGER, 503: _AWAY},
    ),
    Endpoint(
        method="POST",
        path="/admin/v1/keys",
        handler=keys.create_key,
        summary="Make a key; its secret is in this answer and nowhere else.",
        permission="manage_keys",
        body=CreateKey,
        answer=NewKeyView,
        status=201,
        refusals={
            400: "The body is wrong, or there is no such team.",
            409: "The gateway keeps no ledger, or has no secrets.key_hash.",
            413: "The body is too large.",
            503: _AWAY,
        },
    ),
    Endpoint(
        method="POST",
        path="/admin/v1/keys/{key_id}/revoke",
        handler=keys.revoke_key,
        summary="End a key now.",
        permission="manage_keys",
        parameters=(_KEY_ID,),
        answer=KeyView,
        refusals={404: _NO_KEY, 409: _NO_LEDGER, 503: _AWAY},
    ),
    Endpoint(
        method="POST",
        path="/admin/v1/keys/{key_id}/rotate",
        handler=keys.rotate_key,
        summary="Replace a key; the old one works on for a while.",
        permission="manage_keys",
        parameters=(_KEY_ID,),
        body=RotateKey,
        body_required=False,
        answer=NewKeyView,
        status=201,
        refusals={
            400: "The body is wrong.",
            404: _NO_KEY,
            409: "The key does not work any more or is replaced already, or there is no ledger or secrets.key_hash.",
            413: "The body is too large.",
            503: _AWAY,
        },
    ),
    Endpoint(
        method="GET",
        path="/admin/v1/spend",
        handler=spend.show_spend,
        summary="Requests, tokens and cost, grouped and filtered.",
        permission="read_spend",
        parameters=spend.PARAMETERS,
        answer=SpendView,
        media=("text/csv", "application/vnd.apache.parquet"),
        refusals={400: "A parameter is wrong.", 409: _NO_LEDGER, 503: _AWAY},
    ),
    *CONFIG_ROUTES,
    Endpoint(
        method="GET",
        path="/admin/v1/savings",
        handler=savings.show_savings,
        summary="Where money could be saved, with the evidence.",
        permission="read_spend",
        answer=SavingsView,
        refusals={409: _NO_LEDGER, 503: _AWAY},
    ),
    *BUDGET_ROUTES,
    *INCIDENT_ROUTES,
    *REVIEW_ROUTES,
)
