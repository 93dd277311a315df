"""Propagation in the annotator: what is started from, what is written, what is never touched, what can be taken back.

Two bright tubes run through 16 sections of 60 × 80 pixels: object 1 through sections 2 to 11, object 2 through all.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel

from napari_segnext.annotator import Annotator, AnnotatorError, LockedLabelError, NoSuchObjectError
from napari_segnext.annotator.annotation import read_annotation
from napari_segnext.annotator.autosave import Autosave
from napari_segnext.annotator.errors import NotAVolumeError
from napari_segnext.annotator.executor import ImmediateExecutor
from napari_segnext.annotator.model_input import Channel, ModelInput
from napari_segnext.annotator.review import ReviewState
from napari_segnext.propagation import StopRules, spans_after_correction
from tests.annotator.conftest import HandExecutor
from tests.propagation.conftest import SHAPE, BrightPartsModel, tube

ONE, TWO = tube(2, 12, 20, 2), tube(0, 16, 55, -1, row=42)
TUBES = np.where(ONE | TWO, 200, 20).astype(np.uint8)
RED_ROW = 20


def middle_of(label: int, z: int) -> tuple[int, int]:
    return (20, 20 + 2 * (z - 2)) if label == 1 else (42, 55 - z)


class Desk:
    """An annotator on the tubes, and a hand that clicks and accepts."""

    def __init__(self, data=TUBES, executor=None, **kwargs) -> None:
        self.viewer = ViewerModel()
        self.image = self.viewer.add_image(data, name="tubes")
        self.executor = executor
        self.model = BrightPartsModel()
        self.annotator = Annotator(self.viewer, self.image, self.model, executor=executor, **kwargs)
        self.heard: list[str] = []
        self.annotator.noticed.connect(self.heard.append)

    @property
    def labels(self):
        return self.annotator.layers.output.data

    @property
    def review(self):
        return self.annotator.review

    def finish(self) -> None:
        if self.executor is not None:
            self.executor.finish_all()

    def show(self, z: int) -> None:
        self.viewer.dims.set_point(self.image.ndim - 3, z)
        self.finish()

    def annotate(self, label: int, *sections: int) -> None:
        for z in sections:
            self.show(z)
            if label in self.labels:
                self.annotator.continue_object(label)
            point = (*self.viewer.dims.point[: self.image.ndim - 2], *middle_of(label, z))
            self.annotator.layers.points.add(point)
            self.finish()
            self.annotator.accept(label)
            self.finish()

    def states(self, label: int) -> dict[int, ReviewState]:
        line = self.annotator.line()
        return {line.index_of(shown): one.state for shown, one in self.review.of(label).items()}

    def sections(self, label: int) -> list[int]:
        return [int(z) for z in np.flatnonzero((self.labels == label).any(axis=(1, 2)))]


@pytest.fixture
def desk() -> Desk:
    return Desk()


class TestARun:
    def test_fills_between_and_goes_on_until_the_object_ends(self, desk):
        desk.annotate(1, 4, 8)
        desk.annotator.propagate()
        np.testing.assert_array_equal(desk.labels == 1, ONE)
        states = desk.states(1)
        assert {z for z, state in states.items() if state is ReviewState.BETWEEN} == {5, 6, 7}
        assert {z for z, state in states.items() if state is ReviewState.BEYOND} == {2, 3, 9, 10, 11}
        assert {z for z, state in states.items() if state is ReviewState.STOPPED} == {1, 12}

    def test_tells_where_objects_ended_and_why(self, desk):
        desk.annotate(1, 4, 8)
        desk.annotator.propagate()
        assert "Propagated 1 object to 8 slices." in desk.heard[-1]
        assert "Object 1 ended at slice 12: nothing was found." in desk.heard[-1]

    def test_takes_several_objects_at_once(self, desk):
        desk.annotate(1, 4)
        desk.annotate(2, 8)
        desk.model.n_encoded = 0
        desk.annotator.propagate()
        np.testing.assert_array_equal(desk.labels, np.where(ONE, 1, np.where(TWO, 2, 0)))
        assert desk.model.n_encoded <= SHAPE[0]

    def test_takes_the_objects_that_are_named(self, desk):
        desk.annotate(1, 4)
        desk.annotate(2, 8)
        desk.annotator.propagate([2])
        assert desk.sections(1) == [4] and len(desk.sections(2)) == SHAPE[0]

    def test_keeps_to_the_range_and_the_direction(self, desk):
        desk.annotate(2, 8)
        desk.annotator.propagate(slices=(6, 12), direction="up")
        assert desk.sections(2) == [8, 9, 10, 11]

    def test_follows_the_stop_rules(self, desk):
        desk.annotate(2, 8)
        desk.annotator.propagate(rules=StopRules(min_area=100_000))
        assert desk.sections(2) == [8]
        assert desk.states(2) == {7: ReviewState.STOPPED, 9: ReviewState.STOPPED}

    def test_tells_how_far_it_is(self, desk):
        seen = []
        desk.annotate(2, 8)
        desk.annotator.propagation.changed.connect(lambda: seen.append(desk.annotator.propagation.progress))
        desk.annotator.propagate()
        assert seen == sorted(seen)
        assert seen[-1] == (16, 16)

    def test_that_has_nothing_to_do_changes_nothing(self, desk):
        desk.annotate(2, 8)
        desk.annotator.propagate()
        desk.annotator.undo()
        desk.annotator.redo()
        desk.annotator.undo()
        desk.annotator.redo()
        text, labels = desk.annotator.undo_text, desk.labels.copy()
        desk.annotator.propagate()
        assert desk.annotator.undo_text == text
        np.testing.assert_array_equal(desk.labels, labels)
        assert "up to date" in desk.heard[-1]


class TestRefused:
    def test_without_an_object(self, desk):
        with pytest.raises(NoSuchObjectError, match="no unlocked object is annotated"):
            desk.annotator.propagate()

    def test_on_a_plane(self):
        desk = Desk(TUBES[4])
        with pytest.raises(NotAVolumeError, match="single plane"):
            desk.annotator.propagate()

    def test_of_a_locked_object(self, desk):
        desk.annotate(1, 4)
        desk.annotator.lock(1)
        with pytest.raises(LockedLabelError, match="object 1 is locked"):
            desk.annotator.propagate([1])

    @pytest.mark.parametrize("slices", [(5, 5), (0, 17), (-1, 3)])
    def test_over_a_range_that_makes_no_sense(self, desk, slices):
        desk.annotate(1, 4)
        with pytest.raises(NotAVolumeError, match="expected a range within 0 to 15"):
            desk.annotator.propagate(slices=slices)

    def test_while_another_one_is_going_on(self):
        desk = Desk(executor=HandExecutor())
        desk.annotate(1, 4)
        desk.annotator.propagate()
        with pytest.raises(AnnotatorError, match="already"):
            desk.annotator.propagate()


class TestWhatPersonsDid:
    def test_an_annotated_slice_is_taken_as_the_labels_have_it_now(self, desk):
        desk.annotate(2, 8)
        desk.annotator.layers.output.data_setitem((np.full(3, 8), np.arange(3), np.arange(3)), 2)
        was = desk.labels[8].copy()
        desk.annotator.propagate()
        np.testing.assert_array_equal(desk.labels[8], was)

    def test_a_painted_slice_is_started_from_and_never_written(self, desk):
        desk.annotate(1, 4)
        desk.annotator.layers.output.selected_label = 1
        desk.viewer.dims.set_point(0, 7)
        desk.annotator.layers.output.brush_size = 5
        desk.annotator.layers.output.paint((7, *middle_of(1, 7)), 1)
        painted = desk.labels[7].copy()
        desk.annotator.propagate()
        np.testing.assert_array_equal(desk.labels[7], painted)
        assert desk.states(1)[7] is ReviewState.EDITED
        assert desk.states(1)[6] is ReviewState.BETWEEN

    def test_a_stroke_on_a_propagated_slice_makes_it_edited_and_undo_takes_that_back(self, desk):
        desk.annotate(2, 8)
        desk.annotator.propagate()
        desk.viewer.dims.set_point(0, 5)
        desk.annotator.layers.output.paint((5, 42, 50), 0)
        assert desk.states(2)[5] is ReviewState.EDITED
        desk.annotator.undo()
        assert desk.states(2)[5] is ReviewState.BEYOND
        desk.annotator.redo()
        painted = desk.labels[5].copy()
        desk.annotator.propagate()
        np.testing.assert_array_equal(desk.labels[5], painted)

    def test_pixels_that_changed_without_a_word_count_as_edited(self, desk):
        desk.annotate(2, 8)
        desk.annotator.propagate()
        desk.labels[5, 0, 0] = 2
        desk.annotate(2, 3)
        desk.annotator.propagate()
        assert desk.labels[5, 0, 0] == 2
        assert desk.states(2)[5] is ReviewState.EDITED

    def test_other_objects_keep_their_pixels(self, desk):
        output = desk.annotator.layers.output
        rows, columns = np.mgrid[40:45, 40:60]
        output.data[5, rows, columns] = 9
        desk.annotate(2, 8)
        desk.annotator.propagate()
        assert (output.data[5, rows, columns] == 9).all()
        assert (output.data[5] == 2).any()

    def test_locked_objects_are_left_out(self, desk):
        desk.annotate(1, 4)
        desk.annotate(2, 8)
        desk.annotator.lock(1)
        desk.annotator.propagate()
        assert desk.sections(1) == [4]

    def test_an_object_that_is_worked_on_is_left_alone_there(self, desk):
        desk.annotate(2, 8)
        desk.show(5)
        desk.annotator.continue_object(2)
        desk.annotator.propagate()
        assert 5 not in desk.sections(2) and 4 in desk.sections(2)


class TestReview:
    def test_an_accepted_slice_is_never_written_again_and_can_be_given_free(self, desk):
        desk.annotate(2, 8)
        desk.annotator.propagate()
        desk.show(5)
        desk.annotator.accept_slice()
        assert desk.states(2)[5] is ReviewState.ACCEPTED
        desk.annotator.propagate(rules=StopRules(min_area=100_000))
        assert desk.sections(2) == [5, 6, 7, 8]
        desk.show(5)
        desk.annotator.accept_slice(is_accepted=False)
        desk.annotator.propagate(rules=StopRules(min_area=100_000))
        assert desk.sections(2) == [8]
        with pytest.raises(NoSuchObjectError, match="no object on this slice was accepted or edited"):
            desk.annotator.accept_slice(is_accepted=False)

    def test_accepting_a_slice_can_be_taken_back(self, desk):
        desk.annotate(2, 8)
        desk.annotator.propagate()
        desk.show(5)
        desk.annotator.accept_slice()
        desk.annotator.undo()
        assert desk.states(2)[5] is ReviewState.BEYOND

    def test_doubtful_slices_come_in_order_and_from_the_first_again(self, desk):
        desk.annotate(1, 4, 8)
        desk.annotate(2, 8)
        desk.annotator.propagate()
        desk.show(9)
        stops = [desk.annotator.next_doubtful(0.5) for _ in range(3)]
        assert stops == [(1, 12), (1, 1), (1, 12)]
        assert desk.annotator.layers.output.selected_label == 1
        assert desk.viewer.dims.point[0] == 12

    def test_what_was_accepted_is_no_longer_in_doubt(self, desk):
        desk.annotate(1, 4, 8)
        desk.annotator.propagate()
        for _ in range(2):
            desk.annotator.next_doubtful(0.5)
            desk.annotator.accept_slice()
        assert desk.annotator.next_doubtful(0.5) is None
        assert "in doubt" in desk.annotator.notice

    def test_follows_objects_that_are_relabelled_merged_and_deleted(self, desk):
        desk.annotate(1, 4)
        desk.annotate(2, 8)
        desk.annotator.propagate()
        n_two = len(desk.review.of(2))
        desk.annotator.relabel(2, 7)
        assert len(desk.review.of(7)) == n_two and not desk.review.of(2)
        desk.annotator.merge(1, 7)
        assert not desk.review.of(7)
        desk.annotator.delete(1)
        assert len(desk.review) == 0
        for _ in range(3):
            desk.annotator.undo()
        assert len(desk.review.of(2)) == n_two and not desk.review.of(7)

    def test_an_object_that_had_to_yield_is_not_edited(self, desk):
        desk.annotate(2, 8)
        desk.annotator.propagate()
        desk.show(5)
        desk.annotator.layers.points.add((5, *middle_of(2, 5)))
        desk.annotator.accept(overlap="overwrite")
        assert not (desk.labels[5] == 2).any()
        assert desk.states(2)[5] is ReviewState.BEYOND

    def test_is_saved_and_comes_back(self, desk, tmp_path):
        autosave = Autosave(desk.annotator, tmp_path / "kept", ImmediateExecutor())
        desk.annotate(1, 4, 8)
        desk.annotator.propagate()
        desk.show(6)
        desk.annotator.accept_slice()
        desk.annotator.layers.output.paint((6, 3, 3), 1)
        desk.annotator.propagate()
        autosave.save_if_needed()
        other = Desk()
        other.annotator.restore(read_annotation(tmp_path / "kept"))
        assert other.states(1) == desk.states(1)
        assert other.review.of(1) == desk.review.of(1)
        np.testing.assert_array_equal(other.labels, desk.labels)
        other.annotator.propagate()
        assert "up to date" in other.heard[-1]


class TestCorrection:
    def test_costs_the_spans_that_end_at_it_and_no_other(self, desk):
        desk.annotate(2, 2, 8, 13)
        desk.annotator.propagate()
        before = dict(desk.review.of(2))
        desk.show(5)
        desk.annotator.reopen(2)
        desk.annotator.layers.points.add((5, *middle_of(2, 5)))
        desk.annotator.accept()
        assert 5 not in desk.states(2)
        desk.annotator.propagate()
        line = desk.annotator.line()
        again = {line.index_of(shown) for shown, one in desk.review.of(2).items() if before.get(shown) != one}
        spans = spans_after_correction([2, 8, 13], 5, range(SHAPE[0]))
        assert again == {index for span in spans for index in span.slices} == {3, 4, 6, 7}

    def test_starts_from_the_propagated_mask(self, desk):
        desk.annotate(2, 8)
        desk.annotator.propagate()
        desk.show(5)
        desk.annotator.reopen(2)
        (prompt,) = desk.annotator.prompts
        np.testing.assert_array_equal(prompt.mask, TWO[5])

    def test_that_ends_an_object_earlier_frees_what_lies_beyond(self, desk):
        desk.annotate(2, 8)
        desk.annotator.propagate()
        desk.show(11)
        desk.annotator.layers.output.fill((11, *middle_of(2, 11)), 0)
        assert desk.states(2)[11] is ReviewState.EDITED
        desk.annotator.propagate()
        assert set(range(9)) <= set(desk.sections(2)) <= set(range(11))
        assert max(desk.states(2)) == 12

    def test_by_hand_of_an_annotated_slice_counts(self, desk):
        desk.annotate(2, 2, 8)
        desk.annotator.propagate()
        came_from = {z: one.came_from for z, one in zip(desk.states(2), desk.review.of(2).values(), strict=True)}
        desk.show(8)
        desk.annotator.layers.output.paint((8, *middle_of(2, 8)), 0)
        desk.annotator.propagate()
        again = {z: one.came_from for z, one in zip(desk.states(2), desk.review.of(2).values(), strict=True)}
        assert {z for z in came_from if came_from[z] != again.get(z)} == {*range(3, 8), *range(9, 16)}

    def test_other_pixels_of_the_image_put_all_out_of_date(self, desk):
        desk.annotate(2, 8)
        desk.annotator.propagate()
        desk.image.data = np.where(np.arange(16)[:, None, None] < 12, TUBES, 0).astype(np.uint8)
        desk.annotator.propagate()
        assert desk.sections(2) == list(range(12))


class TestUndo:
    def test_takes_a_run_back_whole_and_redo_repeats_it(self, desk):
        desk.annotate(1, 4, 8)
        before = desk.labels.copy()
        desk.annotator.propagate()
        after, notes = desk.labels.copy(), dict(desk.review.of(1))
        assert desk.annotator.undo_text == "propagate object 1"
        desk.annotator.undo()
        np.testing.assert_array_equal(desk.labels, before)
        assert len(desk.review) == 0
        desk.annotator.redo()
        np.testing.assert_array_equal(desk.labels, after)
        assert dict(desk.review.of(1)) == notes


class TestInTheWorker:
    @pytest.fixture
    def desk(self) -> Desk:
        return Desk(executor=HandExecutor())

    def work(self, desk, n_jobs: int) -> None:
        for _ in range(n_jobs):
            desk.executor.finish_job()

    def test_results_are_written_as_they_come(self, desk):
        desk.annotate(2, 8)
        desk.annotator.propagate()
        self.work(desk, 4)  # a look at the labels, then slice by slice
        assert desk.sections(2) == [8, 9, 10, 11]
        assert desk.annotator.propagation.is_running
        assert desk.annotator.propagation.index == 11

    def test_a_cancelled_run_keeps_what_is_done_and_goes_on_as_if_it_had_not_been(self, desk):
        desk.annotate(1, 4)
        desk.annotate(2, 4, 12)
        desk.annotator.propagate()
        self.work(desk, 5)
        assert desk.annotator.cancel_propagation()
        assert desk.annotator.propagation.is_cancelling
        desk.finish()
        assert not desk.annotator.propagation.is_running
        assert desk.heard[-1].startswith("Cancelled: propagated")
        done = desk.labels.copy()
        assert (done > 0).any(axis=(1, 2)).sum() > 2
        desk.annotator.propagate()
        desk.finish()
        whole = Desk()
        whole.annotate(1, 4)
        whole.annotate(2, 4, 12)
        whole.annotator.propagate()
        np.testing.assert_array_equal(desk.labels, whole.labels)
        assert {label: dict(desk.review.of(label)) for label in (1, 2)} == {
            label: dict(whole.review.of(label)) for label in (1, 2)
        }
        desk.annotator.undo()
        np.testing.assert_array_equal(desk.labels, done)

    def test_undo_of_a_cancelled_run_takes_back_all_of_it(self, desk):
        desk.annotate(2, 8)
        before = desk.labels.copy()
        desk.annotator.propagate()
        self.work(desk, 4)
        desk.annotator.cancel_propagation()
        desk.finish()
        desk.annotator.undo()
        np.testing.assert_array_equal(desk.labels, before)

    def test_undo_while_it_runs_ends_it_and_takes_it_back(self, desk):
        desk.annotate(2, 8)
        before = desk.labels.copy()
        desk.annotator.propagate()
        self.work(desk, 4)
        desk.annotator.undo()
        desk.finish()
        np.testing.assert_array_equal(desk.labels, before)
        assert not desk.annotator.propagation.is_running
        assert len(desk.review) == 0

    def test_undo_before_anything_was_written_only_ends_it(self, desk):
        desk.annotate(2, 8)
        text, before = desk.annotator.undo_text, desk.labels.copy()
        desk.annotator.propagate()
        desk.annotator.undo()
        desk.finish()
        assert desk.annotator.undo_text == text
        np.testing.assert_array_equal(desk.labels, before)

    def test_what_is_done_meanwhile_is_taken_back_first(self, desk):
        desk.annotate(2, 8)
        before = desk.labels.copy()
        desk.annotator.propagate()
        self.work(desk, 4)
        desk.annotator.layers.output.data_setitem((np.array([14]), np.array([2]), np.array([2])), 5)
        assert desk.annotator.undo_text.startswith("paint")
        desk.finish()
        desk.annotator.undo()
        assert desk.labels[14, 2, 2] == 0 and desk.sections(2) == list(range(16))
        desk.annotator.undo()
        np.testing.assert_array_equal(desk.labels, before)

    def test_a_slice_that_is_painted_meanwhile_is_left_alone(self, desk):
        desk.annotate(2, 8)
        desk.annotator.propagate()
        self.work(desk, 2)
        desk.annotator.layers.output.data_setitem((np.array([11]), np.array([2]), np.array([2])), 2)
        desk.finish()
        assert (desk.labels[11] == 2).sum() == 1
        assert desk.states(2)[11] is ReviewState.EDITED

    def test_closing_ends_it_quietly(self, desk):
        desk.annotate(2, 8)
        desk.annotator.propagate()
        self.work(desk, 3)
        done = desk.labels.copy()
        desk.annotator.close()
        desk.finish()
        np.testing.assert_array_equal(desk.labels, done)

    def test_an_error_keeps_what_is_done_and_is_told(self, desk):
        failures = []
        desk.annotator.failed.connect(failures.append)
        desk.annotate(2, 8)
        desk.annotator.propagate()
        self.work(desk, 3)

        def fail(*_):
            raise RuntimeError("no more")

        desk.model.predict_logits = fail
        desk.finish()
        assert [str(error) for error in failures] == ["no more"]
        assert desk.sections(2) == [8, 9, 10]
        desk.annotator.undo()
        desk.finish()
        assert desk.sections(2) == [8]


class TestWhatTheModelSees:
    def test_channels_with_contrast_and_gamma_as_for_a_click(self, desk):
        other = desk.viewer.add_image(255 - TUBES, name="other")
        given = ModelInput((Channel(desk.image, None, 0, (0, 400), 0.5), Channel(other)))
        planes = given.planes(desk.annotator.line())
        assert planes.shape == (*SHAPE, 3) and planes.dtype == np.uint8
        np.testing.assert_array_equal(planes[4, :, :], given.read(desk.annotator.line().at(4)))

    def test_lazy_images_are_read_plane_by_plane(self):
        dask_array = pytest.importorskip("dask.array")
        read = []

        def note(block, block_info=None):
            if block_info:
                read.append(block_info[0]["array-location"][0])
            return block

        lazy = dask_array.from_array(TUBES, chunks=(1, 60, 80)).map_blocks(note, dtype=np.uint8)
        desk = Desk(lazy)
        desk.annotate(2, 8)
        read.clear()
        desk.annotator.propagate(slices=(7, 10))
        assert {start for start, _ in read} <= {7, 8, 9} and {7, 9} <= {start for start, _ in read}
        np.testing.assert_array_equal(desk.labels[7:10] == 2, TWO[7:10])

    def test_of_further_axes_the_position_that_is_shown(self):
        series = np.stack([np.zeros_like(TUBES), TUBES, np.zeros_like(TUBES)])
        desk = Desk(series)
        desk.viewer.dims.set_point(0, 1)
        desk.annotate(2, 8)
        desk.annotator.propagate()
        np.testing.assert_array_equal(desk.labels == 2, np.stack([TWO & False, TWO, TWO & False]))

    def test_through_time_if_that_is_asked_for(self):
        series = np.repeat(TUBES[:, None], 3, axis=1)
        desk = Desk(series)
        desk.viewer.dims.set_point(0, 8)
        desk.viewer.dims.set_point(1, 1)
        desk.annotator.layers.points.add((8, 1, *middle_of(2, 8)))
        desk.annotator.accept()
        desk.annotator.propagate(axis=0)
        np.testing.assert_array_equal(desk.labels[:, 1] > 0, TWO)
        assert not desk.labels[:, [0, 2]].any()

    def test_along_the_axis_that_is_shown(self):
        desk = Desk(TUBES)
        desk.viewer.dims.order = (2, 0, 1)
        desk.viewer.dims.set_point(2, 30)
        desk.annotator.layers.points.add((7, 20, 30))
        desk.annotator.accept()
        desk.annotator.propagate(rules=StopRules.none())
        assert desk.annotator.line().axis == 2
        assert (desk.labels > 0).sum() > 300
        assert not ((desk.labels > 0) & ~ONE).any()


@pytest.mark.parametrize("seed", range(6))
def test_what_persons_did_never_changes_and_undo_restores_exactly(seed):
    rng = np.random.default_rng(seed)
    desk = Desk()
    annotator = desk.annotator
    output = annotator.layers.output
    output.data[rng.integers(0, 16, 40), rng.integers(0, 60, 40), rng.integers(0, 80, 40)] = 9
    annotator.lock(9)
    desk.annotate(1, int(rng.integers(2, 12)))
    desk.annotate(2, *(int(z) for z in rng.choice(16, 2, replace=False)))
    for _ in range(5):
        for _ in range(rng.integers(0, 3)):
            z = int(rng.integers(0, 16))
            desk.show(z)
            action = rng.choice(["paint", "accept", "annotate"])
            if action == "paint":
                output.brush_size = int(rng.integers(1, 8))
                output.paint((z, *(int(n) for n in rng.integers((0, 0), SHAPE[1:]))), int(rng.choice([0, 1, 2])))
            elif action == "annotate":
                desk.annotate(2, z)
            elif any(desk.review.get(label, annotator.line().at(z)) for label in desk.review.labels):
                try:
                    annotator.accept_slice()
                except NoSuchObjectError:
                    continue
        before, notes = output.data.copy(), {label: dict(desk.review.of(label)) for label in desk.review.labels}
        kept, done = _kept_slices(desk), annotator._history.done
        rules = StopRules() if rng.random() < 0.5 else StopRules(min_area=int(rng.integers(1, 90)))
        annotator.propagate(direction=rng.choice(["both", "up", "down"]), rules=rules)
        for label, z in kept:
            np.testing.assert_array_equal(output.data[z] == label, before[z] == label)
        np.testing.assert_array_equal(output.data == 9, before == 9)
        if annotator._history.done != done:
            after = output.data.copy()
            annotator.undo()
            np.testing.assert_array_equal(output.data, before)
            assert {label: dict(desk.review.of(label)) for label in desk.review.labels} == notes
            annotator.redo()
            np.testing.assert_array_equal(output.data, after)


def _kept_slices(desk) -> list[tuple[int, int]]:
    """(label, section) of all that was annotated, accepted or painted."""
    line = desk.annotator.line()
    kept = []
    for label in (1, 2):
        for z in range(SHAPE[0]):
            shown = line.at(z)
            noted = desk.review.get(label, shown)
            is_annotated = shown in desk.annotator.objects.get(label).slices
            is_painted = noted is None and (desk.labels[z] == label).any()
            if is_annotated or is_painted or (noted is not None and noted.is_protected):
                kept.append((label, z))
    return kept
