"""Layers that the user made, picked in the widget: drawn on, moved, reshaped, flipped and deleted by real events."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QToolButton

from napari_segnext.annotator.layers import BACKGROUND_STROKE, OBJECT_STROKE, signs_of
from napari_segnext.prompts import Box, Click, Polygon, Scribble

pytestmark = pytest.mark.gui

DISK = 13
SHAPE = (80, 100)
RECTANGLE = [(20, 30), (20, 70), (50, 70), (50, 30)]


def is_near(click, row, column, sign=True, *, within=0.6):
    """Whole pixels of the screen are not whole pixels of the image; a drag misses by two of them."""
    return abs(click.row - row) < within and abs(click.column - column) < within and click.is_positive is sign


def unfold_layers(scene):
    (header,) = [button for button in scene.widget.findChildren(QToolButton) if button.text() == "Layers"]
    scene.press(header)


def pick_and_start(scene, **given):
    """Layers of the user, picked by keys, started; (data, arguments of the layer) for each role."""
    widget, viewer = scene.widget, scene.viewer
    makers = {
        "points": viewer.add_points,
        "shapes": viewer.add_shapes,
        "scribbles": viewer.add_labels,
        "output": viewer.add_labels,
    }
    for role, (data, arguments) in given.items():
        makers[role](data, name=f"my {role}", **arguments)
    for role in given:
        picker = getattr(widget, f"_{role}")
        assert picker.isVisible()
        picker.setFocus()
        while picker.currentText() != f"my {role}" and picker.currentIndex() < picker.count() - 1:
            scene._qtbot.keyClick(picker, Qt.Key.Key_Down)
        assert picker.currentText() == f"my {role}"
    scene.start()


@pytest.fixture
def start_with(make_scene):
    """scene = start_with(points=…, shapes=…, scribbles=…, output=…), each as for `pick_and_start`."""

    def start(image=None, **given):
        scene = make_scene(image)
        unfold_layers(scene)
        pick_and_start(scene, **given)
        return scene

    return start


class TestPoints:
    def test_points_of_the_user_are_clicks_and_their_features_stay(self, start_with):
        features = {"is_positive": [True, False], "who": ["Ann", "Bob"]}
        scene = start_with(points=([(20, 30), (60, 70)], {"features": features}))
        one, other = scene.annotator.prompts
        assert is_near(one, 20, 30) and is_near(other, 60, 70, sign=False)
        scene.hand.click((40, 50), "shift")
        scene.settle()
        mine = scene.viewer.layers["my points"]
        assert list(mine.features["is_positive"]) == [True, False, False]
        assert list(mine.features["who"])[:2] == ["Ann", "Bob"]
        assert "SegNext clicks" not in scene.viewer.layers

    def test_points_without_signs_are_positive(self, start_with):
        scene = start_with(points=([(20, 30), (60, 70)], {}))
        assert [click.is_positive for click in scene.annotator.prompts] == [True, True]
        assert (scene.layers.preview.data > 0).sum() == 2 * DISK

    def test_an_early_one_is_moved_flipped_and_deleted_and_each_is_undone(self, start_with):
        scene = start_with(points=([(20, 30), (60, 70)], {}))
        points = scene.layers.points
        points.mode = "select"
        scene.hand.drag((20, 30), (40, 50))
        scene.settle()
        assert is_near(scene.annotator.prompts.items[0], 40, 50, within=1.2)
        assert scene.layers.preview.data[40, 50] in (1, 2)
        assert points.selected_data == {0}
        scene.hand.key("Q")
        scene.settle()
        assert is_near(scene.annotator.prompts.items[0], 40, 50, sign=False, within=1.2)
        scene.hand.key("Delete")
        scene.settle()
        (click,) = scene.annotator.prompts
        assert is_near(click, 60, 70)
        for n_prompts, place, sign in ((2, (40, 50), False), (2, (40, 50), True), (2, (20, 30), True)):
            scene.hand.key("U")
            scene.settle()
            assert len(scene.annotator.prompts) == n_prompts
            assert is_near(scene.annotator.prompts.items[0], *place, sign=sign, within=1.2)

    def test_only_those_on_the_shown_slice_count(self, start_with):
        scene = start_with(np.zeros((3, *SHAPE), np.uint8), points=([(0, 20, 30), (2, 60, 70), (2, 10, 10)], {}))
        for place, n_prompts in ((0, 1), (1, 0), (2, 2)):
            scene.viewer.dims.set_current_step(0, place)
            scene.settle()
            assert len(scene.annotator.prompts) == n_prompts
            assert (scene.layers.preview.data[place] > 0).sum() == n_prompts * DISK
        scene.hand.key("N")
        scene.settle()
        assert [len(scene.layers.points.data), len(scene.annotator.prompts)] == [1, 0]

    def test_points_in_another_place_are_met_in_the_world(self, start_with):
        scene = start_with(points=([(10, 15)], {"scale": (2, 2), "translate": (1, -1)}))
        (click,) = scene.annotator.prompts
        assert is_near(click, 21, 29)
        scene.hand.click((61, 71))
        scene.settle()
        assert is_near(scene.annotator.prompts.items[1], 61, 71)
        np.testing.assert_allclose(scene.layers.points.data[1], (30, 36), atol=0.5)


class TestShapes:
    def test_a_shape_of_the_user_is_a_prompt(self, make_scene, subtests):
        scene = make_scene()
        unfold_layers(scene)
        for shape_type, outline, kind in (
            ("rectangle", RECTANGLE, Box),
            ("ellipse", RECTANGLE, Polygon),
            ("polygon", RECTANGLE[:3], Polygon),
            ("path", [(20, 30), (30, 40), (20, 50)], Scribble),
            ("line", [(20, 30), (30, 40)], Scribble),
        ):
            with subtests.test(msg=shape_type):
                pick_and_start(scene, shapes=([outline], {"shape_type": shape_type}))
                (prompt,) = scene.annotator.prompts
                assert isinstance(prompt, kind)
                assert "SegNext shapes" not in scene.viewer.layers
            scene.viewer.layers.remove("my shapes")
            scene.settle()

    def test_a_corner_is_dragged_and_that_is_undone(self, start_with):
        scene = start_with(shapes=([RECTANGLE], {"shape_type": "polygon"}))
        scene.viewer.layers.selection.active = scene.layers.shapes
        scene.layers.shapes.mode = "direct"
        scene.layers.shapes.selected_data = {0}
        n_asked = scene.model.n_predicted
        scene.hand.drag((20, 30), (10, 10))
        scene.settle()
        (polygon,) = scene.annotator.prompts
        np.testing.assert_allclose(polygon.vertices[0], (10, 10), atol=1)
        assert scene.model.n_predicted > n_asked
        scene.hand.key("U")
        scene.settle()
        (polygon,) = scene.annotator.prompts
        np.testing.assert_allclose(polygon.vertices[0], (20, 30), atol=0.01)

    def test_a_line_is_flipped_and_a_box_is_deleted(self, start_with):
        scene = start_with(shapes=([RECTANGLE, [(60, 10), (60, 60)]], {"shape_type": ["rectangle", "line"]}))
        shapes = scene.layers.shapes
        scene.viewer.layers.selection.active = shapes
        shapes.mode = "select"
        scene.hand.click((60, 30))
        assert shapes.selected_data == {1}
        scene.hand.key("Q")
        scene.settle()
        assert signs_of(shapes).tolist() == [True, False]
        assert [prompt.is_positive for prompt in scene.annotator.prompts if isinstance(prompt, Scribble)] == [False]
        scene.hand.click((35, 50))
        scene.hand.key("Delete")
        scene.settle()
        (scribble,) = scene.annotator.prompts
        assert isinstance(scribble, Scribble)

    def test_boxes_are_drawn_on_it(self, start_with):
        scene = start_with(shapes=(None, {"ndim": 2}))
        scene.press(scene.widget._tool_buttons["box"])
        scene.hand.drag((20, 30), (50, 70))
        scene.settle()
        assert len(scene.viewer.layers["my shapes"].data) == 1
        assert isinstance(scene.annotator.prompts.items[0], Box)


class TestLabels:
    def test_strokes_of_the_user_are_scribbles_and_are_painted_on_and_erased(self, start_with):
        data = np.zeros(SHAPE, np.int32)
        data[20, 30:61], data[60, 10:41] = OBJECT_STROKE, BACKGROUND_STROKE
        scene = start_with(scribbles=(data, {}))
        assert [prompt.is_positive for prompt in scene.annotator.prompts] == [True, False]
        scene.press(scene.widget._tool_buttons["brush"])
        scene.hand.drag((40, 30), (40, 60))
        scene.settle()
        assert len(scene.annotator.prompts) == 3
        scribbles = scene.layers.scribbles
        assert scribbles is scene.viewer.layers["my scribbles"]
        scribbles.mode = "fill"
        scribbles.selected_label = 0
        scene.hand.click((20, 45))
        scene.settle()
        assert len(scene.annotator.prompts) == 2
        scene.hand.key("U")
        scene.settle()
        assert (scribbles.data[20] == OBJECT_STROKE).sum() == 31

    def test_objects_are_numbered_on_and_those_that_were_there_stay(self, start_with):
        data = np.zeros(SHAPE, np.uint16)
        data[20, 30] = 7
        scene = start_with(output=(data, {}))
        scene.hand.click((20, 30))
        scene.settle()
        scene.hand.key("N")
        scene.settle()
        output = scene.viewer.layers["my output"].data
        assert output[20, 30] == 7
        assert (output == 8).sum() == DISK - 1
        assert "Object 8 accepted" in scene.status
        rows = scene.widget._objects_table.model
        scene.wait_until(lambda: [row.label for row in rows.rows] == [7, 8])

    def test_one_layer_for_two_roles_is_refused_in_words(self, make_scene):
        scene = make_scene()
        labels = scene.viewer.add_labels(np.zeros(SHAPE, np.uint16), name="both")
        scene.widget._scribbles.pick(labels)
        scene.widget._output.pick(labels)
        scene.press(scene.widget._start_button)
        scene.settle()
        assert scene.annotator is None
        assert scene.status.startswith("⚠ Labels layer 'both' was given for the scribbles and for the objects")


class TestAllFour:
    def test_nothing_is_made_but_the_preview_and_all_stays_at_the_end(self, start_with):
        scene = start_with(
            points=([(20, 30)], {}),
            shapes=([RECTANGLE], {"shape_type": "rectangle"}),
            scribbles=(np.zeros(SHAPE, np.uint8), {}),
            output=(np.zeros(SHAPE, np.uint8), {}),
        )
        mine = ["cells", "my points", "my shapes", "my scribbles", "my output"]
        assert sorted(layer.name for layer in scene.viewer.layers) == sorted([*mine, "SegNext preview"])
        assert [prompt.kind for prompt in scene.annotator.prompts] == ["click", "box"]
        scene.press(scene.widget._start_button)
        assert [layer.name for layer in scene.viewer.layers] == mine
        assert scene.widget._points.currentText() == "my points"

    def test_a_pick_that_is_deleted_before_the_start_becomes_a_new_layer(self, make_scene):
        scene = make_scene()
        points = scene.viewer.add_points([(20, 30)], name="mine")
        scene.widget._points.pick(points)
        scene.viewer.layers.remove(points)
        assert scene.widget._points.currentText() == "new layer"
        scene.start()
        scene.hand.click((20, 30))
        scene.settle()
        assert is_near(scene.annotator.prompts.items[0], 20, 30)


def test_a_script_gives_its_layers_and_the_mouse_draws_on_them(make_scene, gated_model, qtbot):
    from napari_segnext.annotator import Annotator

    scene = make_scene()
    viewer = scene.viewer
    points = viewer.add_points([(20, 30)])
    shapes = viewer.add_shapes([RECTANGLE], shape_type="rectangle")
    scribbles = viewer.add_labels(np.zeros(SHAPE, np.uint8))
    output = viewer.add_labels(np.zeros(SHAPE, np.uint8))
    annotator = Annotator(
        viewer, viewer.layers["cells"], gated_model, points=points, shapes=shapes, scribbles=scribbles, output=output
    )
    layers = annotator.layers
    assert (layers.points, layers.shapes, layers.scribbles, layers.output) == (points, shapes, scribbles, output)
    assert [type(prompt) for prompt in annotator.prompts] == [Click, Box]
    annotator.use_tool("click")
    scene.hand.click((60, 80))
    assert is_near(annotator.prompts.items[-1], 60, 80)
    scene.hand.key("N")
    assert output.data[60, 80] == 1
    annotator.close()
    assert len(viewer.layers) == 5
