from __future__ import annotations

import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from napari_segnext.annotator import BINDINGS
from napari_segnext.widgets.cheat_sheet import CheatSheet


def test_every_key_is_on_the_page(qtbot):
    sheet = CheatSheet()
    qtbot.addWidget(sheet)
    sheet.show()
    assert all(binding.label in sheet.text.text() and binding.text in sheet.text.text() for binding in BINDINGS)
