from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("napari")

from napari_segnext.annotator import (
    Annotator,
    AnnotatorError,
    NothingToAcceptError,
    SliceNotShownError,
    StillComputingError,
)
from napari_segnext.prompts import Box, Click, Scribble
from tests.annotator.conftest import DISK


def listen(annotator, *names):
    """(name, value) of every signal of these names, as they come."""
    heard = []
    for name in names:
        getattr(annotator, name).connect(lambda *values, name=name: heard.append((name, *values)))
    return heard


class TestPromptsGiveMasks:
    def test_each_click_gives_a_new_mask_in_the_preview(self, annotator):
        annotator.layers.points.add((5, 5))
        assert annotator.layers.preview.data.sum() == DISK
        annotator.layers.points.add((20, 20))
        assert annotator.layers.preview.data.sum() == 2 * DISK
        assert annotator.mask.sum() == 2 * DISK

    def test_negative_click_takes_away(self, annotator):
        annotator.layers.points.add((5, 5))
        annotator.set_sign(is_positive=False)
        annotator.layers.points.add((5, 7))
        assert annotator.prompts.items == (Click(5, 5), Click(5, 7, False))
        assert 0 < annotator.layers.preview.data.sum() < DISK

    def test_a_new_click_costs_one_prediction(self, annotator, fake_model):
        for column in (4, 12, 20):
            annotator.layers.points.add((5, column))
        assert (fake_model.n_encoded, fake_model.n_predicted) == (1, 3)

    def test_moving_a_click_moves_the_mask(self, annotator):
        points = annotator.layers.points
        points.add((5, 5))
        points.data = np.array([(20, 20)])
        assert annotator.prompts.items == (Click(20, 20),)
        assert annotator.mask[20, 20] and not annotator.mask[5, 5]

    def test_removing_the_last_click_empties_the_preview(self, annotator):
        annotator.layers.points.add((5, 5))
        annotator.layers.points.remove([0])
        assert annotator.mask is None
        assert not annotator.layers.preview.data.any()

    def test_order_is_that_of_giving_across_layers(self, annotator):
        layers = annotator.layers
        layers.scribbles.brush_size = 1
        layers.scribbles.paint((20, 20), 1)
        layers.shapes.add(np.array([(1, 1), (1, 9), (9, 9), (9, 1)]), shape_type="rectangle")
        layers.points.add((5, 5))
        assert annotator.prompts.items == (Scribble([(20, 20)]), Box(1, 1, 9, 9), Click(5, 5))

    def test_flipping_a_sign_in_the_features_table_counts(self, annotator):
        annotator.layers.points.add([(5, 5), (20, 20)])
        annotator.layers.points.features = {"is_positive": [True, False]}
        assert annotator.prompts.items[1] == Click(20, 20, False)
        assert [str(symbol) for symbol in annotator.layers.points.symbol] == ["disc", "x"]

    def test_napari_undo_of_a_stroke_takes_the_prompt_back(self, annotator):
        scribbles = annotator.layers.scribbles
        scribbles.paint((20, 20), 1)
        scribbles.paint((5, 5), 2)
        assert len(annotator.prompts) == 2
        scribbles.undo()
        assert len(annotator.prompts) == 1
        scribbles.redo()
        assert len(annotator.prompts) == 2

    def test_layers_that_hold_prompts_already_are_taken_up_and_stay(self, viewer, pixels, fake_model):
        image = viewer.add_image(pixels)
        points = viewer.add_points([(5, 5), (20, 20)])
        annotator = Annotator(viewer, image, fake_model, points=points)
        assert annotator.mask.sum() == 2 * DISK
        assert not annotator.undo()
        assert len(points.data) == 2

    def test_click_beside_the_image_is_told_and_the_rest_works(self, annotator):
        heard = listen(annotator, "noticed")
        annotator.layers.points.add((50, 50))
        assert "outside the image" in heard[0][1]
        assert annotator.notice
        annotator.layers.points.add((5, 5))
        assert annotator.mask.sum() == DISK
        annotator.layers.points.remove([0])
        assert annotator.notice == ""

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, bool], ids=str)
    def test_any_dtype(self, viewer, pixels, fake_model, dtype):
        annotator = Annotator(viewer, viewer.add_image(pixels.astype(dtype)), fake_model)
        annotator.layers.points.add((5, 5))
        assert annotator.mask.sum() == DISK

    def test_rgb_stack(self, viewer, fake_model):
        image = viewer.add_image(np.zeros((3, 20, 30, 3), np.uint8), rgb=True)
        annotator = Annotator(viewer, image, fake_model)
        annotator.layers.points.add((1, 5, 5))
        assert annotator.layers.preview.data[1].sum() == DISK

    def test_multiscale_image(self, viewer, fake_model):
        fine = np.random.default_rng(0).random((64, 64))
        image = viewer.add_image([fine, fine[::2, ::2]], multiscale=True)
        annotator = Annotator(viewer, image, fake_model)
        annotator.layers.points.add((50, 50))
        assert annotator.layers.preview.data[50, 50] == 1

    def test_scaled_and_moved_image_with_points_in_the_world(self, viewer, pixels, fake_model):
        image = viewer.add_image(pixels, scale=(2, 0.5), translate=(100, 200))
        points = viewer.add_points(np.zeros((0, 2)))
        annotator = Annotator(viewer, image, fake_model, points=points)
        points.add((100 + 2 * 7, 200 + 0.5 * 9))
        assert annotator.prompts.items == (Click(7, 9),)
        assert annotator.layers.preview.data[7, 9] == 1

    def test_transposed_view_gives_the_same_mask(self, viewer, pixels, fake_model):
        annotator = Annotator(viewer, viewer.add_image(pixels), fake_model)
        viewer.dims.order = (1, 0)
        annotator.layers.points.add((7, 9))
        assert annotator.prompts.items == (Click(7, 9),)


