from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

from app_model.types import KeyBinding as AppKeyBinding
from napari.layers import Labels, Points, Shapes
from napari.utils.key_bindings import coerce_keybinding
from napari.utils.shortcuts import default_shortcuts

from napari_segnext.annotator import BINDINGS, key_label
from napari_segnext.annotator.bindings import BoundKeys
from napari_segnext.annotator.layers import prepare_layers

ACTIONS = {binding.action: lambda: None for binding in BINDINGS}


@pytest.fixture
def layers(viewer):
    return prepare_layers(viewer, viewer.add_image(np.zeros((8, 8))))


def keymaps(viewer, layers) -> list[dict]:
    return [dict(provider.keymap) for provider in (viewer, *layers.all)]


def test_keys_are_free_on_prompt_layers_and_in_the_viewer():
    not_ours = ("_plane_", "auto_contrast", "_image_", "_vectors_", "_tracks_", "_surface_")
    taken = {
        str(key)
        for name, keys in default_shortcuts.items()
        if not any(word in name for word in not_ours)
        for key in keys
    }
    for layer_class in (Points, Shapes, Labels):
        taken |= {str(key) for key in layer_class.class_keymap if isinstance(key, AppKeyBinding)}
    # of Labels layers we take Ctrl+Z over, whose strokes are in our history
    taken -= {str(coerce_keybinding(key)) for key in ("Control-Z", "Control-Shift-Z")}
    ours = {str(coerce_keybinding(binding.key)) for binding in BINDINGS}
    assert not ours & taken


def test_every_key_is_bound_on_the_viewer_and_the_drawing_layers(viewer, layers):
    BoundKeys(viewer, layers, ACTIONS)
    for binding in BINDINGS:
        key = coerce_keybinding(binding.key)
        for provider in (viewer, *layers.all):
            assert key in provider.keymap


def test_a_key_calls_its_action(viewer, layers):
    called = []
    actions = {**ACTIONS, "accept": lambda: called.append("accept")}
    BoundKeys(viewer, layers, actions)
    layers.points.keymap[coerce_keybinding("N")](layers.points)
    assert called == ["accept"]


def test_restoring_leaves_no_trace(viewer, layers):
    before = keymaps(viewer, layers)
    BoundKeys(viewer, layers, ACTIONS).restore()
    assert keymaps(viewer, layers) == before


def test_restoring_puts_back_what_the_user_had_bound(viewer, layers):
    def theirs(_):
        pass

    viewer.bind_key("N", theirs)
    keys = BoundKeys(viewer, layers, ACTIONS)
    assert viewer.keymap[coerce_keybinding("N")] is not theirs
    keys.restore()
    assert viewer.keymap[coerce_keybinding("N")] is theirs


def test_restoring_leaves_alone_what_was_bound_since(viewer, layers):
    def theirs(_):
        pass

    keys = BoundKeys(viewer, layers, ACTIONS)
    viewer.bind_key("N", theirs, overwrite=True)
    keys.restore()
    assert viewer.keymap[coerce_keybinding("N")] is theirs


def test_keys_read_as_users_write_them():
    assert key_label("accept") == "N"
    assert key_label("redo") == "Shift+U"
