from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import napari_segnext

npe2 = pytest.importorskip("npe2")

PACKAGE = Path(napari_segnext.__file__).parent


@pytest.fixture(scope="module")
def manifest():
    return npe2.PluginManifest.from_file(PACKAGE / "napari.yaml")


def test_manifest_is_valid_and_every_name_in_it_can_be_imported(manifest):
    manifest.validate_imports()
    assert manifest.display_name == "SegNext"


def test_widgets_are_in_the_segment_menu(manifest):
    items = manifest.contributions.menus["napari/layers/segment"]
    assert [item.command for item in items] == [widget.command for widget in manifest.contributions.widgets]


def test_top_level_manifest_is_the_same_file():
    link = PACKAGE.parents[1] / "napari.yaml"
    if not link.exists():
        pytest.skip("this is an installed package, not a checkout")
    assert link.resolve() == (PACKAGE / "napari.yaml").resolve()


def test_reading_the_manifest_and_finding_the_widget_loads_neither_torch_nor_qt():
    code = (
        "import sys, napari_segnext, napari_segnext.widgets, napari_segnext._sample_data;"
        "from npe2 import PluginManifest;"
        f"PluginManifest.from_file({str(PACKAGE / 'napari.yaml')!r});"
        "print(sorted({'torch', 'timm', 'qtpy', 'napari', 'skimage'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_annotator_loads_no_torch():
    pytest.importorskip("napari")
    code = "import sys, napari_segnext.annotator; print('torch' in sys.modules, 'qtpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_samples_are_images_that_need_no_network(manifest, monkeypatch):
    import socket

    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a sample wants the network"))
    commands = {command.id: command.python_name for command in manifest.contributions.commands}
    assert len(manifest.contributions.sample_data) >= 3
    for sample in manifest.contributions.sample_data:
        module, name = commands[sample.command].split(":")
        ((data, attributes, kind),) = getattr(importlib.import_module(module), name)()
        assert kind == "image"
        assert attributes["name"]
        assert isinstance(data, np.ndarray) and data.ndim - bool(attributes.get("rgb")) == 2
