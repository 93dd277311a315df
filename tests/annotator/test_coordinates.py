from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

from napari_segnext.annotator.coordinates import ShownSlice, SliceFrame, finest_level, image_plane
from napari_segnext.annotator.errors import SliceNotShownError


def test_2d_image_is_its_own_slice(viewer, pixels):
    frame = SliceFrame.of(viewer, viewer.add_image(pixels))
    assert frame.shown == ShownSlice(axes=(0, 1), index=(), shape=(32, 32))


def test_stack_gives_the_slice_the_slider_stands_at(viewer, stack):
    image = viewer.add_image(stack)
    viewer.dims.set_point(0, 3)
    shown = SliceFrame.of(viewer, image).shown
    assert shown == ShownSlice(axes=(1, 2), index=(3,), shape=(32, 32))
    np.testing.assert_array_equal(image_plane(image.data, shown), stack[3])


def test_anisotropic_stack_is_indexed_in_pixels_not_in_world(viewer, stack):
    image = viewer.add_image(stack, scale=(5, 0.5, 0.5), translate=(100, 7, -3))
    viewer.dims.set_point(0, 110)
    assert SliceFrame.of(viewer, image).shown.index == (2,)


def test_transposed_view_shows_the_same_slice(viewer, stack):
    image = viewer.add_image(stack)
    before = SliceFrame.of(viewer, image).shown
    viewer.dims.order = (0, 2, 1)
    assert SliceFrame.of(viewer, image).shown == before


def test_rolled_axes_cut_along_another_axis(viewer):
    data = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    image = viewer.add_image(data)
    viewer.dims.order = (2, 0, 1)
    viewer.dims.set_point(2, 4)
    shown = SliceFrame.of(viewer, image).shown
    assert shown == ShownSlice(axes=(0, 1), index=(4,), shape=(4, 5))
    np.testing.assert_array_equal(image_plane(image.data, shown), data[:, :, 4])


def test_rgb_axis_is_no_axis_of_the_slice(viewer):
    image = viewer.add_image(np.zeros((4, 20, 30, 3), np.uint8), rgb=True)
    shown = SliceFrame.of(viewer, image).shown
    assert shown.shape == (20, 30)
    assert image_plane(image.data, shown).shape == (20, 30, 3)


def test_multiscale_image_is_read_at_its_finest_level(viewer):
    fine = np.random.default_rng(0).random((40, 60))
    image = viewer.add_image([fine, fine[::2, ::2]], multiscale=True)
    shown = SliceFrame.of(viewer, image).shown
    assert shown.shape == (40, 60)
    np.testing.assert_array_equal(image_plane(finest_level(image), shown), fine)


def test_image_with_fewer_axes_than_the_viewer_is_shown_everywhere(viewer, stack, pixels):
    viewer.add_image(stack)
    image = viewer.add_image(pixels)
    viewer.dims.set_point(0, 3)
    assert SliceFrame.of(viewer, image).shown.index == ()


def test_3d_view_is_refused_in_words(viewer, stack):
    image = viewer.add_image(stack)
    viewer.dims.ndisplay = 3
    with pytest.raises(SliceNotShownError, match="Switch back to 2D"):
        SliceFrame.of(viewer, image)


def test_slider_beside_the_image_is_refused_in_words(viewer, stack):
    viewer.add_image(np.zeros((50, 32, 32)))
    image = viewer.add_image(stack, name="small")
    viewer.dims.set_point(0, 40)
    with pytest.raises(SliceNotShownError, match="index 40 of axis 0 of image 'small'; expected 0 to 3"):
        SliceFrame.of(viewer, image)


def test_axes_that_the_image_has_not_are_refused_in_words(viewer, stack, pixels):
    viewer.add_image(stack)
    image = viewer.add_image(pixels)
    viewer.dims.order = (2, 0, 1)
    with pytest.raises(SliceNotShownError, match="roll the axes"):
        SliceFrame.of(viewer, image)


