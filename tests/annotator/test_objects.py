"""Objects after they were accepted: reopened, renamed, locked, merged, deleted; and every undo between."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.utils.key_bindings import coerce_keybinding

from napari_segnext.annotator import (
    Annotator,
    DraftInTheWayError,
    LockedLabelError,
    NoSuchObjectError,
    NothingToAcceptError,
)
from napari_segnext.prompts import Click, MaskPrompt
from napari_segnext.session.cleanup import Cleanup

from .conftest import DISK


def accept_at(annotator, *places):
    """Accept an object for each place; their labels."""
    labels = []
    for place in places:
        annotator.layers.points.add(place)
        labels.append(annotator.accept())
    return labels


def pixels(annotator, label):
    return int((annotator.layers.output.data == label).sum())


class TestReopen:
    def test_prompts_come_back_and_the_object_goes_on(self, annotator):
        accept_at(annotator, (5, 5), (20, 20))
        annotator.reopen(1)
        assert annotator.prompts.items == (Click(5, 5),)
        assert annotator.draft.label == 1
        annotator.layers.points.add((10, 10))
        assert annotator.accept() == 1
        assert [pixels(annotator, label) for label in (1, 2)] == [2 * DISK, DISK]
        assert annotator.objects.get(1).n_prompts == 2

    def test_pixels_that_the_new_mask_has_not_are_freed(self, annotator):
        annotator.layers.points.add([(5, 5), (10, 10)])
        annotator.accept()
        annotator.reopen(1)
        annotator.layers.points.remove([1])
        annotator.accept()
        assert pixels(annotator, 1) == DISK
        assert annotator.layers.output.data[10, 10] == 0

    def test_what_was_painted_by_hand_survives_prompts_elsewhere(self, annotator):
        accept_at(annotator, (5, 5))
        output = annotator.layers.output
        output.brush_size = 1
        output.paint((5, 5), 0)
        output.paint((12, 5), 1)
        annotator.reopen(1)
        assert not annotator.mask[5, 5]
        assert annotator.mask[12, 5]
        annotator.layers.points.add((20, 20))
        annotator.accept()
        assert output.data[5, 5] == 0
        assert output.data[12, 5] == 1
        assert pixels(annotator, 1) == 2 * DISK

    def test_accepting_without_a_change_changes_nothing(self, annotator):
        accept_at(annotator, (5, 5))
        before = annotator.layers.output.data.copy()
        annotator.reopen(1)
        assert annotator.accept() == 1
        np.testing.assert_array_equal(annotator.layers.output.data, before)

    def test_reset_leaves_the_object_as_it_was(self, annotator):
        accept_at(annotator, (5, 5))
        annotator.reopen(1)
        annotator.layers.points.add((20, 20))
        annotator.reset()
        assert annotator.draft.is_empty
        assert pixels(annotator, 1) == DISK
        annotator.layers.points.add((20, 20))
        assert annotator.accept() == 2

    def test_removing_all_prompts_of_it_and_accepting_frees_it(self, annotator):
        accept_at(annotator, (5, 5))
        annotator.reopen(1)
        annotator.layers.points.remove([0])
        annotator.accept()
        assert pixels(annotator, 1) == 0

    def test_an_object_from_elsewhere_is_given_as_a_mask(self, viewer, pixels_with_square, fake_model):
        image, square = pixels_with_square
        layer = viewer.add_labels(square.astype(np.uint8) * 4)
        annotator = Annotator(viewer, viewer.add_image(image), fake_model, output=layer)
        annotator.reopen(4)
        assert isinstance(annotator.prompts.items[0], MaskPrompt)
        np.testing.assert_array_equal(annotator.mask, square)
        annotator.layers.points.add((20, 20))
        annotator.accept()
        assert ((layer.data == 4) & square).sum() == square.sum()
        assert layer.data[20, 20] == 4

    def test_prompts_in_the_way_are_not_lost(self, annotator):
        accept_at(annotator, (5, 5))
        annotator.layers.points.add((20, 20))
        with pytest.raises(DraftInTheWayError, match="accept or reset"):
            annotator.reopen(1)
        assert annotator.prompts.items == (Click(20, 20),)

    def test_an_object_on_another_slice_is_shown(self, stack_annotator, viewer):
        accept_at(stack_annotator, (1, 5, 5))
        viewer.dims.set_point(0, 3)
        stack_annotator.reopen(1)
        assert viewer.dims.current_step[0] == 1
        assert stack_annotator.prompts.items == (Click(5, 5),)

    def test_an_object_goes_on_on_another_slice(self, stack_annotator, viewer):
        accept_at(stack_annotator, (1, 5, 5))
        viewer.dims.set_point(0, 2)
        stack_annotator.continue_object(1)
        stack_annotator.layers.points.add((2, 6, 6))
        assert stack_annotator.accept() == 1
        assert [int((plane == 1).sum()) for plane in stack_annotator.layers.output.data] == [0, DISK, DISK, 0]
        assert len(stack_annotator.objects.get(1).slices) == 2

    def test_unknown_objects_are_told(self, annotator):
        with pytest.raises(NoSuchObjectError, match="no object 5"):
            annotator.reopen(5)


class TestWholeObjects:
    def test_delete_frees_pixels_and_is_taken_back(self, annotator):
        accept_at(annotator, (5, 5), (20, 20))
        both = annotator.layers.output.data.copy()
        annotator.delete(1)
        assert pixels(annotator, 1) == 0
        assert 1 not in annotator.objects
        annotator.undo()
        np.testing.assert_array_equal(annotator.layers.output.data, both)
        annotator.reopen(1)
        assert annotator.prompts.items == (Click(5, 5),)

    def test_merge_keeps_the_first_label_and_what_comes_from_the_others(self, annotator):
        accept_at(annotator, (5, 5), (20, 20))
        annotator.merge(1, 2)
        assert pixels(annotator, 1) == 2 * DISK
        annotator.reopen(1)
        assert annotator.prompts.items == (Click(5, 5),)
        annotator.layers.points.add((5, 12))
        annotator.accept()
        assert annotator.layers.output.data[20, 20] == 1
        for _ in range(4):
            annotator.undo()
        assert [pixels(annotator, label) for label in (1, 2)] == [DISK, DISK]

    def test_relabel_takes_the_prompts_along(self, annotator):
        accept_at(annotator, (5, 5))
        annotator.rename(1, "nucleus of cell 3")
        annotator.relabel(1, 30)
        assert pixels(annotator, 30) == DISK
        assert annotator.objects.get(30).name == "nucleus of cell 3"
        annotator.reopen(30)
        assert annotator.prompts.items == (Click(5, 5),)

    def test_labels_in_use_are_refused(self, annotator):
        accept_at(annotator, (5, 5), (20, 20))
        with pytest.raises(NoSuchObjectError, match="in use"):
            annotator.relabel(1, 2)

    def test_names_classes_and_locks_are_taken_back(self, annotator):
        accept_at(annotator, (5, 5))
        annotator.rename(1, "a")
        annotator.classify(1, class_name="mitochondrion")
        annotator.lock(1)
        record = annotator.objects.get(1)
        assert (record.name, record.class_name, record.is_locked) == ("a", "mitochondrion", True)
        for _ in range(3):
            annotator.undo()
        record = annotator.objects.get(1)
        assert (record.name, record.class_name, record.is_locked) == ("", "", False)

    def test_an_object_that_is_being_changed_is_not_deleted(self, annotator):
        accept_at(annotator, (5, 5))
        annotator.reopen(1)
        with pytest.raises(DraftInTheWayError):
            annotator.delete(1)

    def test_jumping_shows_slice_and_place(self, stack_annotator, viewer):
        accept_at(stack_annotator, (1, 5, 25))
        viewer.dims.set_point(0, 3)
        stack_annotator.jump_to(1)
        assert viewer.dims.current_step[0] == 1
        np.testing.assert_allclose(viewer.camera.center[-2:], (5, 25), atol=2)


class TestLocks:
    @pytest.fixture
    def locked(self, annotator):
        accept_at(annotator, (5, 5))
        annotator.lock(1)
        return annotator

    @pytest.mark.parametrize(
        "act",
        [
            lambda annotator: annotator.reopen(1),
            lambda annotator: annotator.delete(1),
            lambda annotator: annotator.merge(1, 2),
            lambda annotator: annotator.relabel(1, 9),
        ],
        ids=["reopen", "delete", "merge", "relabel"],
    )
    def test_locked_objects_refuse(self, locked, act):
        with pytest.raises(LockedLabelError, match="unlock it first"):
            act(locked)

    def test_accepting_does_not_reach_into_them(self, locked):
        locked.layers.points.add((6, 6))
        locked.accept(overlap="overwrite")
        assert pixels(locked, 1) == DISK

    def test_napari_brush_does_not_change_them(self, locked):
        output = locked.layers.output
        output.brush_size = 5
        before = output.data == 1
        output.paint((5, 5), 7)
        output.paint((25, 25), 1)
        np.testing.assert_array_equal(output.data == 1, before)
        assert "locked" in locked.notice

    def test_napari_fill_does_not_change_them(self, locked):
        output = locked.layers.output
        before = output.data == 1
        output.fill((5, 5), 0)
        np.testing.assert_array_equal(output.data == 1, before)


class TestReopenedObjects:
    """An object that is worked on cannot be taken away from under the hands."""

    @pytest.fixture
    def reopened(self, annotator):
        output = annotator.layers.output
        output.brush_size = 5
        output.paint((5, 5), 1)
        output.paint((20, 20), 2)
        annotator.reopen(1)
        return annotator

    @pytest.mark.parametrize(
        "act",
        [
            lambda annotator: annotator.delete(1),
            lambda annotator: annotator.merge(2, 1),
            lambda annotator: annotator.relabel(1, 9),
        ],
        ids=["delete", "merge into another", "relabel"],
    )
    def test_is_refused_without_a_record_too(self, reopened, act):
        before = reopened.layers.output.data.copy()
        with pytest.raises(DraftInTheWayError, match="object 1 is being changed; accept or reset it first"):
            act(reopened)
        np.testing.assert_array_equal(reopened.layers.output.data, before)

    def test_is_refused_on_another_slice_too(self, stack_annotator, viewer):
        accept_at(stack_annotator, (1, 5, 5))
        stack_annotator.reopen(1)
        viewer.dims.set_point(0, 2)
        with pytest.raises(DraftInTheWayError, match="on slice"):
            stack_annotator.delete(1)

    def test_others_can_be_merged_into_it(self, reopened):
        reopened.merge(1, 2)
        assert pixels(reopened, 2) == 0


class TestPainting:
    """Strokes of napari's own brush on the objects are changes like any other."""

    def test_strokes_are_taken_back_and_repeated_one_by_one(self, annotator):
        output = annotator.layers.output
        accept_at(annotator, (5, 5))
        accepted = output.data.copy()
        output.brush_size = 3
        output.paint((20, 20), 4)
        painted = output.data.copy()
        output.paint((5, 5), 0)
        assert annotator.undo_text == "erase"
        annotator.undo()
        np.testing.assert_array_equal(output.data, painted)
        assert annotator.undo_text == "paint object 4"
        annotator.undo()
        np.testing.assert_array_equal(output.data, accepted)
        annotator.redo()
        np.testing.assert_array_equal(output.data, painted)

    @pytest.mark.parametrize(
        "write",
        [
            lambda layer: layer.fill((5, 5), 8),
            lambda layer: layer.data_setitem((np.array([5, 6, 5]), np.array([5, 6, 5])), 8),
            lambda layer: layer.data_setitem((np.array([5, 6]), np.array([5, 6])), np.array([8, 9])),
        ],
        ids=["fill", "one value", "values"],
    )
    def test_whatever_napari_writes_is_taken_back(self, annotator, write):
        output = annotator.layers.output
        accept_at(annotator, (5, 5))
        before = output.data.copy()
        write(output)
        written = output.data.copy()
        assert (written != before).any()
        annotator.undo()
        np.testing.assert_array_equal(output.data, before)
        annotator.redo()
        np.testing.assert_array_equal(output.data, written)

    def test_a_stroke_of_several_parts_is_one_change(self, annotator):
        output = annotator.layers.output
        output.brush_size = 3
        with output.block_history():
            for column in range(5, 15):
                output.paint((10, column), 2)
        assert pixels(annotator, 2) > 20
        annotator.undo()
        assert not output.data.any()
        assert not annotator.can_undo

    def test_a_stroke_is_taken_back_on_its_slice_and_through_the_volume(self, stack_annotator, viewer):
        output = stack_annotator.layers.output
        output.n_edit_dimensions, output.brush_size = 3, 3
        viewer.dims.set_point(0, 1)
        output.paint((1, 10, 10), 3)
        assert len({int(plane) for plane in np.nonzero(output.data)[0]}) == 3
        viewer.dims.set_point(0, 3)
        stack_annotator.undo()
        assert viewer.dims.current_step[0] == 1
        assert not output.data.any()

    def test_painting_over_a_locked_object_and_undoing_leaves_it_as_it_was(self, annotator):
        output = annotator.layers.output
        accept_at(annotator, (5, 5))
        annotator.lock(1)
        before = output.data.copy()
        output.brush_size = 9
        output.paint((8, 8), 7)
        annotator.undo()
        np.testing.assert_array_equal(output.data, before)
        annotator.redo()
        np.testing.assert_array_equal(output.data == 1, before == 1)

    def test_accept_lock_and_ctrl_z_unlocks_before_it_frees(self, annotator, viewer):
        accept_at(annotator, (5, 5))
        annotator.lock(1)
        output = annotator.layers.output
        press = output.keymap[coerce_keybinding("Control-Z")]
        press(output)
        assert not annotator.objects.locked
        assert pixels(annotator, 1) == DISK
        press(output)
        assert not output.data.any()

    def test_what_was_painted_is_told_and_to_be_saved(self, annotator):
        told = []
        annotator.objects_changed.connect(lambda: told.append("objects"))
        annotator.edited.connect(lambda: told.append("edited"))
        annotator.layers.output.paint((5, 5), 4)
        assert set(told) == {"objects", "edited"}


