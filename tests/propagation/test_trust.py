from __future__ import annotations

import numpy as np
import pytest

from napari_segnext.propagation.evidence import dice
from napari_segnext.propagation.trust import Trust, blend, leaning_on
from napari_segnext.propagation.window import bounds, window_about

from .test_interpolation import disk_at

SHAPE = (60, 80)


def disk(radius, row=30, column=40):
    return disk_at(row, column, radius, SHAPE)


def answer_about(radius, width=2.0):
    """A probability that falls through 0.5 at a radius."""
    rows, columns = np.indices(SHAPE)
    away = np.hypot(rows - 30, columns - 40)
    return (1 / (1 + np.exp((away - radius) / width))).astype(np.float32)


class TestOutline:
    def test_without_anything_learned_it_is_a_half(self):
        trust = Trust()
        assert trust.outline == 0.5
        answer = answer_about(10)
        np.testing.assert_array_equal(trust.calibrated(answer), answer)

    @pytest.mark.parametrize(("annotated", "is_lower"), [(13, True), (8, False)])
    def test_annotator_who_draws_wider_or_tighter_than_the_model(self, annotated, is_lower):
        trust = Trust()
        answer = answer_about(10)
        trust.learn_outline(answer, disk(annotated))
        assert (trust.outline < 0.5) == is_lower
        after, before = (dice(one > 0.5, disk(annotated)) for one in (trust.calibrated(answer), answer))
        assert after > before
        assert after > 0.95

    def test_calibrated_answers_stay_between_0_and_1_and_in_order(self):
        trust = Trust()
        trust.learn_outline(answer_about(10), disk(13))
        given = np.linspace(0, 1, 101, dtype=np.float32)
        calibrated = trust.calibrated(given)
        assert calibrated[0] == 0
        assert calibrated[-1] == 1
        assert (np.diff(calibrated) > 0).all()

    def test_of_equally_good_outlines_the_nearest_to_a_half(self):
        trust = Trust()
        trust.learn_outline(disk(10).astype(np.float32), disk(10))
        assert trust.outline == 0.5


class TestWeights:
    def test_unknown_ones_favour_the_model(self):
        model, flow, shape = Trust().weights
        assert model > flow > shape > 0
        assert model + flow + shape == pytest.approx(1)

    def test_the_way_that_arrives_best_counts_most(self):
        for best in range(3):
            trust = Trust()
            masks = [disk(10, column=46)] * 3
            masks[best] = disk(10)
            # a mask to start from arrives where its shape does: of another size, it does not fit
            start = disk(10) if best == 2 else disk(5)
            trust.arrived(masks[0], masks[1], start, disk(10))
            assert int(np.argmax(trust.weights)) == best
            assert sum(trust.weights) == pytest.approx(1)

    def test_shape_is_judged_wherever_it_lies(self):
        trust = Trust()
        trust.arrived(disk(10), disk(10), disk(10, row=12, column=15), disk(10))
        assert trust.shape == [1.0]

    def test_nothing_to_compare_raises_nothing(self):
        trust = Trust()
        nothing = np.zeros(SHAPE, bool)
        trust.arrived(nothing, nothing, nothing, disk(10))
        assert sum(trust.weights) == pytest.approx(1)


class TestBlend:
    def test_of_one_way_alone_is_that_way(self):
        answer = answer_about(10)
        ends, flowed = (disk(6), disk(6)), (disk(14), disk(14))
        np.testing.assert_array_equal(blend((1.0, 0.0, 0.0), answer, flowed, ends, 0.5), answer)
        assert dice(blend((0.0, 1.0, 0.0), answer, flowed, ends, 0.5) > 0.5, disk(14)) == 1
        assert dice(blend((0.0, 0.0, 1.0), answer, flowed, ends, 0.5) > 0.5, disk(6)) == 1

    def test_flow_moves_from_one_side_to_the_other(self):
        nothing = np.zeros(SHAPE, np.float32)
        flowed, ends = (disk(6), disk(14)), (disk(3), disk(3))
        areas = [(blend((0.0, 1.0, 0.0), nothing, flowed, ends, fraction) > 0.5).sum() for fraction in (0.1, 0.5, 0.9)]
        assert areas == sorted(areas)
        assert disk(6).sum() < areas[1] < disk(14).sum()

    def test_nothing_known_leaves_the_model(self):
        nothing = np.zeros(SHAPE, bool)
        blended = blend((0.5, 0.3, 0.2), answer_about(10), (nothing, nothing), (nothing, nothing), 0.5)
        np.testing.assert_allclose(blended, 0.5 * answer_about(10))


class TestLeaning:
    def test_doubt_is_settled_by_what_was_carried(self):
        doubt = np.full(SHAPE, 0.5, np.float32)
        assert dice(leaning_on(doubt, disk(10), 1.0) > 0.5, disk(10)) == 1

    def test_certainty_is_not(self):
        assert dice(leaning_on(disk(10).astype(np.float32), disk(4, column=44), 1.0) > 0.5, disk(10)) == 1

    def test_nothing_carried(self):
        np.testing.assert_array_equal(leaning_on(answer_about(10), np.zeros(SHAPE, bool), 1.0), answer_about(10))

    def test_thick_slices_count_less(self):
        nothing = np.zeros(SHAPE, np.float32)
        thin, thick = (leaning_on(nothing, disk(10), step).max() for step in (0.1, 10.0))
        assert thin == pytest.approx(0.2, rel=0.05)
        assert thick == pytest.approx(0.1, rel=0.05)


class TestWindow:
    def test_bounds_and_margin(self):
        mask = np.zeros((10, 20), bool)
        mask[3:5, 6:9] = True
        assert bounds(mask) == (slice(3, 5), slice(6, 9))
        assert window_about(mask, 2) == (slice(1, 7), slice(4, 11))

    def test_margin_ends_at_the_border(self):
        mask = np.zeros((10, 20), bool)
        mask[0, 19] = True
        assert window_about(mask, 30) == (slice(0, 10), slice(0, 20))
