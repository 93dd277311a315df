from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

from napari_segnext.annotator import Annotator, prompts_from_layers
from napari_segnext.annotator.coordinates import SliceFrame
from napari_segnext.annotator.layers import prepare_layers
from napari_segnext.annotator.prompts_from_layers import StrokeCache, in_given_order, read_layers
from napari_segnext.prompts import Box, Click, Polygon, Scribble


@pytest.fixture
def layers(viewer, stack):
    image = viewer.add_image(stack)
    viewer.dims.set_point(0, 1)
    return prepare_layers(viewer, image)


def read(viewer, layers):
    return read_layers(layers, SliceFrame.of(viewer, layers.image))


def test_points_are_clicks_with_their_sign(viewer, layers):
    layers.points.add([(1, 5, 6), (1, 7, 8)])
    layers.points.features = {"is_positive": [True, False]}
    assert read(viewer, layers).prompts == (Click(5, 6, True), Click(7, 8, False))


def test_points_without_the_feature_are_positive(viewer, stack):
    image = viewer.add_image(stack)
    points = viewer.add_points([(1, 5, 6)], features={"class": ["a"]})
    layers = prepare_layers(viewer, image, points=points)
    viewer.dims.set_point(0, 1)
    assert read(viewer, layers).prompts == (Click(5, 6, True),)
    assert list(points.features["class"]) == ["a"]


def test_prompts_of_other_slices_are_not_read(viewer, layers):
    layers.points.add([(2, 5, 6)])
    layers.shapes.add(np.array([(2, 1, 1), (2, 1, 9), (2, 9, 9)]), shape_type="polygon")
    layers.scribbles.data[2, 3, 4] = 1
    assert read(viewer, layers).prompts == ()


def test_rectangle_is_a_box(viewer, layers):
    layers.shapes.add(np.array([(1, 2, 3), (1, 2, 20), (1, 10, 20), (1, 10, 3)]), shape_type="rectangle")
    assert read(viewer, layers).prompts == (Box(2, 3, 10, 20),)


def test_turned_rectangle_is_a_polygon(viewer, layers):
    corners = np.array([(1, 10, 5), (1, 15, 10), (1, 10, 15), (1, 5, 10)])
    layers.shapes.add(corners, shape_type="rectangle")
    assert read(viewer, layers).prompts == (Polygon(corners[:, 1:]),)


def test_rectangle_upright_in_the_world_is_a_polygon_on_a_turned_image(viewer, pixels):
    image = viewer.add_image(pixels, rotate=30)
    shapes = viewer.add_shapes([[(5, 5), (5, 15), (15, 15), (15, 5)]], shape_type="rectangle")
    (prompt,) = read(viewer, prepare_layers(viewer, image, shapes=shapes)).prompts
    assert isinstance(prompt, Polygon)


def test_ellipse_is_a_polygon_on_its_outline(viewer, layers):
    layers.shapes.add(np.array([(1, 5, 5), (1, 5, 25), (1, 15, 25), (1, 15, 5)]), shape_type="ellipse")
    (prompt,) = read(viewer, layers).prompts
    rows, columns = np.array(prompt.vertices).T
    np.testing.assert_allclose(((rows - 10) / 5) ** 2 + ((columns - 15) / 10) ** 2, 1, atol=1e-2)


@pytest.mark.parametrize("shape_type", ["path", "line"])
def test_paths_and_lines_are_scribbles_with_their_sign(viewer, layers, shape_type):
    vertices = np.array([(1, 2, 3), (1, 9, 9)])
    layers.shapes.add(vertices, shape_type=shape_type)
    layers.shapes.features = {"is_positive": [False]}
    (prompt,) = read(viewer, layers).prompts
    assert prompt == Scribble([(2, 3), (9, 9)], is_positive=False, width=float(layers.shapes.edge_width[0]))


def test_strokes_are_scribbles_one_is_object_two_is_background(viewer, layers):
    layers.scribbles.data[1, 4, 5:9] = 1
    layers.scribbles.data[1, 20:25, 7] = 2
    layers.scribbles.data[1, 30, 30] = 7
    assert read(viewer, layers).prompts == (
        Scribble([(4, 5), (4, 8)], is_positive=True),
        Scribble([(20, 7), (24, 7)], is_positive=False),
    )


