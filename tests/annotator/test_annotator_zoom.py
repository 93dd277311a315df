"""Zoom switched from a script: `BrightModel` draws small objects exactly with zoom, and coarsely without."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

from napari_segnext.annotator import Annotator, StillComputingError, asking
from napari_segnext.annotator.answers import Answerer, Request
from napari_segnext.annotator.coordinates import ShownSlice
from napari_segnext.annotator.views import ADDED, MASK, REMOVED
from napari_segnext.errors import ImageError
from napari_segnext.prompts import Click
from napari_segnext.session import Session
from tests.annotator.conftest import HandExecutor
from tests.session.test_zoom import BrightModel, image_with_disk

SHAPE, PLACE, OTHER_PLACE = (600, 800), (300, 500), (150, 200)


@pytest.fixture
def model():
    return BrightModel()


@pytest.fixture
def image():
    """Two small disks on a large image."""
    return image_with_disk(SHAPE, PLACE, 12) | image_with_disk(SHAPE, OTHER_PLACE, 12)


@pytest.fixture
def start(viewer, image, model):
    def start(**kwargs):
        return Annotator(viewer, viewer.add_image(image, name="cells"), model, **kwargs)

    return start


def expected(model, image, zoom, *clicks):
    session = Session(model, image, zoom=zoom)
    for click in clicks:
        session.add(click)
    return session.prediction.mask


def test_zoom_is_as_the_model_prefers_unless_it_is_given(viewer, start, fake_model, pixels):
    assert (start().zoom, start().is_zoomed) == (None, True)
    assert not start(zoom=False).is_zoomed
    plain = viewer.add_image(pixels)
    assert not Annotator(viewer, plain, fake_model).is_zoomed
    assert Annotator(viewer, plain, fake_model, zoom=True).is_zoomed


@pytest.mark.parametrize("zoom", [True, False])
def test_masks_are_those_of_a_session(start, model, image, zoom):
    annotator = start(zoom=zoom)
    annotator.layers.points.add(PLACE)
    annotator.layers.points.add((303, 505))
    np.testing.assert_array_equal(annotator.mask, expected(model, image, zoom, Click(*PLACE), Click(303, 505)))


def test_switching_answers_the_same_prompts_anew(start, model, image):
    annotator = start()
    annotator.layers.points.add(PLACE)
    zoomed = annotator.mask
    annotator.zoom = False
    assert annotator.prompts.items == (Click(*PLACE),)
    np.testing.assert_array_equal(annotator.mask, expected(model, image, False, Click(*PLACE)))
    np.testing.assert_array_equal(annotator.layers.preview.data > 0, annotator.mask)
    assert annotator.mask.sum() != zoomed.sum()
    annotator.zoom = None
    np.testing.assert_array_equal(annotator.mask, zoomed)
    assert annotator.can_undo and not annotator.can_redo


def test_accepted_objects_stay_and_can_still_be_taken_back(start):
    annotator = start()
    annotator.layers.points.add(PLACE)
    annotator.accept()
    labels = annotator.layers.output.data.copy()
    annotator.layers.points.add(OTHER_PLACE)
    annotator.zoom = False
    np.testing.assert_array_equal(annotator.layers.output.data, labels)
    annotator.undo()
    annotator.undo()
    assert not annotator.layers.output.data.any()
    assert annotator.prompts.items == (Click(*PLACE),)
    assert annotator.mask.any()


def test_setting_that_means_the_same_costs_nothing(start, model):
    annotator = start()
    annotator.layers.points.add(PLACE)
    mask, n_encoded = annotator.mask, len(model.encoded_shapes)
    annotator.zoom = True
    assert annotator.mask is mask
    assert len(model.encoded_shapes) == n_encoded


def test_other_slices_are_answered_anew_when_they_are_shown(viewer, image, model):
    annotator = Annotator(viewer, viewer.add_image(np.stack([image, image])), model)
    for index in (0, 1):
        viewer.dims.set_point(0, index)
        annotator.layers.points.add((index, *PLACE))
    annotator.zoom = False
    viewer.dims.set_point(0, 0)
    np.testing.assert_array_equal(annotator.mask, expected(model, image, False, Click(*PLACE)))


def test_the_new_zoom_is_told_once(start):
    annotator, told = start(), []
    annotator.zoom_changed.connect(told.append)
    annotator.zoom = False
    annotator.zoom = False
    annotator.zoom = None
    assert told == [False, None]


class TestSlowly:
    def test_switching_asks_the_executor_and_the_newest_setting_wins(self, start, executor, model, image):
        annotator = start(executor=executor)
        annotator.layers.points.add(PLACE)
        executor.finish_all()
        shown = []
        annotator.mask_changed.connect(lambda: shown.append(int(annotator.layers.preview.data.sum())))
        n_encoded = len(model.encoded_shapes)
        for zoom in (False, True, False):
            annotator.zoom = zoom
            executor.do_calls()
        assert len(executor.jobs) == 1
        assert len(model.encoded_shapes) == n_encoded
        executor.finish_all()
        coarse = expected(model, image, False, Click(*PLACE))
        assert shown == [coarse.sum()]
        np.testing.assert_array_equal(annotator.mask, coarse)
        assert not annotator.is_busy

    def test_answer_of_the_former_setting_comes_late_and_is_dropped(self, start, executor, model, image):
        annotator = start(executor=executor, zoom=False)
        annotator.layers.points.add(PLACE)
        executor.do_calls()
        annotator.zoom = True
        executor.do_calls()
        executor.finish_job()
        assert annotator.mask is None
        assert not annotator.layers.preview.data.any()
        executor.finish_all()
        np.testing.assert_array_equal(annotator.mask, expected(model, image, True, Click(*PLACE)))

    def test_mask_of_the_former_setting_is_not_accepted(self, start, executor):
        annotator = start(executor=executor)
        annotator.layers.points.add(PLACE)
        executor.finish_all()
        annotator.zoom = False
        with pytest.raises(StillComputingError, match="or the zoom"):
            annotator.accept()
        assert not annotator.layers.output.data.any()

    def test_prompt_that_is_drawn_while_the_other_setting_is_computed_is_kept(self, start, executor, model, image):
        annotator = start(executor=executor)
        annotator.layers.points.add(PLACE)
        executor.finish_all()
        annotator.zoom = False
        executor.do_calls()
        annotator.layers.points.add((303, 505))
        executor.finish_all()
        both = (Click(*PLACE), Click(303, 505))
        assert annotator.prompts.items == both
        np.testing.assert_array_equal(annotator.mask, expected(model, image, False, *both))

    def test_switching_before_the_first_prompt_encodes_ahead(self, start, executor, model):
        annotator = start(executor=executor)
        annotator.zoom = False
        executor.finish_all()
        assert model.encoded_shapes == [SHAPE]

    def test_what_was_stopped_is_computed_after_switching(self, start, executor):
        annotator = start(executor=executor)
        annotator.layers.points.add(PLACE)
        executor.do_calls()
        annotator.stop()
        annotator.zoom = False
        executor.finish_all()
        assert annotator.mask.any()

    def test_after_the_end_nothing_is_asked(self, start, executor):
        annotator = start(executor=executor)
        annotator.close()
        annotator.zoom = False
        assert executor.jobs == executor.calls == []


class TestLargePlanes:
    LARGE = (9000, 9000)

    def test_a_plane_above_the_limit_needs_zoom(self, viewer, model):
        layer = viewer.add_image(np.zeros(self.LARGE, np.uint8))
        with pytest.raises(ImageError, match="Switch zoom on"):
            Annotator(viewer, layer, model, zoom=False)
        assert len(viewer.layers) == 1
        annotator = Annotator(viewer, layer, model)
        with pytest.raises(ImageError, match="Switch zoom on"):
            annotator.zoom = False
        assert (annotator.zoom, annotator.is_zoomed) == (None, True)

    def test_a_small_object_on_a_plane_of_100_million_pixels_is_drawn(self, viewer, model):
        image = np.zeros((10_000, 10_000), np.uint8)
        image[3975:4025, 6975:7025] = image_with_disk((50, 50), (25, 25), 25)
        annotator = Annotator(viewer, viewer.add_image(image), model)
        annotator.layers.points.add((4000, 7000))
        truth = image > 0
        assert (annotator.mask & truth).sum() / (annotator.mask | truth).sum() > 0.9
        assert max(max(shape) for shape in model.encoded_shapes) <= 1024
        assert annotator.accept() == 1


class WatchingExecutor(HandExecutor):
    """Looks at an annotator whenever work has something to say."""

    def __init__(self):
        super().__init__()
        self.looked_at = None
        self.seen = []

    def tell(self, callback):
        callback()
        self.seen.append(self.looked_at.layers.preview.data > 0)
        if not self.looked_at.draft.is_empty:
            with pytest.raises(StillComputingError, match="a first glimpse"):
                self.looked_at.accept()


@pytest.fixture
def watching(start, monkeypatch):
    monkeypatch.setattr(asking, "GLIMPSE_SECONDS", 0)
    executor = WatchingExecutor()
    executor.looked_at = start(executor=executor)
    return executor


def test_what_is_seen_meanwhile_is_shown_and_cannot_be_accepted(watching):
    annotator = watching.looked_at
    annotator.layers.points.add(PLACE)
    watching.finish_all()
    assert any(mask.any() for mask in watching.seen)
    np.testing.assert_array_equal(annotator.layers.preview.data > 0, annotator.mask)
    assert annotator.accept() == 1


def test_glimpses_are_cut_at_the_threshold_of_the_draft(watching, monkeypatch):
    annotator = watching.looked_at
    annotator.threshold = 0.999999
    annotator.layers.points.add(PLACE)
    watching.finish_all()
    assert watching.seen and not any(mask.any() for mask in watching.seen)


def test_no_glimpse_is_shown_on_a_large_plane_where_each_would_take_its_time(watching, monkeypatch):
    monkeypatch.setattr("napari_segnext.annotator.annotator.MAX_GLIMPSED_PIXELS", SHAPE[0] * SHAPE[1] - 1)
    watching.looked_at.layers.points.add(PLACE)
    watching.finish_all()
    assert watching.seen and not any(mask.any() for mask in watching.seen)
    assert watching.looked_at.mask.any()


def test_glimpses_are_of_the_last_prompt_where_several_are_new(model, image):
    shown, clicks = ShownSlice(axes=(0, 1), index=(), shape=SHAPE), (Click(*PLACE), Click(*OTHER_PLACE))

    def n_glimpses(answerer, *prompts):
        glimpses = []
        answerer.answer(Request(1, shown, prompts), is_wanted=lambda: True, on_glimpse=glimpses.append)
        return len(glimpses)

    one_by_one, at_once = (Answerer(model, lambda _: image) for _ in range(2))
    of_the_first = n_glimpses(one_by_one, clicks[0])
    of_the_second = n_glimpses(one_by_one, *clicks)
    assert of_the_first > 0
    assert n_glimpses(at_once, *clicks) == of_the_second


def test_no_glimpse_is_shown_of_an_object_that_is_changed(watching):
    annotator = watching.looked_at
    annotator.layers.points.add(PLACE)
    watching.finish_all()
    annotator.accept()
    annotator.reopen(1)
    watching.finish_all()
    before, watching.seen = annotator.layers.preview.data > 0, []
    annotator.layers.points.add((303, 505))
    watching.finish_all()
    assert watching.seen
    for mask in watching.seen:
        np.testing.assert_array_equal(mask, before)


def test_changes_are_told_from_the_last_answer_and_not_from_a_glimpse(watching):
    annotator = watching.looked_at
    annotator.highlights_changes = True
    annotator.layers.points.add(PLACE)
    watching.finish_all()
    first = annotator.mask
    np.testing.assert_array_equal(annotator.layers.preview.data, first)
    watching.seen = []
    annotator.layers.points.add(OTHER_PLACE)
    watching.finish_all()
    shown, second = annotator.layers.preview.data, annotator.mask
    assert watching.seen and (second & ~first).any()
    np.testing.assert_array_equal(shown == ADDED, second & ~first)
    np.testing.assert_array_equal(shown == REMOVED, first & ~second)
    np.testing.assert_array_equal(shown == MASK, first & second)
