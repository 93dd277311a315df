from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from napari.layers import Image, Points

pytestmark = pytest.mark.gui


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    viewer.add_image(np.zeros((4, 4)), name="one")
    viewer.add_image(np.zeros((4, 4)), name="two")
    return viewer


@pytest.fixture
def choice(qtbot, viewer):
    from napari_segnext.widgets.layer_choice import LayerChoice

    choice = LayerChoice(viewer, lambda layer: isinstance(layer, Image))
    qtbot.addWidget(choice)
    return choice


def test_the_uppermost_layer_is_picked_at_first(choice):
    assert choice.layer.name == "two"


def test_the_pick_of_the_user_stays_when_layers_come(choice, viewer):
    choice.pick(viewer.layers["one"])
    viewer.add_image(np.zeros((4, 4)), name="three")
    choice.refresh()
    assert choice.layer.name == "one"
    assert choice.count() == 3


def test_a_pick_that_goes_is_told(choice, viewer, qtbot):
    choice.pick(viewer.layers["one"])
    with qtbot.waitSignal(choice.layer_changed):
        viewer.layers.remove("one")
        choice.refresh()
    assert choice.layer.name == "two"


def test_no_layer_is_none(choice, viewer):
    viewer.layers.clear()
    choice.refresh()
    assert choice.layer is None


def test_none_can_be_an_entry_of_its_own(qtbot, viewer):
    from napari_segnext.widgets.layer_choice import LayerChoice

    viewer.add_points(name="dots")
    choice = LayerChoice(
        viewer, lambda layer: isinstance(layer, Points), none_text="new layer", prefers=lambda layer: False
    )
    qtbot.addWidget(choice)
    assert choice.layer is None
    choice.pick(viewer.layers["dots"])
    assert choice.layer.name == "dots"
    choice.forget_pick()
    assert choice.layer is None
    assert [choice.itemText(row) for row in range(choice.count())] == ["new layer", "dots"]
