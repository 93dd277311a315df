from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

from napari_segnext.annotator.coordinates import SliceFrame
from napari_segnext.annotator.layers import prepare_layers
from napari_segnext.annotator.layers_from_prompts import show_prompts
from napari_segnext.annotator.prompts_from_layers import read_layers
from napari_segnext.prompts import Box, Click, MaskPrompt, Polygon, Scribble

PLACES = {"as it is": {}, "scaled and moved": {"scale": (4, 0.5, 3), "translate": (1, 2, 3)}}


@pytest.fixture(params=PLACES.values(), ids=PLACES)
def scene(request, viewer, stack):
    image = viewer.add_image(stack, **request.param)
    layers = prepare_layers(viewer, image)
    return layers, SliceFrame.of(viewer, image)


def show(scene, wanted, marks):
    layers, frame = scene
    show_prompts(layers, frame, placed=read_layers(layers, frame).placed, wanted=wanted, marks=marks)


def test_every_kind_is_drawn_so_that_it_reads_the_same(scene):
    width = float(scene[0].shapes.current_edge_width)
    wanted = (
        Click(3, 4),
        Click(5.5, 6.25, False),
        Box(1, 2, 10, 20),
        Polygon([(1, 1), (1, 9), (9, 5)]),
        Scribble([(2, 2), (8, 9), (9, 20)], is_positive=False, width=width),
        Scribble([(20, 20)]),
    )
    show(scene, wanted, {})
    assert set(read_layers(*scene).prompts) == set(wanted)


def test_marks_are_put_back_as_they_were(scene):
    layers, frame = scene
    index = frame.shown.index[0]
    corners = np.array([(index, 5, 5), (index, 5, 25), (index, 15, 25), (index, 15, 5)])
    layers.shapes.add(corners, shape_type="ellipse")
    layers.scribbles.data[index, 20, 3:12] = 2
    layers.scribbles.data[index, 21:24, 8] = 2
    placed = read_layers(layers, frame).placed
    marks = {one.prompt: one.mark for one in placed}
    painted = layers.scribbles.data.copy()
    show(scene, (), marks)
    assert read_layers(layers, frame).prompts == ()
    assert not layers.scribbles.data.any()
    show(scene, [one.prompt for one in placed], marks)
    assert layers.shapes.shape_type == ["ellipse"]
    np.testing.assert_array_equal(layers.scribbles.data, painted)
    assert read_layers(layers, frame).prompts == tuple(one.prompt for one in placed)


def test_other_slices_and_unread_marks_are_left_alone(scene):
    layers, frame = scene
    elsewhere = (frame.shown.index[0] + 1, 5, 5)
    outside = (frame.shown.index[0], 500, 5)
    layers.points.add([elsewhere, outside, (frame.shown.index[0], 6, 6)])
    show(scene, (), {})
    np.testing.assert_array_equal(layers.points.data, [elsewhere, outside])


def test_what_is_wanted_already_is_not_touched(scene):
    layers, frame = scene
    layers.points.add((frame.shown.index[0], 6, 6))
    layers.points.features["who"] = "me"
    show(scene, (Click(6, 6), Click(1, 1)), {})
    assert len(layers.points.data) == 2
    assert layers.points.features["who"][0] == "me"


def test_a_mask_has_no_mark(scene):
    show(scene, (MaskPrompt(np.ones((32, 32))),), {})
    assert read_layers(*scene).prompts == ()
