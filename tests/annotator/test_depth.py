"""Depth from a layer, and depth and order map as layers."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel

from napari_segnext.annotator import Annotator, AnnotatorError, LayerMismatchError
from napari_segnext.annotator.annotation import read_annotation
from napari_segnext.annotator.autosave import Autosave
from napari_segnext.annotator.depth import fits_depth
from napari_segnext.annotator.executor import ImmediateExecutor
from napari_segnext.annotator.layers import is_view
from tests.depth_model import DepthModel

SHAPE = (4, 32, 32)
DEPTH, ORDER = "SegNext depth", "SegNext order"


@pytest.fixture
def model() -> DepthModel:
    return DepthModel()


@pytest.fixture
def columns() -> np.ndarray:
    """`(4, 32, 32)` float, a depth that grows from the first column to the last."""
    return np.broadcast_to(np.arange(32.0), SHAPE).copy()


@pytest.fixture
def desk(viewer, stack, model) -> Annotator:
    """On a stack of 4 slices of which slice 1 is shown; the model's own depth grows along the rows."""
    image = viewer.add_image(stack, name="stack")
    viewer.dims.set_point(0, 1)
    return Annotator(viewer, image, model)


@pytest.fixture
def height(viewer, desk, columns):
    return viewer.add_image(columns, name="height")


def lies_along_rows(annotator) -> bool:
    """Whether the mask was found by the depth of the model's own, which is the same all along a row."""
    return bool((annotator.mask == annotator.mask[:, :1]).all())


def lies_along_columns(annotator) -> bool:
    """Whether the mask was found by the depth that grows along the columns."""
    return bool((annotator.mask == annotator.mask[:1]).all())


class TestDepthLayer:
    def test_the_mask_is_found_anew_from_the_same_prompts(self, desk, height, model):
        desk.layers.points.add((1, 5, 12))
        assert desk.depth_layer is None and lies_along_rows(desk) and desk.mask[5, 0]
        n_encoded = model.n_encoded
        desk.depth_layer = height
        assert lies_along_columns(desk) and desk.mask[0, 12] and not desk.mask[0, 0]
        desk.depth_layer = None
        assert lies_along_rows(desk)
        assert model.n_encoded == n_encoded and len(desk.prompts) == 1

    def test_of_a_stack_each_slice_has_its_own(self, desk, viewer, columns):
        columns[2] = columns[2].T
        desk.depth_layer = viewer.add_image(columns)
        for index, lies_as_expected in ((0, lies_along_columns), (2, lies_along_rows)):
            viewer.dims.set_point(0, index)
            desk.layers.points.add((index, 5, 12))
            assert lies_as_expected(desk)

    def test_a_plane_holds_for_all_slices(self, desk, viewer, columns):
        desk.depth_layer = viewer.add_image(columns[0])
        for index in (1, 3):
            viewer.dims.set_point(0, index)
            desk.layers.points.add((index, 5, 12))
            assert lies_along_columns(desk)

    def test_it_is_read_pixel_by_pixel_wherever_it_lies(self, desk, viewer, columns):
        desk.depth_layer = viewer.add_image(columns, scale=(3, 0.5, 7), translate=(0, -40, 9))
        viewer.dims.set_point(0, 1)
        desk.layers.points.add((1, 5, 12))
        assert lies_along_columns(desk) and desk.mask[0, 12]

    def test_of_a_multiscale_layer_the_level_that_fits_is_read(self, desk, viewer, columns):
        fine = columns.repeat(2, 1).repeat(2, 2)
        desk.depth_layer = viewer.add_image([fine, columns, columns[:, ::2, ::2]], multiscale=True)
        desk.layers.points.add((1, 5, 12))
        assert lies_along_columns(desk) and desk.mask[0, 12]

    def test_a_coarser_level_of_the_image_has_a_depth_of_that_size(self, viewer, model, columns):
        levels = [np.zeros((64, 64), np.uint8), np.zeros((32, 32), np.uint8)]
        image = viewer.add_image(levels, multiscale=True, name="pyramid")
        annotator = Annotator(viewer, image, model, level=1)
        with pytest.raises(LayerMismatchError, match=r"expected real numbers of shape \(32, 32\)"):
            annotator.depth_layer = viewer.add_image(np.zeros((64, 64)))
        annotator.depth_layer = viewer.add_image(columns[0])
        annotator.layers.points.add((5, 12))
        assert lies_along_columns(annotator)

    def test_the_image_itself_may_be_its_depth(self, viewer, model, columns):
        image = viewer.add_image(columns[0], name="height map")
        annotator = Annotator(viewer, image, model)
        annotator.depth_layer = image
        annotator.layers.points.add((5, 12))
        assert lies_along_columns(annotator)

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda view: view.add_image(np.zeros((4, 16, 32))), r"shape \(4, 16, 32\) .* expected real numbers"),
            (lambda view: view.add_image(np.zeros((3, 32, 32))), "Resize the depth to the image first"),
            (lambda view: view.add_image(np.zeros((*SHAPE, 3)), rgb=True), "is RGB; expected one number"),
            (lambda view: view.add_labels(np.zeros(SHAPE, int)), "is no image layer"),
            (lambda view: view.layers[ORDER], "shows what the model says"),
        ],
        ids=["rows", "slices", "RGB", "labels", "order map"],
    )
    def test_what_is_no_depth_of_the_image_is_refused_and_changes_nothing(self, desk, viewer, height, make, words):
        desk.depth_layer = height
        desk.shows_order = True
        with pytest.raises(LayerMismatchError, match=words):
            desk.depth_layer = make(viewer)
        assert desk.depth_layer is height

    def test_a_layer_of_another_viewer_is_refused(self, desk, columns):
        with pytest.raises(LayerMismatchError, match="is not in the viewer"):
            desk.depth_layer = ViewerModel().add_image(columns)

    def test_axes_that_the_depth_has_not_are_told_when_they_are_shown(self, desk, viewer, columns):
        desk.depth_layer = viewer.add_image(columns[0])
        desk.layers.points.add((1, 5, 12))
        with pytest.raises(LayerMismatchError, match="none along axis 0 of the image, which is shown now"):
            viewer.dims.order = (1, 0, 2)
            desk.layers.points.add((2, *desk.shown.index, 12))

    def test_a_model_that_reads_none_keeps_it_and_does_not_use_it(self, stack_annotator, viewer, columns, fake_model):
        stack_annotator.layers.points.add((1, 5, 5))
        before, n_predicted = stack_annotator.mask, fake_model.n_predicted
        layer = viewer.add_image(columns)
        stack_annotator.depth_layer = layer
        assert stack_annotator.depth_layer is layer and not stack_annotator.reads_depth
        np.testing.assert_array_equal(stack_annotator.mask, before)
        assert fake_model.n_predicted == n_predicted