class TestOverlap:
    def test_overwriting_takes_pixels_of_others_and_gives_them_back(self, annotator):
        accept_at(annotator, (5, 5))
        before = annotator.layers.output.data.copy()
        annotator.overlap = "overwrite"
        annotator.layers.points.add((6, 6))
        annotator.accept()
        assert pixels(annotator, 2) == DISK
        annotator.undo()
        np.testing.assert_array_equal(annotator.layers.output.data, before)

    def test_asking_names_the_others(self, annotator):
        accept_at(annotator, (5, 5))
        asked = []
        annotator.overlap = "ask"
        annotator.ask_overlap = lambda labels: asked.append(labels) or "cancel"
        annotator.layers.points.add((20, 20))
        annotator.accept()
        annotator.layers.points.add((6, 6))
        with pytest.raises(NothingToAcceptError, match="nothing was written"):
            annotator.accept()
        assert asked == [(1,)]
        assert len(annotator.prompts) == 1


class TestMaskPrompts:
    def test_a_mask_from_a_layer_with_another_grid(self, viewer, annotator, fake_model):
        coarse = np.zeros((8, 8), np.uint8)
        coarse[2:4, 3:5] = 6
        layer = viewer.add_labels(coarse, scale=(4, 4), translate=(1.5, 1.5))
        layer.selected_label = 6
        annotator.add_mask_from(layer)
        expected = np.zeros((32, 32), bool)
        expected[8:16, 12:20] = True
        np.testing.assert_array_equal(annotator.prompts.items[0].mask, expected)
        annotator.undo()
        assert len(annotator.prompts) == 0

    def test_masks_stay_with_clicks_and_go_with_reset(self, annotator):
        annotator.add_mask(np.eye(32, dtype=bool))
        annotator.layers.points.add((5, 5))
        assert [prompt.kind for prompt in annotator.prompts] == ["mask", "click"]
        annotator.reset()
        assert len(annotator.prompts) == 0