class TestAccept:
    def test_masks_go_under_the_next_free_label(self, annotator):
        annotator.layers.points.add((5, 5))
        assert annotator.accept() == 1
        annotator.layers.points.add((20, 20))
        assert annotator.accept() == 2
        output = annotator.layers.output.data
        assert [(output == label).sum() for label in (1, 2)] == [DISK, DISK]

    def test_prompts_and_preview_make_room(self, annotator):
        annotator.layers.points.add((5, 5))
        annotator.layers.shapes.add(np.array([(1, 1), (9, 9)]), shape_type="line")
        annotator.accept()
        assert len(annotator.layers.points.data) == len(annotator.layers.shapes.data) == 0
        assert not annotator.layers.preview.data.any()
        assert len(annotator.prompts) == 0

    def test_other_labels_are_never_overwritten(self, viewer, pixels, fake_model):
        image = viewer.add_image(pixels)
        theirs = np.zeros((32, 32), np.uint8)
        theirs[:, :6] = 40
        output = viewer.add_labels(theirs.copy())
        annotator = Annotator(viewer, image, fake_model, output=output)
        annotator.layers.points.add((5, 5))
        assert annotator.accept() == 41
        np.testing.assert_array_equal(output.data[theirs > 0], theirs[theirs > 0])
        assert 0 < (output.data == 41).sum() < DISK

    def test_accepting_into_a_label_of_choice(self, annotator):
        annotator.layers.points.add((5, 5))
        assert annotator.accept(label=7) == 7
        assert (annotator.layers.output.data == 7).sum() == DISK

    def test_nothing_to_accept_is_told(self, annotator):
        with pytest.raises(NothingToAcceptError, match="click on an object first"):
            annotator.accept()

    def test_mask_under_other_labels_changes_nothing(self, annotator):
        annotator.layers.output.data[:] = 3
        annotator.layers.points.add((5, 5))
        with pytest.raises(NothingToAcceptError, match="never overwritten"):
            annotator.accept()
        assert (annotator.layers.output.data == 3).all()
        assert len(annotator.prompts) == 1

    def test_old_mask_is_not_accepted_for_new_prompts(self, slow_annotator, executor):
        slow_annotator.layers.points.add((5, 5))
        executor.finish_all()
        slow_annotator.layers.points.add((20, 20))
        with pytest.raises(StillComputingError, match="older than the prompts"):
            slow_annotator.accept()
        assert not slow_annotator.layers.output.data.any()

    def test_key_tells_instead_of_raising(self, annotator):
        heard = listen(annotator, "failed")
        annotator.act("accept")
        assert isinstance(heard[0][1], NothingToAcceptError)

    def test_full_uint8_labels_are_widened(self, viewer, fake_model):
        image = viewer.add_image(np.zeros((64, 64), np.uint8))
        output = viewer.add_labels(np.zeros((64, 64), np.uint8))
        output.data[:, 60:] = np.arange(256).reshape(64, 4)
        annotator = Annotator(viewer, image, fake_model, output=output)
        annotator.layers.points.add((5, 5))
        assert annotator.accept() == 256
        assert (output.data == 256).sum() == DISK

    def test_napari_undo_after_accept_corrupts_nothing(self, annotator):
        output = annotator.layers.output
        for place in ((5, 5), (20, 20)):
            annotator.layers.points.add(place)
            annotator.accept()
        both = output.data.copy()
        output.undo()
        assert set(np.unique(output.data)) == {0, 1}
        output.undo()
        assert not output.data.any()
        output.undo()
        output.redo()
        output.redo()
        np.testing.assert_array_equal(output.data, both)

    def test_our_undo_after_napari_undo_corrupts_nothing(self, annotator):
        output = annotator.layers.output
        annotator.layers.points.add((5, 5))
        annotator.accept()
        output.undo()
        output.brush_size = 1
        # a plugin that writes without a word to napari
        output.data[5, 5] = 9
        annotator.undo()
        assert output.data[5, 5] == 9
        assert output.data.sum() == 9
        annotator.redo()
        assert output.data[5, 5] == 9
        assert (output.data == 1).sum() == DISK - 1

    def test_napari_undo_on_the_preview_does_nothing(self, annotator):
        annotator.layers.points.add((5, 5))
        before = annotator.layers.preview.data.copy()
        annotator.layers.preview.undo()
        np.testing.assert_array_equal(annotator.layers.preview.data, before)


