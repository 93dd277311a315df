from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_segnext.propagation import Span, plan_spans, spans_after_correction


def test_annotated_slices_cut_the_range_into_spans():
    assert plan_spans([3, 7], range(10)) == (
        Span(range(0, 3), None, 3),
        Span(range(4, 7), 3, 7),
        Span(range(8, 10), 7, None),
    )


@pytest.mark.parametrize(
    ("goes_up", "goes_down", "expected"),
    [(True, False, [range(4, 7), range(8, 10)]), (False, True, [range(3), range(4, 7)]), (False, False, [range(4, 7)])],
)
def test_direction_concerns_what_lies_beyond_only(goes_up, goes_down, expected):
    spans = plan_spans([3, 7], range(10), goes_up=goes_up, goes_down=goes_down)
    assert [span.slices for span in spans] == expected


def test_a_range_is_reached_from_an_annotated_slice_beside_it_and_from_no_other():
    assert plan_spans([3], range(4, 6)) == (Span(range(4, 6), 3, None),)
    assert plan_spans([2], range(4, 6)) == ()
    assert plan_spans([2, 6], range(4, 6)) == (Span(range(4, 6), None, 6),)


def test_nothing_annotated_gives_nothing():
    assert plan_spans([], range(10)) == ()


def test_a_correction_concerns_the_span_that_it_lies_in_only():
    assert spans_after_correction([3, 7], 5, range(10)) == (Span(range(4, 5), 3, 5), Span(range(6, 7), 5, 7))
    assert spans_after_correction([3, 7], 9, range(10)) == (Span(range(8, 9), 7, 9),)


@given(st.sets(st.integers(0, 30)), st.integers(0, 30), st.integers(1, 30))
def test_spans_never_hold_an_annotated_slice_nor_the_same_slice_twice(annotated, start, length):
    wanted = range(start, start + length)
    slices = [index for span in plan_spans(annotated, wanted) for index in span.slices]
    assert len(slices) == len(set(slices))
    assert not set(slices) & annotated
    assert set(slices) <= set(wanted)


def test_fraction_runs_from_one_end_to_the_other():
    span = Span(range(4, 7), 3, 7)
    assert [span.fraction(index) for index in span.slices] == [0.25, 0.5, 0.75]
    with pytest.raises(ValueError, match="expected a span between two"):
        Span(range(8, 10), 7, None).fraction(8)