class TestThresholdAndCleanup:
    def test_a_radius_that_would_take_minutes_changes_nothing(self, annotator):
        annotator.layers.points.add((5, 5))
        with pytest.raises(ValueError, match="Give a smaller radius"):
            annotator.cleanup = Cleanup(opening=1e6)
        assert annotator.cleanup.is_off
        assert annotator.mask.sum() == DISK

    def test_changing_the_threshold_asks_no_model_and_is_taken_back_in_one(self, annotator, fake_model):
        annotator.layers.points.add((5, 5))
        n_predicted = fake_model.n_predicted
        for threshold in (0.6, 0.7, 0.999999):
            annotator.threshold = threshold
        assert annotator.mask.sum() == 0
        annotator.undo()
        assert annotator.threshold == 0.5
        assert annotator.mask.sum() == DISK
        assert fake_model.n_predicted == n_predicted

    def test_what_was_taken_back_does_not_come_back_with_the_next_object(self, annotator):
        annotator.layers.points.add((5, 5))
        annotator.threshold = 0.8
        annotator.undo()
        annotator.accept()
        assert annotator.threshold == 0.5

    def test_it_stays_for_the_next_object(self, annotator):
        annotator.threshold = 0.3
        accept_at(annotator, (5, 5))
        assert annotator.threshold == 0.3

    def test_nonsense_is_refused(self, annotator):
        with pytest.raises(ValueError, match="between 0 and 1"):
            annotator.threshold = 1.5


