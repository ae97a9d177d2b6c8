"""Charges in the columns of FOCUS, the FinOps Open Cost and Usage Specification, version 1.2 (focus.finops.org).

Which of our things is which of theirs stands in docs/decisions/0023-focus-columns.md. Every row is a charge of the
category Usage and corrects nothing, so that by the specification quantities, units and unit prices are never null, a
unit price times its quantity is the cost beside it, and ChargeClass is null. `BilledCost` and `EffectiveCost` are what
was booked, and add up to it to the nano-dollar. Columns that begin with `x_` are ours.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Context, Decimal
from fractions import Fraction
from typing import Literal

import msgspec

from gateway.ledger.charges import Charge
from gateway.ledger.export import inert
from gateway.ledger.spend import iso, usd_decimal
from pricing.apportion import WHOLE

Kind = Literal["text", "time", "money", "number", "count"]
Value = str | int | Decimal | None

COLUMNS: Mapping[str, Kind] = {
    "BilledCost": "money",
    "BillingAccountId": "text",
    "BillingAccountName": "text",
    "BillingAccountType": "text",
    "BillingCurrency": "text",
    "BillingPeriodEnd": "time",
    "BillingPeriodStart": "time",
    "ChargeCategory": "text",
    "ChargeClass": "text",
    "ChargeDescription": "text",
    "ChargeFrequency": "text",
    "ChargePeriodEnd": "time",
    "ChargePeriodStart": "time",
    "ConsumedQuantity": "number",
    "ConsumedUnit": "text",
    "ContractedCost": "number",
    "ContractedUnitPrice": "number",
    "EffectiveCost": "money",
    "InvoiceIssuerName": "text",
    "ListCost": "number",
    "ListUnitPrice": "number",
    "PricingCategory": "text",
    "PricingQuantity": "number",
    "PricingUnit": "text",
    "ProviderName": "text",
    "PublisherName": "text",
    "ResourceId": "text",
    "ResourceName": "text",
    "ResourceType": "text",
    "ServiceCategory": "text",
    "ServiceName": "text",
    "ServiceSubcategory": "text",
    "SkuId": "text",
    "SkuMeter": "text",
    "SkuPriceId": "text",
    "SubAccountId": "text",
    "SubAccountName": "text",
    "SubAccountType": "text",
    "Tags": "text",
    "x_CostBasis": "text",
    "x_EstimatedRequests": "count",
    "x_Meter": "text",
    "x_Model": "text",
    "x_Requests": "count",
    "x_ServiceTier": "text",
    "x_UnpricedRequests": "count",
}
"""Every column in order (the specification's own, then ours), and its kind. money: USD, 9 places; number: a decimal
of at most `PLACES` places; count: an integer; time: ISO 8601, UTC."""
PLACES = 21
PRICE_PLACES = 15
"""Of a unit price. A quantity has 6 at most, so that their product has `PLACES` and is written whole."""

_MILLION = 10**6
_UNITS = {
    WHOLE: ("Requests", 1),
    "request": ("Requests", 1),
    "web_search": ("Searches", 1),
    "file_search": ("Searches", 1),
    "page": ("Pages", 1),
    "character": ("Characters", _MILLION),
    "second": ("Seconds", 1),
}
"""Unit and how many of it a price is for; all other meters count tokens, priced by the million."""
_METERS = {
    "input": "Input Tokens",
    "cache_read": "Cached Input Tokens",
    "cache_write_5m": "Cache Write Tokens (5 Minutes)",
    "cache_write_1h": "Cache Write Tokens (1 Hour)",
    "input_audio": "Audio Input Tokens",
    "cache_read_audio": "Cached Audio Input Tokens",
    "input_image": "Image Input Tokens",
    "cache_read_image": "Cached Image Input Tokens",
    "input_video": "Video Input Tokens",
    "tool_input": "Tool Input Tokens",
    "output": "Output Tokens",
    "reasoning": "Reasoning Tokens",
    "citation": "Citation Tokens",
    "output_audio": "Audio Output Tokens",
    "output_image": "Image Output Tokens",
    "output_video": "Video Output Tokens",
    "web_search": "Web Searches",
    "file_search": "File Searches",
    "request": "Requests",
    "page": "Pages",
    "character": "Characters",
    "second": "Seconds",
    WHOLE: "Usage",
}
_NOBODY = "Tollway"
"""Who is named where no provider served: a name must be there, and it was the gateway that booked."""
_EXACT = Context(prec=60)
_json = msgspec.json.Encoder(order="sorted").encode


def row(charge: Charge) -> dict[str, Value]:
    """A charge in the columns of `COLUMNS`; None is null."""
    unit, per = _UNITS.get(charge.meter, ("Tokens", _MILLION))
    quantity = Decimal(charge.quantity).scaleb(0 if per == 1 else -6, _EXACT)
    contracted = _price(charge.usd, per)
    if contracted is None:
        # Of several prices together, or one that is not known: the mean of what was booked.
        contracted = _price(Fraction(charge.nanos, 10**9) / Fraction(charge.quantity), per) or Decimal(0)
    listed = _price(charge.list_usd, per)
    if listed is None:
        listed = contracted
    billed = usd_decimal(charge.nanos)
    provider, model = charge.provider or _NOBODY, charge.model or "(none)"
    sku = f"{provider}/{model}/{charge.meter}"
    begins, ends = _month(charge.start_ns)
    return {
        "BilledCost": billed,
        "BillingAccountId": provider,
        "BillingAccountName": provider,
        "BillingAccountType": "Provider",
        "BillingCurrency": "USD",
        "BillingPeriodEnd": ends,
        "BillingPeriodStart": begins,
        "ChargeCategory": "Usage",
        "ChargeClass": None,
        "ChargeDescription": f"{_METERS.get(charge.meter, charge.meter)} of {model} by {provider}",
        "ChargeFrequency": "Usage-Based",
        # "YYYY-MM-DDTHH:mm:ssZ", says the specification: whole seconds, and the end is not part of the period.
        "ChargePeriodEnd": iso(-(-charge.end_ns // 10**9) * 10**9),
        "ChargePeriodStart": iso(charge.start_ns // 10**9 * 10**9),
        "ConsumedQuantity": Decimal(charge.quantity),
        "ConsumedUnit": unit,
        "ContractedCost": _EXACT.multiply(contracted, quantity),
        "ContractedUnitPrice": contracted,
        "EffectiveCost": billed,
        "InvoiceIssuerName": provider,
        "ListCost": _EXACT.multiply(listed, quantity),
        "ListUnitPrice": listed,
        "PricingCategory": "Standard",
        "PricingQuantity": quantity,
        "PricingUnit": unit if per == 1 else f"{per} {unit}",
        "ProviderName": provider,
        "PublisherName": charge.publisher or provider,
        "ResourceId": charge.key or None,
        "ResourceName": charge.key or None,
        "ResourceType": "Virtual Key" if charge.key else None,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": f"{provider} API",
        "ServiceSubcategory": "Generative AI",
        "SkuId": sku,
        "SkuMeter": _METERS.get(charge.meter, charge.meter),
        "SkuPriceId": f"{sku}/{charge.tier or 'standard'}",
        "SubAccountId": charge.team or None,
        "SubAccountName": charge.team or None,
        "SubAccountType": "Team" if charge.team else None,
        "Tags": _json(charge.tags).decode() if charge.tags else None,
        "x_CostBasis": charge.basis,
        "x_EstimatedRequests": charge.estimated_requests,
        "x_Meter": charge.meter,
        "x_Model": charge.model or None,
        "x_Requests": charge.requests,
        "x_ServiceTier": charge.tier or None,
        "x_UnpricedRequests": charge.unpriced_requests,
    }


def csv_pieces(found: Iterable[Charge]) -> Iterator[bytes]:
    """The file, piece by piece: a header line and one line per row (RFC 4180); null is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for charge in found:
        writer.writerow([_written(value) for value in row(charge).values()])
        if text.tell() > 60_000:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def _written(value: Value) -> str | int:
    if value is None:
        return ""
    return plain(value) if isinstance(value, Decimal) else inert(value)


def plain(value: Decimal) -> str:
    """Without an exponent, as NumericFormat wants it, and without zeros that say nothing."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _price(usd: Fraction | None, per: int) -> Decimal | None:
    """USD of a pricing unit."""
    if usd is None:
        return None
    scaled = round(usd * per * 10**PRICE_PLACES)
    return Decimal(scaled).scaleb(-PRICE_PLACES, _EXACT).normalize(_EXACT)


def _month(ns: int) -> tuple[str, str]:
    at = datetime.fromtimestamp(ns // 10**9, UTC)
    following = datetime(at.year + at.month // 12, at.month % 12 + 1, 1, tzinfo=UTC)
    return f"{at:%Y-%m}-01T00:00:00Z", f"{following:%Y-%m}-01T00:00:00Z"