class TestChanges:
    def test_other_data_count(self, desk, height, columns):
        desk.depth_layer = height
        desk.layers.points.add((1, 5, 12))
        height.data = columns.transpose(0, 2, 1)
        assert lies_along_rows(desk)

    def test_data_of_another_shape_end_it_and_it_is_told(self, desk, height, columns):
        desk.depth_layer = height
        desk.layers.points.add((1, 5, 12))
        height.data = columns[:, :16]
        assert desk.depth_layer is None and lies_along_rows(desk)
        assert desk.notice == "Layer 'height' got another shape, so the model's own depth is used."

    def test_pixels_that_are_written_count_once_the_layer_is_refreshed(self, desk, height, columns):
        desk.depth_layer = height
        desk.layers.points.add((1, 5, 12))
        height.data[1] = columns[1].T
        height.refresh()
        assert lies_along_rows(desk)

    def test_a_refresh_alone_and_another_slice_ask_nobody(self, desk, height, viewer, model):
        desk.depth_layer = height
        desk.layers.points.add((1, 5, 12))
        n_encoded, n_predicted = model.n_encoded, model.n_predicted
        height.refresh()
        for index in (2, 1):
            viewer.dims.set_point(0, index)
        height.contrast_limits = (3, 4)
        assert (model.n_encoded, model.n_predicted) == (n_encoded, n_predicted)

    def test_a_layer_that_is_removed_is_the_depth_no_more(self, desk, height, viewer):
        told = []
        desk.depth_layer = height
        desk.layers.points.add((1, 5, 12))
        desk.depth_changed.connect(lambda: told.append(desk.depth_layer))
        viewer.layers.remove(height)
        assert desk.depth_layer is None and told == [None] and lies_along_rows(desk)

    def test_it_is_no_step_that_undo_takes_back(self, desk, height):
        desk.layers.points.add((1, 5, 12))
        desk.depth_layer, desk.shows_depth, desk.shows_order = height, True, True
        assert desk.undo_text == "add a click"
        desk.undo()
        assert desk.depth_layer is height and not desk.can_undo

    def test_nothing_is_heard_any_more_after_the_end(self, desk, height, columns, viewer):
        desk.depth_layer = height
        desk.close()
        told = []
        desk.depth_changed.connect(lambda: told.append(1))
        height.data = columns + 1
        viewer.layers.remove(height)
        assert not told