def test_random_edits_undos_and_redos_end_where_they_should(viewer, stack, fake_model):
    """Whatever is done, going all the way back gives the beginning, and all the way ahead the end."""
    rng = np.random.default_rng(3)
    image = viewer.add_image(stack, name="stack")
    viewer.dims.set_point(0, 1)
    annotator = Annotator(viewer, image, fake_model)
    output = annotator.layers.output

    def state():
        return output.data.copy(), annotator.objects

    def any_label():
        labels = np.unique(output.data)[1:]
        return int(rng.choice(labels)) if len(labels) else 1

    actions = {
        "click": lambda: annotator.layers.points.add((viewer.dims.current_step[0], *rng.integers(0, 32, 2))),
        "accept": lambda: annotator.accept(overlap=rng.choice(["keep", "overwrite"])),
        "slice": lambda: viewer.dims.set_point(0, int(rng.integers(4))),
        "undo": annotator.undo,
        "redo": annotator.redo,
        "reset": annotator.reset,
        "reopen": lambda: annotator.reopen(any_label()),
        "continue": lambda: annotator.continue_object(any_label()),
        "delete": lambda: annotator.delete(any_label()),
        "merge": lambda: annotator.merge(any_label(), any_label()),
        "lock": lambda: annotator.lock(any_label(), is_locked=bool(rng.random() < 0.3)),
        "rename": lambda: annotator.rename(any_label(), str(rng.integers(100))),
        "threshold": lambda: setattr(annotator, "threshold", float(rng.uniform(0.1, 0.9))),
    }
    chances = np.array([6, 4, 2, 2, 1, 0.5, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5])
    for _ in range(150):
        action = rng.choice(list(actions), p=chances / chances.sum())
        locked = {label: output.data == label for label in annotator.objects.locked}
        try:
            actions[action]()
        except (NothingToAcceptError, NoSuchObjectError, LockedLabelError, DraftInTheWayError):
            continue
        if action not in ("undo", "redo"):
            for label, before in locked.items():
                np.testing.assert_array_equal(output.data == label, before)
    end, records = state()
    n_done = len(annotator._history.done)
    while annotator.undo():
        pass
    assert not output.data.any()
    assert len(annotator.objects) == 0
    for _ in range(n_done):
        annotator.redo()
    np.testing.assert_array_equal(output.data, end)
    assert annotator.objects == records