class TestUndo:
    def test_undo_takes_the_last_prompt_out_of_its_layer(self, annotator):
        annotator.layers.points.add((5, 5))
        annotator.layers.points.add((20, 20))
        assert annotator.undo()
        np.testing.assert_array_equal(annotator.layers.points.data, [(5, 5)])
        assert annotator.mask.sum() == DISK

    def test_redo_puts_it_back_without_the_model(self, annotator, fake_model):
        annotator.layers.points.add((5, 5))
        annotator.layers.points.add((20, 20))
        annotator.undo()
        annotator.redo()
        assert annotator.prompts.items == (Click(5, 5), Click(20, 20))
        assert annotator.layers.preview.data.sum() == 2 * DISK
        assert fake_model.n_predicted == 2

    def test_every_kind_goes_back_and_forth(self, annotator):
        layers = annotator.layers
        layers.points.add((5, 5))
        layers.shapes.add(np.array([(1, 1), (1, 9), (9, 9), (9, 1)]), shape_type="ellipse")
        layers.scribbles.paint((20, 20), 2)
        layers.scribbles.paint((20, 25), 2)
        prompts = annotator.prompts
        painted = layers.scribbles.data.copy()
        for _ in range(4):
            assert annotator.undo()
        assert not annotator.undo()
        assert len(layers.points.data) == len(layers.shapes.data) == layers.scribbles.data.sum() == 0
        for _ in range(4):
            assert annotator.redo()
        assert annotator.prompts == prompts
        np.testing.assert_array_equal(layers.scribbles.data, painted)
        assert layers.shapes.shape_type == ["ellipse"]

    def test_reset_is_taken_back(self, annotator):
        annotator.layers.points.add([(5, 5), (20, 20)])
        annotator.reset()
        assert len(annotator.layers.points.data) == 0
        annotator.undo()
        assert annotator.mask.sum() == 2 * DISK

    def test_accept_is_taken_back_with_its_prompts_and_repeated(self, annotator):
        annotator.layers.points.add((5, 5))
        annotator.accept()
        annotator.undo()
        assert not annotator.layers.output.data.any()
        assert annotator.prompts.items == (Click(5, 5),)
        assert annotator.layers.preview.data.sum() == DISK
        annotator.redo()
        assert annotator.layers.output.data.sum() == DISK
        assert len(annotator.prompts) == 0

    def test_undo_of_accept_spares_the_other_objects(self, annotator):
        for place in ((5, 5), (6, 6), (20, 20)):
            annotator.layers.points.add(place)
            annotator.accept()
        first_two = np.where(annotator.layers.output.data < 3, annotator.layers.output.data, 0)
        annotator.undo()
        np.testing.assert_array_equal(annotator.layers.output.data, first_two)

    def test_undo_while_computing_is_seen_at_once(self, slow_annotator, executor):
        points = slow_annotator.layers.points
        points.add((5, 5))
        executor.finish_all()
        points.add((20, 20))
        executor.do_calls()
        slow_annotator.undo()
        np.testing.assert_array_equal(points.data, [(5, 5)])
        executor.finish_all()
        assert slow_annotator.layers.preview.data.sum() == DISK
        assert slow_annotator.prompts.items == (Click(5, 5),)

    def test_undo_before_the_click_was_read_takes_back_that_click(self, slow_annotator, executor):
        slow_annotator.layers.points.add((5, 5))
        assert slow_annotator.undo()
        executor.finish_all()
        assert len(slow_annotator.layers.points.data) == 0

    def test_buttons_know_what_can_be_done(self, annotator):
        assert (annotator.can_undo, annotator.can_redo) == (False, False)
        annotator.layers.points.add((5, 5))
        annotator.undo()
        assert (annotator.can_undo, annotator.can_redo) == (False, True)


