"""The routes of the configuration's history: a part of the table in `routes.py`."""

from gateway.admin import config_history
from gateway.admin.config_shapes import DifferenceView, RollBack, RolledBack, VersionDetail, VersionList
from gateway.admin.endpoint import Endpoint, Parameter

_NO_LEDGER = "The gateway keeps no ledger."
_AWAY = "The ledger database is away."
_NO_VERSION = "There is no such version."

CONFIG_ROUTES = (
    Endpoint(
        method="GET",
        path="/admin/v1/config/history",
        handler=config_history.list_history,
        summary="Configurations that were in force, and those that were refused, newest first.",
        permission="read_audit",
        answer=VersionList,
        refusals={409: _NO_LEDGER, 503: _AWAY},
    ),
    Endpoint(
        method="GET",
        path="/admin/v1/config/history/{version}",
        handler=config_history.show_version,
        summary="One version with its files, secrets masked.",
        permission="read_audit",
        parameters=(Parameter("version", "Number of the version, as listed.", where="path"),),
        answer=VersionDetail,
        refusals={400: "The number is wrong.", 404: _NO_VERSION, 409: _NO_LEDGER, 503: _AWAY},
    ),
    Endpoint(
        method="GET",
        path="/admin/v1/config/diff",
        handler=config_history.show_difference,
        summary="What differs between two versions.",
        permission="read_audit",
        parameters=(
            Parameter("old", "Number of a version."),
            Parameter("new", "Number of another one. Default: the newest."),
        ),
        answer=DifferenceView,
        refusals={
            400: "A parameter is wrong.",
            404: _NO_VERSION,
            409: "The gateway keeps no ledger, or the texts were too large to be kept.",
            503: _AWAY,
        },
    ),
    Endpoint(
        method="POST",
        path="/admin/v1/config/rollback",
        handler=config_history.roll_back,
        summary="Put the files of an earlier version back, and have them in force in every worker.",
        permission="roll_back",
        body=RollBack,
        answer=RolledBack,
        refusals={
            400: "The body is wrong.",
            404: _NO_VERSION,
            409: "It cannot be rolled back to; the message says why. Nothing was changed.",
            413: "The body is too large.",
            503: _AWAY,
        },
    ),
)
