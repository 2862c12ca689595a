from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from bursar.payouts.chart import chart, curves_of
from bursar.payouts.results import LineResult, State
from tests.unit.payouts.payday import NOON

SECONDS = st.lists(
    st.tuples(st.sampled_from([State.PAID, State.FAILED]), st.integers(0, 10**6)), max_size=30
)


def ended(*found: tuple[State, float]) -> list[LineResult]:
    return [
        LineResult(f"p-{number}", state, ended=NOON + timedelta(seconds=at))
        for number, (state, at) in enumerate(found)
    ]


def test_a_curve_counts_what_had_ended_by_each_moment():
    paid, failed = curves_of(ended((State.PAID, 30), (State.FAILED, 20), (State.PAID, 10)))
    assert (paid.state, paid.points) == (State.PAID, ((0.0, 1), (20.0, 2)))
    assert (failed.state, failed.points) == (State.FAILED, ((10.0, 1),))


def test_what_has_not_ended_is_in_no_curve():
    assert curves_of([LineResult("p-1", State.PENDING)]) == ()


def test_there_is_no_drawing_without_two_moments():
    assert chart([]) == ""
    assert chart(ended((State.PAID, 5), (State.FAILED, 5))) == ""


def test_the_drawing_says_in_words_what_it_shows():
    svg = chart(ended((State.PAID, 0), (State.PAID, 60), (State.FAILED, 9)))
    drawing = ET.fromstring(svg)  # noqa: S314  our own
    texts = {each.get("id"): each.text for each in drawing.iter() if each.get("id")}
    assert drawing.get("role") == "img"
    assert texts[str(drawing.get("aria-labelledby")).split()[0]] == "Payments over time"
    assert texts["chart-desc"] == (
        "2 paid; 1 failed, from 2026-11-25 12:00:00 to 2026-11-25 12:01:00 UTC"
    )
    assert {"2 paid", "1 failed"} <= {each.text for each in drawing.iter("text")}


def test_a_long_payout_makes_no_larger_drawing_than_its_width():
    many = ended(*((State.PAID, number) for number in range(20_000)))
    assert len(chart(many)) < 20_000


@given(SECONDS)
def test_curves_only_rise_and_stay_in_the_drawing(found):
    drawing = chart(ended(*found))
    for path in re.findall(r'class="curve \w+" d="([^"]+)"', drawing):
        across = [int(each) for each in re.findall(r"H(\d+)", path)]
        up = [int(each) for each in re.findall(r"V(\d+)", path)]
        assert across == sorted(across)
        assert up == sorted(up, reverse=True)
        assert all(0 <= each <= 720 for each in across)
        assert all(0 <= each <= 220 for each in up)