class TestSigns:
    def press(self, annotator, position, *modifiers):
        """What napari does with a click in add mode: our callback and its own are run in turns."""
        points = annotator.layers.points
        event = SimpleNamespace(type="mouse_press", modifiers=modifiers, button=1)
        callbacks = [callback(points, event) for callback in points.mouse_drag_callbacks if callback.__name__ != "add"]
        for callback in callbacks:
            next(callback, None)
        points.add(position)
        event.type = "mouse_release"
        for callback in callbacks:
            next(callback, None)

    def test_shift_turns_the_sign_of_one_click(self, annotator):
        annotator.use_tool("click")
        self.press(annotator, (5, 5))
        self.press(annotator, (9, 9), "Shift")
        self.press(annotator, (20, 20))
        assert [click.is_positive for click in annotator.prompts] == [True, False, True]

    def test_shift_turns_negative_into_positive(self, annotator):
        annotator.use_tool("click")
        annotator.set_sign(is_positive=False)
        self.press(annotator, (5, 5), "Shift")
        self.press(annotator, (9, 9))
        assert [click.is_positive for click in annotator.prompts] == [True, False]

    def test_flip_changes_what_is_drawn_next(self, annotator):
        heard = listen(annotator, "sign_changed")
        annotator.use_tool("click")
        annotator.layers.points.add((5, 5))
        annotator.flip_sign()
        assert heard == [("sign_changed", False)]
        assert annotator.prompts.items == (Click(5, 5, True),)
        assert annotator.layers.scribbles.selected_label == 2

    @pytest.mark.parametrize("mode", ["select"])
    def test_flip_changes_selected_points(self, annotator, viewer, mode):
        points = annotator.layers.points
        points.add([(5, 5), (20, 20)])
        viewer.layers.selection.active = points
        points.mode = mode
        points.selected_data = {1}
        annotator.flip_sign()
        assert annotator.prompts.items == (Click(5, 5, True), Click(20, 20, False))
        assert annotator.is_positive
        annotator.undo()
        assert annotator.prompts.items == (Click(5, 5, True), Click(20, 20, True))

    def test_flip_changes_selected_lines(self, annotator, viewer):
        shapes = annotator.layers.shapes
        shapes.add(np.array([(5, 5), (9, 9)]), shape_type="line")
        viewer.layers.selection.active = shapes
        shapes.mode = "select"
        shapes.selected_data = {0}
        annotator.flip_sign()
        assert not annotator.prompts.items[0].is_positive


