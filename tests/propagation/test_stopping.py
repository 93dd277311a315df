from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_segnext.errors import PropagationError
from napari_segnext.propagation import Evidence, StopReason, StopRules
from napari_segnext.propagation.evidence import Looks, certainty_of, iou, reaches_border

from .test_interpolation import disk_at
from .test_motion import textured

GOOD = Evidence(area=100, overlap=0.9, area_ratio=1.0, certainty=0.8, likeness=0.9)


def test_good_evidence_breaks_no_rule():
    assert StopRules().reason(GOOD) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"area": 0}, StopReason.EMPTY),
        ({"area": 2}, StopReason.SMALL),
        ({"overlap": 0.1}, StopReason.OVERLAP),
        ({"area_ratio": 4.0}, StopReason.AREA_GREW),
        ({"area_ratio": 0.2}, StopReason.AREA_SHRANK),
        ({"certainty": 0.01}, StopReason.CONFIDENCE),
        ({"likeness": 0.2, "certainty": 1.0, "overlap": 1.0}, StopReason.APPEARANCE),
    ],
)
def test_the_first_broken_rule_is_told_and_can_be_switched_off(change, reason):
    evidence = replace(GOOD, **change)
    assert StopRules().reason(evidence) is reason
    assert StopRules.none().reason(evidence) in (None, StopReason.EMPTY)
    assert reason.value


def test_the_border_is_a_rule_only_if_asked_for():
    evidence = replace(GOOD, reaches_border=True)
    assert StopRules().reason(evidence) is None
    assert StopRules(stops_at_border=True).reason(evidence) is StopReason.BORDER


@pytest.mark.parametrize(
    "limits",
    [{"min_overlap": 2}, {"min_confidence": -1}, {"min_likeness": 1.5}, {"min_area": -1}, {"max_area_ratio": 1}],
)
def test_limits_that_make_no_sense_are_refused(limits):
    with pytest.raises(PropagationError, match="expected"):
        StopRules(**limits)


def test_confidence_is_the_geometric_mean_of_what_is_known():
    assert GOOD.confidence == pytest.approx((0.8 * 0.9 * 0.9) ** (1 / 3))
    assert replace(GOOD, agreement=0.5).confidence == pytest.approx((0.8 * 0.9 * 0.9 * 0.5) ** (1 / 4))
    assert replace(GOOD, area=0).confidence == 0


def test_overlap_certainty_and_border():
    left, right = np.array([[1, 1, 0]], bool), np.array([[0, 1, 1]], bool)
    assert iou(left, right) == pytest.approx(1 / 3)
    assert iou(left & ~left, left & ~left) == 1
    assert certainty_of(np.array([[0.9, 0.8, 0.5, 0.1]], np.float32), 0.5) == pytest.approx(2 / 3)
    assert certainty_of(np.zeros((2, 2), np.float32), 0.5) == 0
    assert reaches_border(disk_at(3, 3, 5)) and not reaches_border(disk_at(30, 40, 5))


class TestLooks:
    @pytest.fixture
    def scene(self):
        mask = disk_at(60, 70, 15, (120, 140))
        image = textured()
        image[mask] -= 60
        looks = Looks()
        looks.add(image, mask)
        return looks, image, mask

    def test_the_object_looks_like_itself_and_its_surroundings_do_not(self, scene):
        looks, image, mask = scene
        assert looks.likeness(image, mask) > 0.9
        assert looks.likeness(image, disk_at(20, 30, 12, (120, 140))) < 0.2

    def test_half_of_each_is_half_alike(self, scene):
        looks, image, mask = scene
        assert 0.25 < looks.likeness(image, np.roll(mask, 15, axis=1)) < 0.75

    def test_where_brightness_tells_nothing_all_is_alike(self):
        mask = disk_at(60, 70, 15, (120, 140))
        looks = Looks()
        looks.add(np.full((120, 140), 7.0), mask)
        assert looks.likeness(np.full((120, 140), 7.0), mask) == 1

    def test_nothing_is_like_what_was_never_seen(self):
        assert Looks().likeness(textured(), disk_at(60, 70, 15, (120, 140))) == 0
