"""Makes docs/images/models_dialog.png and preferences.png: the real windows, with an empty weights folder.

xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_window_pictures.py
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent / "images"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        # before napari is imported: nothing of the user's is shown or changed
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        os.environ["NAPARI_SEGNEXT_HOME"] = str(Path(folder) / "napari-segnext")
        import napari
        from qtpy.QtTest import QTest

        viewer = napari.Viewer(show=True)
        QTest.qWait(500)
        picture_models(viewer)
        picture_preferences(viewer)
        viewer.close()


def picture_models(viewer) -> None:
    from qtpy.QtTest import QTest

    trigger(viewer.window.file_menu, "IO Utilities", "Manage models (SegNext)")
    QTest.qWait(2000)
    dialog = shown("ModelsDialog")
    dialog.grab().save(str(FOLDER / "models_dialog.png"))
    dialog.reject()


def picture_preferences(viewer) -> None:
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QListWidget

    trigger(viewer.window.file_menu, "Preferences")
    QTest.qWait(1000)
    dialog = shown("PreferencesDialog")
    pages = dialog.findChild(QListWidget)
    names = [pages.item(row).text() for row in range(pages.count())]
    pages.setCurrentRow(names.index("SegNext"))
    dialog.resize(1100, 620)
    QTest.qWait(500)
    dialog.grab().save(str(FOLDER / "preferences.png"))
    dialog.reject()


def trigger(menu, *titles) -> None:
    menu.aboutToShow.emit()
    action = next(action for action in menu.actions() if action.text().startswith(titles[0]))
    if len(titles) > 1:
        trigger(action.menu(), *titles[1:])
    else:
        action.trigger()


def shown(kind: str):
    from qtpy.QtWidgets import QApplication

    return next(w for w in QApplication.topLevelWidgets() if type(w).__name__ == kind and w.isVisible())


if __name__ == "__main__":
    main()
