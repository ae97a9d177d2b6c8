"""The routes of kill switches and incidents: a part of the table in `routes.py`."""

from gateway.admin import switches
from gateway.admin.endpoint import Endpoint, Parameter
from gateway.admin.switch_shapes import ClearSwitch, SetSwitch, SwitchList, SwitchView

_NO_LEDGER = "The gateway keeps no ledger."
_AWAY = "The ledger database is away."
_LARGE = "The body is too large."

INCIDENT_ROUTES = (
    Endpoint(
        method="GET",
        path="/admin/v1/switches",
        handler=switches.list_switches,
        summary="Kill switches that hold.",
        permission="read_incidents",
        parameters=(
            Parameter("all", "Those that ended in the last 30 days, too.", default="false", choices=("true", "false")),
        ),
        answer=SwitchList,
        refusals={409: _NO_LEDGER, 503: _AWAY},
    ),
    Endpoint(
        method="POST",
        path="/admin/v1/switches",
        handler=switches.set_switch,
        summary="Stop something, or force a fallback or a guardrail mode; in force in every worker within a second.",
        permission="manage_incidents",
        body=SetSwitch,
        answer=SwitchView,
        status=201,
        refusals={
            400: "The body is wrong, or there is nothing of this name.",
            409: _NO_LEDGER,
            413: _LARGE,
            503: _AWAY,
        },
    ),
    Endpoint(
        method="POST",
        path="/admin/v1/switches/{switch_id}/clear",
        handler=switches.clear_switch,
        summary="Take a switch back now.",
        permission="manage_incidents",
        parameters=(Parameter("switch_id", "Id of the switch, as listed.", where="path"),),
        body=ClearSwitch,
        body_required=False,
        answer=SwitchView,
        refusals={
            400: "The body is wrong.",
            404: "There is no such switch.",
            409: "It does not hold any more, or the gateway keeps no ledger.",
            413: _LARGE,
            503: _AWAY,
        },
    ),
)
