"""The routes of budgets and the audit log: a part of the table in `routes.py`."""

from gateway.admin import audit, budgets
from gateway.admin.budget_shapes import (
    AdjustmentList,
    AdjustmentView,
    AuditList,
    Because,
    BudgetList,
    RaiseBudget,
    RebuildBudgets,
    RebuiltList,
)
from gateway.admin.endpoint import Endpoint, Parameter

_RULE = Parameter("rule", "Counter as listed, or a rule's id where it has but one.", where="path")
_NO_LEDGER = "The gateway keeps no ledger."
_AWAY = "The ledger database is away."
_LARGE = "The body is too large."

BUDGET_ROUTES = (
    Endpoint(
        method="GET",
        path="/admin/v1/budgets",
        handler=budgets.show_budgets,
        summary="Budgets: limit, used, reserved, forecast, and when they begin anew.",
        permission="read_budgets",
        parameters=(
            Parameter("team", "Only those within this team."),
            Parameter("all", "Rate, token and concurrency limits too.", default="false", choices=("true", "false")),
        ),
        answer=BudgetList,
        refusals={400: "A parameter is wrong, or there is no such team.", 409: _NO_LEDGER, 503: _AWAY},
    ),
    Endpoint(
        method="POST",
        path="/admin/v1/budgets/{rule}/raise",
        handler=budgets.raise_budget,
        summary="Allow more for a while; in force in every worker within a second.",
        permission="manage_budgets",
        parameters=(_RULE,),
        body=RaiseBudget,
        answer=AdjustmentView,
        status=201,
        refusals={
            400: "The body is wrong, or the rule has several counters.",
            404: "There is no such budget.",
            409: _NO_LEDGER,
            413: _LARGE,
            503: _AWAY,
        },
    ),
    Endpoint(
        method="POST",
        path="/admin/v1/budgets/{rule}/reset",
        handler=budgets.reset_budget,
        summary="Begin a calendar window anew: what was used is added to the limit until it ends.",
        permission="manage_budgets",
        parameters=(_RULE,),
        body=Because,
        answer=AdjustmentView,
        status=201,
        refusals={
            400: "The body is wrong, or the rule has several counters.",
            404: "There is no such budget.",
            409: "It rolls, nothing was used, or the gateway keeps no ledger.",
            413: _LARGE,
            503: _AWAY,
        },
    ),
    Endpoint(
        method="GET",
        path="/admin/v1/budgets/adjustments",
        handler=budgets.list_adjustments,
        summary="Raises and resets that hold.",
        permission="read_budgets",
        parameters=(Parameter("all", "Those that are over, too.", default="false", choices=("true", "false")),),
        answer=AdjustmentList,
        refusals={400: "A parameter is wrong.", 409: _NO_LEDGER, 503: _AWAY},
    ),
    Endpoint(
        method="POST",
        path="/admin/v1/budgets/adjustments/{adjustment_id}/end",
        handler=budgets.end_adjustment,
        summary="Take a raise or reset back now.",
        permission="manage_budgets",
        parameters=(Parameter("adjustment_id", "Id of the adjustment, as listed.", where="path"),),
        body=Because,
        answer=AdjustmentView,
        refusals={
            400: "The body is wrong.",
            404: "There is no such adjustment.",
            409: "It does not hold any more, or the gateway keeps no ledger.",
            413: _LARGE,
            503: _AWAY,
        },
    ),
    Endpoint(
        method="POST",
        path="/admin/v1/budgets/rebuild",
        handler=budgets.rebuild_budgets,
        summary="Set the counters to what the ledger says was used.",
        permission="manage_budgets",
        body=RebuildBudgets,
        body_required=False,
        answer=RebuiltList,
        refusals={
            400: "The body is wrong, or there is no such team.",
            409: "No limits are configured, or the gateway keeps no ledger.",
            413: _LARGE,
            503: _AWAY,
        },
    ),
    Endpoint(
        method="GET",
        path="/admin/v1/audit",
        handler=audit.show_audit,
        summary="Who changed what, when and why.",
        permission="read_audit",
        parameters=(
            Parameter("since", "From: an age (30m, 12h, 7d, 2w), a UTC date or a time.", default="30d"),
            Parameter("limit", "At most so many, the newest (1 to 1000).", default="100"),
        ),
        answer=AuditList,
        refusals={400: "A parameter is wrong.", 409: _NO_LEDGER, 503: _AWAY},
    ),
)