def test_image_that_has_left_the_viewer_is_refused_in_words(viewer, stack):
    image = viewer.add_image(stack, name="gone")
    viewer.layers.clear()
    with pytest.raises(SliceNotShownError, match="'gone' is no longer in the viewer"):
        SliceFrame.of(viewer, image)


PLACES = {
    "as they are": {},
    "scaled and moved": {"scale": (3, 0.5, 2), "translate": (10, -20, 30)},
    "turned in the plane": {"rotate": np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])},
    "sheared in the plane": {"affine": np.array([[2.0, 0, 0, 5], [0, 1, 0.3, 1], [0, 0, 1, 2], [0, 0, 0, 1]])},
}


@pytest.mark.parametrize("image_place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("points_place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2)], ids=str)
def test_there_and_back_is_the_same_place(viewer, stack, image_place, points_place, order):
    image = viewer.add_image(stack, **image_place)
    points = viewer.add_points(np.zeros((0, 3)), **points_place)
    viewer.dims.order = order
    frame = SliceFrame.of(viewer, image)
    places = np.array([(1, 2), (3.25, 30.5)])
    back, is_on_slice = frame.from_layer(points, frame.to_layer(points, places))
    np.testing.assert_allclose(back, places)
    assert is_on_slice.all()


def test_a_point_goes_through_the_world(viewer, pixels):
    image = viewer.add_image(pixels, scale=(2, 2), translate=(10, 20))
    points = viewer.add_points([(20, 40)], scale=(0.5, 1))  # in the world at (10, 40)
    rows_columns, _ = SliceFrame.of(viewer, image).from_layer(points, points.data)
    np.testing.assert_allclose(rows_columns, [(0, 10)])


def test_points_of_other_slices_are_told_apart(viewer, stack):
    image = viewer.add_image(stack, scale=(4, 1, 1))
    viewer.dims.set_point(0, 8)
    points = viewer.add_points([(7, 1, 1), (9, 1, 1), (12, 1, 1), (8, 2, 2)])
    _, is_on_slice = SliceFrame.of(viewer, image).from_layer(points, points.data)
    assert is_on_slice.tolist() == [True, True, False, True]


def test_points_with_fewer_axes_are_on_every_slice(viewer, stack):
    image = viewer.add_image(stack)
    points = viewer.add_points([(5, 6)])
    frame = SliceFrame.of(viewer, image)
    rows_columns, is_on_slice = frame.from_layer(points, points.data)
    np.testing.assert_allclose(rows_columns, [(5, 6)])
    assert is_on_slice.all()
    np.testing.assert_allclose(frame.to_layer(points, [(5, 6)]), [(5, 6)])


def test_points_with_more_axes_count_where_they_are_shown(viewer, pixels):
    image = viewer.add_image(pixels)
    points = viewer.add_points([(0, 5, 6), (2, 7, 8)])
    viewer.dims.set_point(0, 2)
    _, is_on_slice = SliceFrame.of(viewer, image).from_layer(points, points.data)
    assert is_on_slice.tolist() == [False, True]


def test_units_are_converted(viewer, pixels):
    image = viewer.add_image(pixels, units=("um", "um"))
    points = viewer.add_points([(5000, 6000)], units=("nm", "nm"))
    if getattr(viewer.dims, "units", None) is None:
        pytest.skip("this napari takes numbers as they are, whatever the unit")
    rows_columns, _ = SliceFrame.of(viewer, image).from_layer(points, points.data)
    np.testing.assert_allclose(rows_columns, [(5, 6)])


def test_pixels_of_a_slice_are_indexed_along_all_axes():
    shown = ShownSlice(axes=(0, 2), index=(7,), shape=(10, 10))
    indices = shown.to_array_indices(np.array([1, 2]), np.array([3, 4]))
    assert [axis.tolist() for axis in indices] == [[1, 2], [7, 7], [3, 4]]
