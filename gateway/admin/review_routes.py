"""The routes of the findings log: a part of the table in `routes.py`."""

from gateway.admin import reviews
from gateway.admin.endpoint import Endpoint, Parameter
from gateway.admin.review_shapes import Marked, MarkValue, Reasons, ReviewQueue
from gateway.admin.reviewing import MOST, SINCE
from gateway.ledger.reviews import STATES

_NO_LEDGER = "The gateway keeps no ledger."
_AWAY = "The ledger database is away."

REVIEW_ROUTES = (
    Endpoint(
        method="GET",
        path="/admin/v1/guardrails/findings",
        handler=reviews.list_values,
        summary="What guardrails found on live traffic, by value, and the precision of rules; never any text.",
        permission="read_config",
        parameters=(
            Parameter("since", "Found since: an age (30m, 12h, 7d, 2w), a UTC date or a time.", default=SINCE),
            Parameter("state", "What was said of them.", default="open", choices=STATES),
            Parameter("team", "Only this team's."),
            Parameter("rule", "Only this rule's."),
            Parameter("type", "Only of this type."),
            Parameter("limit", "At most so many, 1 to 500.", default=str(MOST)),
            Parameter("skip", "Leave out so many first.", default="0"),
        ),
        answer=ReviewQueue,
        refusals={400: "A parameter is wrong.", 409: _NO_LEDGER, 503: _AWAY},
    ),
    Endpoint(
        method="GET",
        path="/admin/v1/guardrails/reasons",
        handler=reviews.explain,
        summary="Which rules blocked, rewrote or would have met a request, by its id; never any text.",
        permission="read_config",
        parameters=(
            Parameter("request_id", "The x-request-id of the answer, or an exchange's id."),
            Parameter("since", "Received since: an age (30m, 12h, 7d, 2w), a UTC date or a time.", default=SINCE),
        ),
        answer=Reasons,
        refusals={400: "A parameter is wrong.", 404: "The ledger has no such exchange.", 409: _NO_LEDGER, 503: _AWAY},
    ),
    Endpoint(
        method="POST",
        path="/admin/v1/guardrails/reviews",
        handler=reviews.mark_value,
        summary="Say whether what a rule found of one value is right; in the audit log.",
        permission="review_findings",
        body=MarkValue,
        answer=Marked,
        refusals={
            400: "The body is wrong.",
            404: "The rule has found nothing of this digest.",
            409: _NO_LEDGER,
            413: "The body is too large.",
            503: _AWAY,
        },
    ),
)
