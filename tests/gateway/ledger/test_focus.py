"""Rules of FOCUS 1.2 that hold for every row."""

import csv
import io
import re
from decimal import Context, Decimal
from fractions import Fraction

import pyarrow.parquet as parquet
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.ledger.charges import Charge
from gateway.ledger.focus import COLUMNS, csv_pieces, plain, row
from gateway.ledger.parquet import write_focus
from pricing.apportion import WHOLE
from tests.gateway.ledger.helpers import T0

HOUR_NS = 3600 * 10**9
NEVER_NULL = [
    name
    for name in COLUMNS
    if name not in ("ChargeClass", "Tags", "x_Model", "x_ServiceTier")
    and not name.startswith(("Resource", "SubAccount"))
]
PRICES = st.one_of(st.none(), st.fractions(0, 1, max_denominator=10**9))
CHARGES = st.builds(
    Charge,
    start_ns=st.integers(0, 10**6).map(lambda hours: hours * HOUR_NS),
    end_ns=st.just(10**6 * HOUR_NS + 1),
    team=st.sampled_from(["search", "", "=cmd()"]),
    key=st.sampled_from(["k1", ""]),
    model=st.sampled_from(["gpt-4o", ""]),
    provider=st.sampled_from(["openai", ""]),
    tags=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
    meter=st.sampled_from(["input", "output", "cache_read", "second", "web_search", WHOLE]),
    quantity=st.integers(1, 10**15),
    nanos=st.integers(0, 10**16),
    usd=PRICES,
    list_usd=PRICES,
    tier=st.sampled_from(["", "batch"]),
    basis=st.sampled_from(["rates", "apportioned", "unsplit", "unpriced"]),
    publisher=st.sampled_from(["", "openai"]),
    requests=st.integers(0, 9),
    unpriced_requests=st.just(0),
    estimated_requests=st.just(0),
)


@given(CHARGES)
def test_null_rules_and_products(charge: Charge):
    """ "It MUST NOT be null when ChargeClass is not 'Correction' and ChargeCategory is 'Usage'", of prices, quantities
    and units; "multiplying ContractedUnitPrice by PricingQuantity MUST equal ContractedCost", and so with list prices;
    ResourceType and SubAccountType are null with their ids."""
    found = row(charge)
    assert list(found) == list(COLUMNS)
    assert all(found[name] not in (None, "") for name in NEVER_NULL)
    assert found["ChargeClass"] is None
    exact = Context(prec=80)
    for price, cost in (("ContractedUnitPrice", "ContractedCost"), ("ListUnitPrice", "ListCost")):
        unit, quantity = found[price], found["PricingQuantity"]
        assert isinstance(unit, Decimal)
        assert isinstance(quantity, Decimal)
        assert unit >= 0
        assert quantity > 0
        assert exact.multiply(unit, quantity) == found[cost]
    for name in ("Resource", "SubAccount"):
        assert (found[f"{name}Id"] is None) == (found[f"{name}Name"] is None) == (found[f"{name}Type"] is None)
    assert found["BilledCost"] == found["EffectiveCost"] == Decimal(charge.nanos).scaleb(-9)
    assert str(found["BillingPeriodStart"]) <= str(found["ChargePeriodStart"]) < str(found["BillingPeriodEnd"])


@given(st.lists(CHARGES, max_size=5))
def test_the_csv_has_plain_numbers_and_empty_nulls(found: list[Charge]):
    """ "Numeric values MUST NOT be expressed with mathematical symbols, operators, or exponent values"; the costs of
    the file add up to the nano-dollar; no name is a spreadsheet's formula."""
    lines = list(csv.DictReader(io.StringIO(b"".join(csv_pieces(found)).decode(), newline="")))
    assert len(lines) == len(found)
    assert sum((Decimal(line["BilledCost"]) for line in lines), Decimal(0)) == Decimal(
        sum(each.nanos for each in found)
    ).scaleb(-9)
    for line in lines:
        for name, kind in COLUMNS.items():
            if kind in ("money", "number", "count"):
                assert re.fullmatch(r"-?\d+(\.\d+)?", line[name]), (name, line[name])
            elif kind == "time":
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", line[name])
        assert line["SubAccountId"] in ("search", "", "'=cmd()")


def test_names_of_a_row_and_the_parquet_file():
    charge = Charge(
        start_ns=T0 // HOUR_NS * HOUR_NS, end_ns=T0 // HOUR_NS * HOUR_NS + HOUR_NS, team="search", key="k1",
        model="gpt-4o", provider="azure-eu", tags={"env": "prod", "app": "shop"}, meter="cache_read", quantity=400,
        nanos=500_000, usd=Fraction(125, 10**8), list_usd=Fraction(125, 10**8) * 2, tier="batch", basis="rates",
        publisher="openai", requests=3, unpriced_requests=0, estimated_requests=1,
    )  # fmt: skip
    found = row(charge)
    told = {name: str(value) for name, value in found.items() if value is not None}
    assert told["SkuId"] == "azure-eu/gpt-4o/cache_read"
    assert told["SkuPriceId"] == "azure-eu/gpt-4o/cache_read/batch"
    assert told["PublisherName"] == "openai"
    assert told["ProviderName"] == told["InvoiceIssuerName"] == told["BillingAccountId"] == "azure-eu"
    assert told["PricingUnit"] == "1000000 Tokens"
    assert told["Tags"] == '{"app":"shop","env":"prod"}'
    assert (told["ChargePeriodStart"], told["ChargePeriodEnd"]) == ("2025-10-09T08:00:00Z", "2025-10-09T09:00:00Z")
    assert (told["BillingPeriodStart"], told["BillingPeriodEnd"]) == ("2025-10-01T00:00:00Z", "2025-11-01T00:00:00Z")
    running = row(replace(charge, end_ns=charge.end_ns - 10**9 + 1))
    assert running["ChargePeriodEnd"] == "2025-10-09T09:00:00Z", "a period that goes on ends in a whole second, too"
    assert found["ContractedUnitPrice"] == Decimal("1.25")
    assert found["ListCost"] == Decimal("0.001")
    file = io.BytesIO()
    write_focus([charge] * 3, file)
    table = parquet.read_table(io.BytesIO(file.getvalue()))
    assert table.column_names == list(COLUMNS)
    assert table["BilledCost"].to_pylist() == [Decimal("0.000500000")] * 3
    assert table["ChargeClass"].null_count == 3
    assert table["ChargePeriodStart"].to_pylist()[0].isoformat() == "2025-10-09T08:00:00+00:00"


def test_plain_has_no_exponent_and_no_idle_zeros():
    assert [plain(Decimal(text)) for text in ("1E+3", "0.000000100", "5.00", "0")] == ["1000", "0.0000001", "5", "0"]