class TestCtrlZOfNapari:
    """Napari takes back what was written into the pixels, whoever wrote it; ours then finds them changed."""

    @pytest.mark.parametrize("stroke", ["paint", "fill", "paint_polygon"])
    def test_strokes_of_scripts_leave_locked_objects(self, annotator, stroke):
        accept_at(annotator, (5, 5), (20, 20))
        annotator.lock(1)
        output = annotator.layers.output
        before = output.data.copy()
        output.brush_size = 5
        where = [(3, 3), (3, 9), (9, 9), (9, 3)] if stroke == "paint_polygon" else (5, 5)
        getattr(output, stroke)(where, 7)
        np.testing.assert_array_equal(output.data == 1, before == 1)

    def test_whatever_is_taken_back_between_ours_no_other_object_changes(self, annotator):
        rng = np.random.default_rng(5)
        output = annotator.layers.output
        output.brush_size = 3
        actions = {
            "accept": lambda: accept_at(annotator, rng.integers(0, 32, 2)),
            "undo": annotator.undo,
            "redo": annotator.redo,
            "napari undo": output.undo,
            "napari redo": output.redo,
            "delete": lambda: annotator.delete(int(rng.integers(1, 6))),
            "merge": lambda: annotator.merge(*rng.permutation(np.arange(1, 6))[:2].tolist()),
            "paint": lambda: output.paint(tuple(rng.integers(0, 32, 2)), int(rng.integers(0, 6))),
        }
        for _ in range(300):
            name = str(rng.choice(list(actions)))
            before = output.data.copy()
            done = annotator._history.done[-1:] if name == "undo" else annotator._history.undone[-1:]
            try:
                actions[name]()
            except (NothingToAcceptError, NoSuchObjectError, DraftInTheWayError):
                annotator.reset()
                continue
            if name in ("undo", "redo") and done:
                allowed = np.zeros(output.data.shape, bool)
                for edit in done[0].labels:
                    held = edit.after if name == "undo" else edit.before
                    allowed[edit.indices] = before[edit.indices] == held
                np.testing.assert_array_equal(output.data[~allowed], before[~allowed])


def test_merging_none_or_one_is_told(annotator):
    for labels in ((), (1,), (1, 1)):
        with pytest.raises(NoSuchObjectError, match="pick two or more"):
            annotator.merge(*labels)
