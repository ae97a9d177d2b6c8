"""What a charge takes of each measure."""

from gateway.quota import MEASURES, Charge


def test_a_charge_says_what_it_takes_of_every_measure() -> None:
    charge = Charge(input_tokens=10, output_tokens=5, nanos=700, stream=True)
    assert {measure: charge.of(measure) for measure in MEASURES} == {
        "requests": 1,
        "input_tokens": 10,
        "output_tokens": 5,
        "tokens": 15,
        "usd": 700,
        "concurrent": 1,
        "streams": 1,
    }


def test_what_does_not_stream_takes_no_stream() -> None:
    assert Charge().of("streams") == 0
