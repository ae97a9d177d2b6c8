"""What a charge takes of each measure."""

from gateway.quota import MEASURES, Adjustment, Charge


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


def test_a_raise_holds_from_its_beginning_and_before_its_end() -> None:
    adjustment = Adjustment("teams.t.budget", 5, 10, 20)
    assert [adjustment.valid(now) for now in (9, 10, 19, 20)] == [False, True, True, False]