class TestStacks:
    def test_only_the_slice_that_is_shown_counts(self, stack_annotator, viewer, fake_model):
        stack_annotator.layers.points.add((1, 5, 5))
        stack_annotator.layers.points.add((2, 20, 20))
        assert stack_annotator.prompts.items == (Click(5, 5),)
        assert [plane.sum() for plane in stack_annotator.layers.preview.data] == [0, DISK, 0, 0]

    def test_another_slice_has_its_own_prompts_and_mask(self, stack_annotator, viewer):
        stack_annotator.layers.points.add((1, 5, 5))
        viewer.dims.set_point(0, 2)
        assert len(stack_annotator.prompts) == 0
        stack_annotator.layers.points.add((2, 20, 20))
        viewer.dims.set_point(0, 1)
        assert stack_annotator.prompts.items == (Click(5, 5),)

    def test_undo_goes_to_the_slice_where_the_change_was_made(self, stack_annotator, viewer):
        stack_annotator.layers.points.add((1, 5, 5))
        viewer.dims.set_point(0, 2)
        stack_annotator.layers.points.add((2, 20, 20))
        viewer.dims.set_point(0, 0)
        assert stack_annotator.undo()
        assert viewer.dims.current_step[0] == 2
        np.testing.assert_array_equal(stack_annotator.layers.points.data, [(1, 5, 5)])
        assert stack_annotator.undo()
        assert viewer.dims.current_step[0] == 1
        assert len(stack_annotator.layers.points.data) == 0
        assert stack_annotator.redo()
        assert stack_annotator.prompts.items == (Click(5, 5),)

    def test_undo_finds_a_slice_along_another_axis(self, stack_annotator, viewer):
        stack_annotator.layers.points.add((1, 5, 5))
        viewer.dims.order = (2, 0, 1)
        viewer.dims.set_point(2, 16)
        stack_annotator.layers.points.add((2, 7, 16))
        viewer.dims.order = (0, 1, 2)
        assert stack_annotator.undo()
        assert tuple(sorted(viewer.dims.displayed)) == (0, 1)
        np.testing.assert_array_equal(stack_annotator.layers.points.data, [(1, 5, 5)])

    def test_accept_writes_into_the_slice_and_leaves_the_others(self, stack_annotator, viewer):
        stack_annotator.layers.points.add((1, 5, 5))
        stack_annotator.accept()
        viewer.dims.set_point(0, 2)
        stack_annotator.layers.points.add((2, 5, 5))
        assert stack_annotator.accept() == 2
        assert [int(plane.max()) for plane in stack_annotator.layers.output.data] == [0, 1, 2, 0]

    def test_looking_through_slices_encodes_none(self, stack_annotator, viewer, fake_model):
        for index in range(4):
            viewer.dims.set_point(0, index)
        assert fake_model.n_encoded == 0

    def test_answer_for_a_slice_left_behind_is_dropped_and_asked_again_on_return(
        self, viewer, stack, fake_model, executor
    ):
        image = viewer.add_image(stack)
        viewer.dims.set_point(0, 1)
        annotator = Annotator(viewer, image, fake_model, executor=executor)
        annotator.layers.points.add((1, 5, 5))
        executor.do_calls()
        viewer.dims.set_point(0, 2)
        executor.finish_all()
        assert not annotator.layers.preview.data.any()
        viewer.dims.set_point(0, 1)
        executor.finish_all()
        assert annotator.layers.preview.data[1].sum() == DISK

    def test_slices_along_another_axis(self, viewer, stack, fake_model):
        image = viewer.add_image(stack)
        viewer.dims.order = (2, 0, 1)
        viewer.dims.set_point(2, 9)
        annotator = Annotator(viewer, image, fake_model)
        annotator.layers.points.add((2, 15, 9))
        assert annotator.prompts.items == (Click(2, 15),)
        assert annotator.layers.preview.data[2, 15, 9] == 1
        assert annotator.layers.preview.data[..., :9].sum() == 0
        annotator.accept()
        assert annotator.layers.output.data[..., 9].sum() > 0

    def test_anisotropic_stack(self, viewer, stack, fake_model):
        image = viewer.add_image(stack, scale=(4, 0.5, 0.5), translate=(8, 0, 0))
        viewer.dims.set_point(0, 16)
        annotator = Annotator(viewer, image, fake_model)
        annotator.layers.points.add((2, 5, 6))
        assert annotator.prompts.items == (Click(5, 6),)
        assert annotator.layers.preview.data[2].sum() == DISK

    def test_hidden_output_is_written_all_the_same(self, stack_annotator, viewer):
        stack_annotator.layers.output.visible = False
        viewer.dims.set_point(0, 3)
        stack_annotator.layers.points.add((3, 5, 5))
        stack_annotator.accept()
        stack_annotator.layers.output.visible = True
        assert [int(plane.sum()) for plane in stack_annotator.layers.output.data] == [0, 0, 0, DISK]

    def test_3d_view_is_told_and_going_back_goes_on(self, stack_annotator, viewer):
        heard = listen(stack_annotator, "noticed", "failed")
        stack_annotator.layers.points.add((1, 5, 5))
        viewer.dims.ndisplay = 3
        assert "2D" in heard[-1][1]
        assert stack_annotator.mask is None
        with pytest.raises(SliceNotShownError):
            stack_annotator.accept()
        viewer.dims.ndisplay = 2
        assert stack_annotator.mask.sum() == DISK