@pytest.fixture
def paths(monkeypatch):
    """Number of pixels of each stroke whose path was computed."""
    computed = []
    stroke_path = prompts_from_layers.stroke_path
    monkeypatch.setattr(
        prompts_from_layers, "stroke_path", lambda mask: computed.append(int(mask.sum())) or stroke_path(mask)
    )
    return computed


def test_known_strokes_are_not_computed_again_until_their_plane_changes(viewer, layers, paths):
    known = StrokeCache()
    layers.scribbles.data[1, 4, 5:9] = 1
    frame = SliceFrame.of(viewer, layers.image)
    once, twice = read_layers(layers, frame, known), read_layers(layers, frame, known)
    assert (once.prompts, paths) == (twice.prompts, [4])
    layers.scribbles.data[1, 4, 9] = 1
    assert read_layers(layers, frame, known).prompts == read(viewer, layers).prompts != once.prompts


def test_same_strokes_on_another_slice_have_the_pixels_of_that_slice(viewer, layers):
    known = StrokeCache()
    layers.scribbles.data[1:3, 4, 5:9] = 1
    for index in (1, 2):
        viewer.dims.set_point(0, index)
        (placed,) = read_layers(layers, SliceFrame.of(viewer, layers.image), known).placed
        assert placed.mark.indices[0].tolist() == [index] * 4


def test_clicks_and_slider_steps_compute_no_stroke_again(viewer, stack, fake_model, paths):
    image = viewer.add_image(stack)
    viewer.dims.set_point(0, 1)
    annotator = Annotator(viewer, image, fake_model)
    annotator.layers.scribbles.paint((1, 10, 10), 1)
    n_paths = len(paths)
    assert n_paths >= 1
    annotator.layers.points.add((1, 5, 5))
    for index in (2, 1):
        viewer.dims.set_point(0, index)
    annotator.undo()
    assert len(paths) == n_paths
    assert [prompt.kind for prompt in annotator.prompts] == ["scribble"]


def test_mark_beside_the_image_is_left_out_and_told(viewer, layers):
    layers.points.add([(1, 5, 5), (1, 50, 5)])
    reading = read(viewer, layers)
    assert reading.prompts == (Click(5, 5),)
    assert "lies outside the image" in reading.problems[0]


def test_slip_of_the_mouse_is_left_out_and_told(viewer, layers):
    corners = np.array([(1, 5, 5), (1, 5, 5.3), (1, 5.3, 5.3), (1, 5.3, 5)])
    layers.shapes.add(corners, shape_type="rectangle")
    reading = read(viewer, layers)
    assert reading.prompts == ()
    assert "smaller than a pixel" in reading.problems[0]


def test_shapes_with_too_short_a_features_table_are_read(viewer, layers):
    layers.shapes.add(np.array([(1, 2, 3), (1, 9, 9)]), shape_type="line")
    layers.shapes.features = layers.shapes.features.iloc[:0]
    assert len(read(viewer, layers).prompts) == 1


A, B, C = Click(1, 1), Click(2, 2), Click(3, 3)
BOX = Box(0, 0, 9, 9)


@pytest.mark.parametrize(
    ("previous", "present", "wanted"),
    [
        pytest.param((), (A, B), (A, B), id="the first ones come as the layers have them"),
        pytest.param((BOX,), (A, BOX), (BOX, A), id="a new click comes after an older box"),
        pytest.param((A, B, C), (A, C), (A, C), id="a removed one leaves the others in order"),
        pytest.param((A, BOX, B), (C, B, BOX), (C, BOX, B), id="a moved one keeps its place"),
        pytest.param((A, BOX), (BOX, B, C), (BOX, B, C), id="one gone and two come: the new ones go to the end"),
        pytest.param((A, A), (A,), (A,), id="of two equal ones one may go"),
        pytest.param((A,), (A, A), (A, A), id="an equal one may come"),
        pytest.param((A, B), (), (), id="all gone"),
    ],
)
def test_order_is_that_in_which_prompts_were_given(previous, present, wanted):
    assert in_given_order(previous, present) == wanted
