"""What the model sees: one to three channels, stretched as the user sees them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

from napari_segnext.annotator import Annotator, LayerMismatchError
from napari_segnext.annotator.coordinates import SliceFrame
from napari_segnext.annotator.model_input import Channel, ModelInput


@pytest.fixture
def shown(viewer, stack):
    image = viewer.add_image(stack, name="stack")
    viewer.dims.set_point(0, 1)
    return SliceFrame.of(viewer, image).shown


def test_an_image_alone_is_read_as_it_is(viewer, stack, shown):
    np.testing.assert_array_equal(ModelInput.of(viewer.layers["stack"]).read(shown), stack[1])


def test_contrast_and_gamma_are_those_of_the_layer(viewer, stack, shown):
    layer = viewer.layers["stack"]
    layer.contrast_limits, layer.gamma = (50, 100), 0.5
    seen = ModelInput((Channel.as_shown(layer),)).read(shown)
    expected = 255 * np.clip((stack[1].astype(float) - 50) / 50, 0, 1) ** 0.5
    np.testing.assert_allclose(seen, expected, atol=0.51)


def test_two_images_become_red_and_green(viewer, stack, shown):
    other = viewer.add_image(stack.astype(np.float32) / 7, contrast_limits=(0, 30))
    seen = ModelInput((Channel(viewer.layers["stack"]), Channel.as_shown(other))).read(shown)
    np.testing.assert_array_equal(seen[..., 0], stack[1])
    assert seen.shape == (32, 32, 3) and seen[..., 1].std() > 10 and not seen[..., 2].any()


def test_channels_along_an_axis(viewer, stack, shown):
    layer = viewer.layers["stack"]
    seen = ModelInput(tuple(Channel(layer, axis=0, index=index) for index in (3, 0, 2))).read(shown)
    np.testing.assert_array_equal(seen, np.moveaxis(stack[[3, 0, 2]], 0, -1))


@pytest.mark.parametrize(
    ("channels", "words"),
    [
        (lambda image, view: (), "expected 1 to 3"),
        (lambda image, view: (Channel(image),) * 4, "expected 1 to 3"),
        (lambda image, view: (Channel(view.add_image(np.zeros((4, 16, 16)))),), "expected the grid"),
        (
            lambda image, view: (Channel(view.add_image(np.zeros((4, 32, 32)), scale=(1, 2, 2))),),
            "expected the grid",
        ),
        (
            lambda image, view: (Channel(image), Channel(view.add_image(np.zeros((4, 32, 32, 3)), rgb=True))),
            "is RGB",
        ),
        (lambda image, view: (Channel(image, axis=0, index=4),), "no channel 4"),
    ],
    ids=["none", "four", "shape", "scale", "RGB", "index"],
)
def test_what_does_not_go_together_is_refused_and_changes_nothing(stack_annotator, viewer, channels, words):
    before = stack_annotator.model_input
    with pytest.raises(LayerMismatchError, match=words):
        stack_annotator.model_input = ModelInput(channels(stack_annotator.layers.image, viewer))
    assert stack_annotator.model_input is before


def test_other_channels_are_encoded_and_the_same_prompts_answered_anew(stack_annotator, fake_model):
    stack_annotator.layers.points.add((1, 5, 5))
    n_encoded, n_predicted = fake_model.n_encoded, fake_model.n_predicted
    stack_annotator.model_input = ModelInput((Channel(stack_annotator.layers.image, axis=0, index=2),))
    assert (fake_model.n_encoded, fake_model.n_predicted) == (n_encoded + 1, n_predicted + 1)
    assert stack_annotator.mask is not None


def test_neighbours_are_encoded_ahead_unless_it_takes_long(stack_annotator, fake_model, monkeypatch):
    stack_annotator.prepare()
    for n_encoded in (2, 3, 3):
        stack_annotator.prepare_neighbours()
        assert fake_model.n_encoded == n_encoded
    monkeypatch.setattr("napari_segnext.annotator.annotator.MAX_AHEAD_S", -1)
    stack_annotator._viewer.dims.set_point(0, 3)
    stack_annotator.prepare_neighbours()
    assert fake_model.n_encoded == 3


def test_nan_outside_a_mask_is_no_obstacle(viewer, pixels, fake_model):
    image = np.where(np.arange(32) < 20, pixels.astype(np.float32), np.nan)
    annotator = Annotator(viewer, viewer.add_image(image), fake_model)
    annotator.layers.points.add((5, 5))
    assert annotator.mask is not None