class TestLateAnswers:
    def test_only_the_newest_answer_is_shown(self, slow_annotator, executor):
        masks = []
        slow_annotator.mask_changed.connect(lambda: masks.append(int(slow_annotator.layers.preview.data.sum())))
        slow_annotator.layers.points.add((5, 5))
        executor.do_calls()
        slow_annotator.layers.points.add((20, 20))
        executor.do_calls()
        assert len(executor.jobs) == 1
        executor.finish_job()
        assert masks[-1:] in ([], [0])
        executor.finish_job()
        assert masks[-1] == 2 * DISK

    def test_stop_keeps_the_prompts_and_compute_goes_on(self, slow_annotator, executor):
        slow_annotator.layers.points.add((5, 5))
        executor.do_calls()
        slow_annotator.stop()
        executor.finish_all()
        assert slow_annotator.mask is None
        assert slow_annotator.has_given_up
        assert len(slow_annotator.layers.points.data) == 1
        assert "Stopped" in slow_annotator.notice
        slow_annotator.compute()
        executor.finish_all()
        assert slow_annotator.mask.sum() == DISK
        assert slow_annotator.notice == ""

    def test_another_click_goes_on_after_stop(self, slow_annotator, executor):
        slow_annotator.layers.points.add((5, 5))
        executor.do_calls()
        slow_annotator.stop()
        executor.finish_all()
        slow_annotator.layers.points.add((20, 20))
        executor.do_calls()
        assert slow_annotator.notice == ""
        executor.finish_all()
        assert slow_annotator.mask.sum() == 2 * DISK

    def test_error_of_the_model_is_told_and_the_next_click_works(
        self, slow_annotator, executor, fake_model, monkeypatch
    ):
        heard = listen(slow_annotator, "failed")
        with monkeypatch.context() as patch:
            patch.setattr(fake_model, "encode_image", lambda image: 1 / 0)
            slow_annotator.layers.points.add((5, 5))
            executor.finish_all()
        assert isinstance(heard[0][1], ZeroDivisionError)
        slow_annotator.layers.points.add((20, 20))
        executor.finish_all()
        assert slow_annotator.mask.sum() == 2 * DISK

    def test_prepare_encodes_ahead(self, slow_annotator, executor, fake_model):
        slow_annotator.prepare()
        assert slow_annotator.busy_text == "Encoding the image…"
        executor.finish_all()
        assert fake_model.n_encoded == 1
        slow_annotator.layers.points.add((5, 5))
        executor.finish_all()
        assert fake_model.n_encoded == 1

    def test_new_pixels_of_the_image_void_the_mask(self, annotator, fake_model, pixels):
        annotator.layers.points.add((5, 5))
        annotator.layers.image.data = 255 - pixels
        assert fake_model.n_encoded == 2
        assert annotator.mask.sum() == DISK

    def test_image_of_another_shape_ends_the_annotation(self, annotator):
        heard = listen(annotator, "closed")
        annotator.layers.image.data = np.zeros((16, 16), np.uint8)
        assert "another shape" in heard[0][1]


ROLES = ("image", "points", "shapes", "scribbles", "preview", "output")


