"""The routes of kill switches and incidents: a part of the table in `routes.py`."""

from gateway.admin import incidents, switches
from gateway.admin.endpoint import Endpoint, Parameter
from gateway.admin.incident_shapes import Comment, IncidentDetail, IncidentList, IncidentView
from gateway.admin.switch_shapes import ClearSwitch, SetSwitch, SwitchList, SwitchView

_NO_LEDGER = "The gateway keeps no ledger."
_AWAY = "The ledger database is away."
_LARGE = "The body is too large."

_INCIDENT = Parameter("incident_id", "Id of the incident, as listed.", where="path")
_NO_INCIDENT = "There is no such incident."

INCIDENT_ROUTES = (
    Endpoint(
        method="GET",
        path="/admin/v1/incidents",
        handler=incidents.list_incidents,
        summary="Incidents, newest first.",
        permission="read_incidents",
        parameters=(
            Parameter("state", "Those that are open, or all.", default="open", choices=incidents.STATES),
            Parameter("since", "Open since: an age (30m, 12h, 7d, 2w), a UTC date or a time.", default="7d"),
        ),
        answer=IncidentList,
        refusals={400: "A parameter is wrong.", 409: _NO_LEDGER, 503: _AWAY},
    ),
    Endpoint(
        method="GET",
        path="/admin/v1/incidents/{incident_id}",
        handler=incidents.show_incident,
        summary="One incident with its timeline: reloads, changes of keys and switches, credentials, comments.",
        permission="read_incidents",
        parameters=(_INCIDENT,),
        answer=IncidentDetail,
        refusals={404: _NO_INCIDENT, 409: _NO_LEDGER, 503: _AWAY},
    ),
    *(
        Endpoint(
            method="POST",
            path=f"/admin/v1/incidents/{{incident_id}}/{what}",
            handler=handler,
            summary=summary,
            permission="manage_incidents",
            parameters=(_INCIDENT,),
            body=Comment,
            body_required=what == "comment",
            answer=IncidentView,
            refusals={400: "The body is wrong.", 404: _NO_INCIDENT, 409: _NO_LEDGER, 413: _LARGE, 503: _AWAY},
        )
        for what, handler, summary in (
            ("acknowledge", incidents.acknowledge_incident, "Say that you look after it."),
            ("comment", incidents.comment_incident, "Add to the timeline."),
        )
    ),
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