class TestMaps:
    def test_show_depth_and_order_of_the_slice_over_the_image_and_under_the_prompts(self, desk, height, viewer):
        desk.depth_layer = height
        active = viewer.layers.selection.active
        desk.shows_order = desk.shows_depth = True
        names = [layer.name for layer in viewer.layers]
        assert names[:3] == ["stack", DEPTH, ORDER] and viewer.layers.selection.active is active
        np.testing.assert_allclose(
            viewer.layers[DEPTH].data[1], np.broadcast_to(np.arange(32) / 31, (32, 32)), atol=1e-6
        )
        assert np.isnan(viewer.layers[ORDER].data).all()
        desk.layers.points.add((1, 5, 12))
        order = viewer.layers[ORDER].data[1]
        np.testing.assert_allclose(order, np.broadcast_to(np.abs(np.arange(32) - 12) / 31, (32, 32)), atol=1e-6)
        assert tuple(viewer.layers[ORDER].contrast_limits) == (0, 1)

    def test_follow_each_prompt_and_say_nothing_without_one_on_the_object(self, desk, viewer):
        desk.shows_order = True
        desk.layers.points.add((1, 5, 12))
        first = np.array(viewer.layers[ORDER].data[1])
        desk.layers.points.add((1, 25, 12))
        second = np.array(viewer.layers[ORDER].data[1])
        assert first[5, 0] == 0
        # embeddings are kept in half precision
        np.testing.assert_allclose(second[[5, 15, 25], 0], [10 / 31, 0, 10 / 31], atol=1e-3)
        desk.undo()
        np.testing.assert_array_equal(viewer.layers[ORDER].data[1], first)
        desk.flip_sign()
        desk.reset()
        assert np.isnan(viewer.layers[ORDER].data).all()
        desk.layers.points.add((1, 9, 9))
        assert np.isnan(viewer.layers[ORDER].data).all() and desk.prompts.items[0].is_positive is False

    def test_follow_the_slice_and_the_depth(self, desk, viewer, height, columns):
        columns[2] = columns[2].T
        height.data = columns
        desk.shows_depth = True
        assert viewer.layers[DEPTH].data[1][31, 0] == 1
        desk.depth_layer = height
        assert viewer.layers[DEPTH].data[1][31, 0] == 0
        viewer.dims.set_point(0, 2)
        assert viewer.layers[DEPTH].data[2][31, 0] == 1
        viewer.dims.order = (1, 0, 2)
        assert viewer.layers[DEPTH].data.shape == SHAPE

    def test_cost_no_answer_of_the_model(self, desk, model):
        desk.layers.points.add((1, 5, 12))
        n_predicted, n_encoded = model.n_predicted, model.n_encoded
        desk.shows_depth = desk.shows_order = True
        assert (model.n_predicted, model.n_encoded) == (n_predicted, n_encoded)

    def test_are_computed_in_the_worker_and_another_slice_is_empty_until_then(self, viewer, stack, model, executor):
        image = viewer.add_image(stack)
        annotator = Annotator(viewer, image, model, executor=executor)
        executor.finish_all()
        annotator.shows_depth = True
        executor.do_calls()
        assert np.isnan(viewer.layers[DEPTH].data).all() and annotator.is_busy
        executor.finish_all()
        assert np.isfinite(viewer.layers[DEPTH].data).all()
        viewer.dims.set_point(0, 3)
        executor.do_calls()
        assert np.isnan(viewer.layers[DEPTH].data).all()
        executor.finish_all()
        assert np.isfinite(viewer.layers[DEPTH].data).all()

    def test_what_is_out_of_date_is_empty_on_another_slice(self, viewer, stack, columns, model, executor):
        image = viewer.add_image(stack)
        annotator = Annotator(viewer, image, model, executor=executor)
        annotator.shows_depth = True
        executor.finish_all()
        annotator.depth_layer = viewer.add_image(columns)
        executor.do_calls()
        assert np.isfinite(viewer.layers[DEPTH].data).all()
        viewer.dims.set_point(0, 3)
        executor.do_calls()
        assert np.isnan(viewer.layers[DEPTH].data).all()
        executor.finish_all()
        assert (viewer.layers[DEPTH].data[3, 0, 31], viewer.layers[DEPTH].data[3, 31, 0]) == (1, 0)

    def test_a_late_order_map_is_dropped_after_a_newer_click(self, viewer, pixels, model, executor):
        annotator = Annotator(viewer, viewer.add_image(pixels), model, executor=executor)
        executor.finish_all()
        annotator.shows_order = True
        annotator.layers.points.add((5, 5))
        executor.do_calls()
        annotator.layers.points.add((25, 5))
        executor.do_calls()
        executor.finish_job()
        assert np.isnan(viewer.layers[ORDER].data).all()
        executor.finish_all()
        assert viewer.layers[ORDER].data[15, 0] == pytest.approx(0, abs=1e-3)

    def test_lie_where_the_image_lies_and_hold_one_plane(self, viewer, stack, model):
        image = viewer.add_image(stack, scale=(3, 2, 0.5), translate=(1, 2, 3), rotate=20, name="turned")
        annotator = Annotator(viewer, image, model)
        annotator.shows_depth = True
        layer = viewer.layers[DEPTH]
        for one, other in (
            (layer.scale, image.scale),
            (layer.translate, image.translate),
            (layer.rotate, image.rotate),
        ):
            np.testing.assert_allclose(one, other)
        assert layer.data.strides[0] == 0 and not layer.data.flags.writeable

    def test_vanish_when_they_are_switched_off_and_at_the_end(self, desk, viewer):
        desk.shows_depth = desk.shows_order = True
        desk.shows_depth = False
        assert DEPTH not in viewer.layers and ORDER in viewer.layers
        desk.close()
        assert ORDER not in viewer.layers

    def test_somebody_may_remove_them(self, desk, viewer):
        told = []
        desk.shows_depth = desk.shows_order = True
        desk.depth_changed.connect(lambda: told.append((desk.shows_depth, desk.shows_order)))
        viewer.layers.remove(DEPTH)
        assert told == [(False, True)]
        desk.layers.points.add((1, 5, 12))
        desk.shows_depth = True
        assert np.isfinite(viewer.layers[DEPTH].data).all()

    def test_are_no_images_to_work_on(self, desk, viewer):
        desk.shows_depth = desk.shows_order = desk.shows_probability = True
        views = {layer.name for layer in viewer.layers if is_view(layer)}
        assert views == {DEPTH, ORDER, "SegNext probability"}
        assert not fits_depth(viewer.layers[DEPTH], desk.layers.image)

    def test_of_a_model_that_reads_no_depth_are_refused(self, stack_annotator):
        for name in ("shows_depth", "shows_order"):
            with pytest.raises(AnnotatorError, match="fake reads no depth; choose an OIS model"):
                setattr(stack_annotator, name, True)