class TestClosing:
    @pytest.mark.parametrize("role", ROLES)
    def test_deleting_a_layer_while_computing_ends_soundly(self, viewer, slow_annotator, executor, role):
        heard = listen(slow_annotator, "closed", "failed")
        layers = slow_annotator.layers
        layers.points.add((5, 5))
        executor.do_calls()
        viewer.layers.remove(getattr(layers, role))
        executor.finish_all()
        assert slow_annotator.is_closed
        assert [name for name, *_ in heard] == ["closed"]
        assert "was deleted" in heard[0][1]
        assert layers.preview not in viewer.layers
        layers.points.add((9, 9))
        layers.scribbles.paint((3, 3), 1)
        assert executor.jobs == executor.calls == []

    @pytest.mark.parametrize("role", ROLES)
    def test_deleting_a_layer_in_a_script(self, viewer, annotator, role):
        annotator.layers.points.add((5, 5))
        viewer.layers.remove(getattr(annotator.layers, role))
        assert annotator.is_closed

    def test_deleting_everything_at_once(self, viewer, slow_annotator, executor):
        slow_annotator.layers.points.add((5, 5))
        executor.do_calls()
        viewer.layers.select_all()
        viewer.layers.remove_selected()
        executor.finish_all()
        assert slow_annotator.is_closed
        assert len(viewer.layers) == 0

    def test_clearing_the_viewer_in_a_script(self, viewer, annotator):
        annotator.layers.points.add((5, 5))
        viewer.layers.clear()
        assert annotator.is_closed
        assert len(viewer.layers) == 0

    def test_closing_keeps_prompts_and_objects_and_removes_the_preview(self, viewer, annotator):
        annotator.layers.points.add((20, 20))
        annotator.accept()
        annotator.layers.points.add((5, 5))
        annotator.close()
        assert annotator.layers.preview not in viewer.layers
        assert len(annotator.layers.points.data) == 1
        assert annotator.layers.output.data.sum() == DISK

    def test_closing_leaves_no_callback_and_no_key(self, viewer, pixels, fake_model):
        image = viewer.add_image(pixels)
        points = viewer.add_points(np.zeros((0, 2)))
        counts = [
            len(emitter.callbacks) for emitter in (image.events.data, points.events.data, viewer.dims.events.order)
        ]
        keymap = dict(viewer.keymap)
        annotator = Annotator(viewer, image, fake_model, points=points)
        annotator.close()
        assert counts == [
            len(emitter.callbacks) for emitter in (image.events.data, points.events.data, viewer.dims.events.order)
        ]
        assert viewer.keymap == keymap
        assert points.keymap == {}
        assert points.mouse_drag_callbacks == []

    def test_closing_twice_is_closing_once(self, annotator):
        heard = listen(annotator, "closed")
        annotator.close()
        annotator.close()
        assert heard == [("closed", "")]

    def test_closed_annotator_refuses_in_words(self, annotator):
        annotator.close()
        with pytest.raises(AnnotatorError, match="start a new one"):
            annotator.undo()

    def test_a_new_annotation_goes_on_where_the_last_one_ended(self, viewer, annotator, fake_model):
        annotator.layers.points.add((5, 5))
        layers = annotator.layers
        annotator.close()
        again = Annotator(
            viewer, layers.image, fake_model,
            points=layers.points, shapes=layers.shapes, scribbles=layers.scribbles, output=layers.output,
        )  # fmt: skip
        assert again.mask.sum() == DISK

    def test_nothing_holds_a_closed_annotator(self, viewer, pixels, fake_model):
        annotator = Annotator(viewer, viewer.add_image(pixels), fake_model)
        annotator.layers.points.add((5, 5))
        annotator.close()
        reference = weakref.ref(annotator)
        del annotator
        gc.collect()
        assert reference() is None


class TestTools:
    def test_each_tool_selects_its_layer_and_mode(self, annotator, viewer):
        layers = annotator.layers
        wanted = {
            "click": (layers.points, "add"),
            "box": (layers.shapes, "add_rectangle"),
            "polygon": (layers.shapes, "add_polygon"),
            "line": (layers.shapes, "add_path"),
            "brush": (layers.scribbles, "paint"),
        }
        for name, (layer, mode) in wanted.items():
            annotator.use_tool(name)
            assert viewer.layers.selection.active == layer
            assert str(layer.mode) == mode

    def test_next_tool_goes_round(self, annotator):
        names = [annotator.use_next_tool().name for _ in range(6)]
        assert names == ["click", "box", "polygon", "line", "brush", "click"]

    def test_unknown_tool_is_told(self, annotator):
        with pytest.raises(ValueError, match="expected one of click, box"):
            annotator.use_tool("lasso")