class TestSaving:
    @pytest.fixture
    def saved(self, desk, height, tmp_path):
        desk.depth_layer, desk.shows_depth = height, True
        desk.layers.points.add((1, 5, 12))
        autosave = Autosave(desk, tmp_path / "here", ImmediateExecutor())
        desk.accept()
        desk.layers.points.add((1, 20, 20))
        autosave.save_if_needed()
        return read_annotation(autosave.folder)

    def test_the_name_comes_back(self, saved, stack, columns):
        assert saved.prompts.image.depth == "height"
        viewer = ViewerModel()
        image, height = viewer.add_image(stack, name="stack"), viewer.add_image(columns, name="height")
        viewer.dims.set_point(0, 1)
        annotator = Annotator(viewer, image, DepthModel())
        annotator.restore(saved)
        assert annotator.depth_layer is height and lies_along_columns(annotator)
        assert [layer.name for layer in viewer.layers if is_view(layer)] == []

    def test_a_layer_that_is_missing_is_told_and_all_else_comes_back(self, saved, stack, columns):
        viewer = ViewerModel()
        image = viewer.add_image(stack, name="stack")
        viewer.add_image(columns[:, :9], name="height")
        viewer.dims.set_point(0, 1)
        annotator = Annotator(viewer, image, DepthModel())
        told = []
        annotator.noticed.connect(told.append)
        annotator.restore(saved)
        assert annotator.depth_layer is None and len(annotator.objects) == 1 and lies_along_rows(annotator)
        assert any(text.startswith("The model's own depth is used: image layer 'height' has shape") for text in told)

    def test_a_new_depth_is_something_to_save_and_no_depth_is_not_named(self, desk, height, tmp_path):
        autosave = Autosave(desk, tmp_path / "here", ImmediateExecutor())
        desk.layers.points.add((1, 5, 12))
        autosave.save_if_needed()
        assert read_annotation(autosave.folder).prompts.image.depth == ""
        desk.depth_layer = height
        autosave.save_if_needed()
        assert read_annotation(autosave.folder).prompts.image.depth == "height"
