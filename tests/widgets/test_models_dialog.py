"""Real buttons, a real window, and a server of our own in place of Google's; nothing leaves the machine."""

from __future__ import annotations

import hashlib
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("napari")

import torch

import napari_segnext
from napari_segnext import load_model
from napari_segnext.weights import download, list_models, model_info, registry
from tests.file_server import CONTENT, Behaviour, serving
from tests.weights.conftest import OriginalMaker
from tests.widgets.conftest import TIMEOUT_MS, working_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.gui

NAME = "segnext-vitb-sax1"
ORIGINAL = "vitb_sa1_cocolvis_epoch_90.pth"
PIECE = download.CHUNK_BYTES
MANIFEST = Path(napari_segnext.__file__).parent / "napari.yaml"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """The user's folder, empty and of this test alone."""
    folder = tmp_path / "home"
    monkeypatch.setenv("NAPARI_SEGNEXT_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def server(monkeypatch) -> Iterator[Behaviour]:
    """Our server in place of Google's, and short pauses between attempts."""
    with serving() as behaviour:
        monkeypatch.setattr(registry.ModelEntry, "url", property(lambda entry: behaviour.url))
        monkeypatch.setattr(download, "_pause", lambda pause_s, is_wanted: None)
        yield behaviour


@pytest.fixture
def original(tmp_path) -> OriginalMaker:
    return OriginalMaker(tmp_path)


class Window:
    """The dialog, and a hand that presses what can be pressed."""

    def __init__(self, dialog: Any, qtbot: Any) -> None:
        self.dialog = dialog
        self._qtbot = qtbot
        self.n_changes = 0
        dialog.models_changed.connect(self._count)

    def _count(self) -> None:
        self.n_changes += 1

    @property
    def status(self) -> str:
        return str(self.dialog._status.text())

    def rows(self) -> dict[str, tuple[str, ...]]:
        tree = self.dialog._tree
        items = [tree.topLevelItem(row) for row in range(tree.topLevelItemCount())]
        return {item.text(0): tuple(item.text(column) for column in range(1, 6)) for item in items}

    def detail(self, title: str) -> str:
        return str(self.dialog._details[title].text())

    def press(self, button: Any) -> None:
        from qtpy.QtCore import Qt

        assert button.isEnabled() and button.isVisible(), f"button {button.text()} cannot be pressed"
        self._qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def question(self) -> Any:
        """The question that is asked."""
        from qtpy.QtWidgets import QMessageBox

        self.wait_until(lambda: bool([box for box in self.dialog.findChildren(QMessageBox) if box.isVisible()]))
        return next(box for box in self.dialog.findChildren(QMessageBox) if box.isVisible())

    def answer(self, text: str) -> None:
        self.press(next(button for button in self.question().buttons() if button.text().replace("&", "") == text))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        self._qtbot.waitUntil(condition, timeout=TIMEOUT_MS)

    def settle(self) -> None:
        """Let the task end, and the reading of details that follows it."""
        from qtpy.QtWidgets import QApplication

        self.wait_until(lambda: not self.dialog.is_busy)
        self.wait_until(lambda: not working_threads())
        QApplication.processEvents()

    def begin_download(self, name: str = NAME) -> None:
        self.dialog.pick_model(name)
        self.press(self.dialog._download_button)
        self.answer("Download")
        assert self.dialog.is_busy

    def import_as(self, path: Path, name: str | None, monkeypatch: Any) -> None:
        """Press Import, pick the file, and type a name; None takes the one that is proposed."""
        from qtpy.QtWidgets import QFileDialog, QInputDialog

        monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
        self.press(self.dialog._import_button)
        (question,) = [box for box in self.dialog.findChildren(QInputDialog) if box.isVisible()]
        if name is not None:
            question.setTextValue(name)
        question.accept()


@pytest.fixture
def make_window(qtbot, qapp) -> Iterator[Callable[..., Window]]:
    from napari_segnext.widgets import ModelsDialog

    dialogs = []

    def make(parent: Any = None) -> Window:
        dialog = ModelsDialog(parent)
        dialogs.append(dialog)
        if parent is None:
            qtbot.addWidget(dialog)
        dialog.show()
        qtbot.waitExposed(dialog)
        return Window(dialog, qtbot)

    yield make
    for dialog in dialogs:
        dialog._life.end()
    qtbot.waitUntil(lambda: not working_threads(), timeout=TIMEOUT_MS)


@pytest.fixture
def window(make_window) -> Window:
    return make_window()


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


class TestList:
    def test_every_model_has_a_row_with_state_size_and_licence(self, window):
        rows = window.rows()
        assert list(rows) == [info.name for info in list_models()]
        state, size, licence, kind, description = rows["segnext-tiny"]
        assert kind == "interactive"
        assert (state, licence) == ("bundled", "CC-BY-SA-4.0") and size.endswith("MB") and description
        assert rows[NAME][:2] == ("not downloaded", "427 MB")

    def test_details_of_the_bundled_model_come_from_its_file(self, window):
        window.settle()
        path = model_info("segnext-tiny").path
        assert window.detail("Name") == "segnext-tiny (bundled)"
        assert window.detail("SHA-256") == hashlib.sha256(path.read_bytes()).hexdigest()
        assert window.detail("File") == str(path)
        assert "segnext-tiny" in window.dialog._card.toPlainText()

    def test_details_of_a_model_that_is_not_there_tell_where_it_is(self, window):
        window.dialog.pick_model(NAME)
        assert "https://drive.google.com/uc?id=1G_m9_sVYVD2MBDf5ulrAUz-iSvi8bQfZ" in window.detail("Source")
        assert "CC BY-NC 4.0" in window.detail("Licence")
        assert window.detail("File") == "–"
        assert window.detail("SHA-256") == "not published by the authors"

    def test_depth_networks_are_called_so_with_their_licence_and_published_hash(self, window):
        name = "depth-anything-v2-base"
        assert window.rows()[name][:4] == ("not downloaded", "390 MB", "CC-BY-NC-4.0", "depth")
        window.dialog.pick_model(name)
        assert window.detail("Kind").startswith("depth: no model to annotate with")
        assert "https://huggingface.co/depth-anything/Depth-Anything-V2-Base/" in window.detail("Source")
        assert window.detail("SHA-256") == registry.find_entry(name).sha256

    def test_late_facts_of_another_model_are_not_shown(self, window):
        window.dialog.pick_model(NAME)
        window.settle()
        assert window.detail("SHA-256") == "not published by the authors"

    def test_only_what_can_be_done_can_be_pressed(self, window):
        dialog = window.dialog
        buttons = (dialog._download_button, dialog._delete_button, dialog._import_button, dialog._cancel_button)
        assert [button.isEnabled() for button in buttons] == [False, False, True, False]
        dialog.pick_model(NAME)
        assert [button.isEnabled() for button in buttons] == [True, False, True, False]

    def test_file_that_cannot_be_read_is_listed_and_can_be_deleted(self, home, make_window):
        (home / "weights").mkdir(parents=True)
        (home / "weights" / "broken.safetensors").write_bytes(b"nonsense")
        window = make_window()
        window.dialog.pick_model("broken")
        window.settle()
        assert "cannot be read" in window.detail("Description")
        assert "not a whole safetensors file" in window.dialog._card.toPlainText()
        assert window.dialog._delete_button.isEnabled()

    def test_links_of_cards_are_followed_only_to_the_web(self, monkeypatch):
        from qtpy.QtCore import QUrl

        from napari_segnext.widgets import models_dialog

        opened = []
        monkeypatch.setattr(models_dialog.QDesktopServices, "openUrl", opened.append)
        for address in ("file:///etc/passwd", "https://napari.org", "smb://host/share"):
            models_dialog.open_web_page(QUrl(address))
        assert [url.toString() for url in opened] == ["https://napari.org"]


def test_picker_of_models_to_annotate_with_offers_no_depth_network(qtbot, tmp_path, home):
    from napari_segnext.models.depth_anything import DepthAnything
    from napari_segnext.weights import save_weights
    from napari_segnext.widgets.model_choice import ModelChoice
    from tests.weights.test_depth_anything import CONFIG

    save_weights(home / "weights" / "my-depth.safetensors", DepthAnything(CONFIG), name="my-depth")
    assert model_info("my-depth").kind == "depth"
    choice = ModelChoice("depth-anything-v2-small")
    qtbot.addWidget(choice)
    offered = [choice._picker.itemData(row) for row in range(choice._picker.count())]
    assert offered == [info.name for info in list_models() if info.kind == "interactive"]
    assert choice.name == "segnext-tiny"


class TestDownload:
    def test_licence_of_a_depth_network_is_shown_first(self, window, server):
        window.dialog.pick_model("depth-anything-v2-large")
        window.press(window.dialog._download_button)
        text = window.question().informativeText()
        assert "1341 MB" in text and "Licence: CC-BY-NC-4.0." in text
        window.answer("Cancel")
        assert server.asked == []

    def test_licence_and_size_are_shown_first(self, window, server):
        window.dialog.pick_model(NAME)
        window.press(window.dialog._download_button)
        text = window.question().informativeText()
        assert "427 MB" in text and "CC BY-NC 4.0" in text and "you agree" in text
        window.answer("Cancel")
        assert not window.dialog.is_busy
        assert server.asked == []

    def test_model_is_there_afterwards(self, window, server, original, home):
        server.content = original.save(original.checkpoint()).read_bytes()
        window.begin_download()
        window.settle()
        assert window.status.startswith(f"'{NAME}' is ready")
        assert window.rows()[NAME][0] == "downloaded"
        assert window.n_changes == 1
        assert window.detail("SHA-256") == hashlib.sha256(model_info(NAME).path.read_bytes()).hexdigest()
        assert load_model(NAME, "cpu").identity.name == NAME
        assert left_in(home) == [f"{NAME}.safetensors"]

    def test_bar_shows_the_bytes_that_have_come(self, window, server):
        server.falls_silent_after = 5 * PIECE
        window.begin_download()
        share = 5 * PIECE * 1000 // len(CONTENT)
        window.wait_until(lambda: window.dialog._bar.value() == share)
        assert window.dialog._bar.maximum() == 1000
        assert window.dialog._bar.format() == "0.3 MB of 1.0 MB"
        assert window.status == f"Downloading '{NAME}'…"
        window.press(window.dialog._cancel_button)
        window.settle()

    def test_cancel_in_the_middle_ends_at_once_and_leaves_no_half_file(self, window, server, home):
        server.falls_silent_after = 5 * PIECE
        window.begin_download()
        window.wait_until(lambda: window.dialog._bar.value() > 0)
        assert left_in(home) != []
        window.press(window.dialog._cancel_button)
        window.settle()
        assert window.status.startswith("Cancelled. Nothing is left")
        assert left_in(home) == []
        assert window.rows()[NAME][0] == "not downloaded"
        assert window.n_changes == 0
        assert window.dialog._download_button.isEnabled()

    def test_download_after_a_cancelled_one_comes_whole(self, window, server, original):
        server.falls_silent_after = 5 * PIECE
        window.begin_download()
        window.wait_until(lambda: window.dialog._bar.value() > 0)
        window.press(window.dialog._cancel_button)
        window.settle()
        server.falls_silent_after, server.content = None, original.save(original.checkpoint()).read_bytes()
        window.begin_download()
        window.settle()
        assert window.rows()[NAME][0] == "downloaded"

    def test_window_stays_alive_and_only_cancel_can_be_pressed(self, window, server):
        server.falls_silent_after = PIECE
        window.begin_download()
        dialog = window.dialog
        dialog.pick_model("segnext-vitb-sax2")
        assert window.detail("Name").startswith("segnext-vitb-sax2")
        assert not dialog._download_button.isEnabled()
        assert not dialog._import_button.isEnabled()
        dialog.download("segnext-vitb-sax2")
        assert len(server.asked) <= 1
        window.press(dialog._cancel_button)
        assert not dialog._cancel_button.isEnabled()
        window.settle()

    def test_without_network_the_way_by_hand_is_told(self, window, monkeypatch):
        monkeypatch.setattr(registry.ModelEntry, "url", property(lambda entry: "http://127.0.0.1:9/nothing"))
        window.begin_download()
        window.settle()
        assert "there is no connection" in window.status
        assert "open https://drive.google.com/uc?id=" in window.status and "press Import" in window.status

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"status": 404}, "refused to send it"),
            ({"kind": "text/html"}, "refused to send it"),
            ({"content": b"no weights"}, "cannot be used and was removed"),
        ],
        ids=["not found", "web page", "another file"],
    )
    def test_other_failures_are_told_and_leave_nothing(self, changes, words, window, server, home):
        for name, value in changes.items():
            setattr(server, name, value)
        window.begin_download()
        window.settle()
        assert window.status.startswith("⚠") and words in window.status
        assert left_in(home) == []
        assert window.n_changes == 0

    def test_wrong_hash_is_told_and_leaves_nothing(self, window, server, home, monkeypatch):
        entry = registry.find_entry(NAME)
        monkeypatch.setattr(download, "find_entry", lambda name: replace(entry, sha256="0" * 64))
        window.begin_download()
        window.settle()
        assert f"expected {'0' * 64}" in window.status and "was removed" in window.status
        assert left_in(home) == []

    def test_full_disk_is_told(self, window, monkeypatch):
        usage = shutil.disk_usage("/")
        monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage._replace(free=1000))
        window.begin_download()
        window.settle()
        assert "not enough room" in window.status and "Preferences" in window.status


class TestClosing:
    def test_close_asks_while_something_is_downloaded(self, window, server):
        server.falls_silent_after = PIECE
        window.begin_download()
        window.press(window.dialog._close_button)
        window.answer("Go on downloading")
        assert window.dialog.isVisible() and window.dialog.is_busy
        window.press(window.dialog._close_button)
        window.answer("Cancel the download")
        assert not window.dialog.isVisible()
        window.settle()

    def test_cross_of_the_window_asks_too(self, window, server):
        server.falls_silent_after = PIECE
        window.begin_download()
        window.dialog.close()
        window.answer("Go on downloading")
        assert window.dialog.isVisible()

    def test_close_closes_where_nothing_goes_on(self, window):
        window.settle()
        window.press(window.dialog._close_button)
        assert not window.dialog.isVisible()

    def test_window_that_is_destroyed_ends_its_download_and_leaves_nothing(self, make_window, server, home, qtbot):
        from qtpy.QtWidgets import QWidget

        parent = QWidget()
        window = make_window(parent)
        server.falls_silent_after = 2 * PIECE
        window.begin_download()
        window.wait_until(lambda: window.dialog._bar.value() > 0)
        parent.deleteLater()
        qtbot.waitUntil(lambda: not working_threads(), timeout=TIMEOUT_MS)
        qtbot.wait(50)
        assert left_in(home) == []

    def test_shown_again_it_lists_what_there_is_by_then(self, window, home, original):
        from napari_segnext.weights import import_model

        window.settle()
        window.dialog.close()
        import_model(original.save(original.checkpoint()), "mine")
        window.dialog.show()
        assert window.rows()["mine"][0] == "imported"


class TestImport:
    def test_original_checkpoint_gets_the_name_that_is_typed(self, window, original, monkeypatch):
        window.import_as(original.save(original.checkpoint()), "mine", monkeypatch)
        window.settle()
        assert window.status == "'tiny.pth' was imported as 'mine'."
        assert window.rows()["mine"][0] == "imported"
        assert window.dialog.model_name == "mine"
        assert window.n_changes == 1
        assert load_model("mine", "cpu").identity.name == "mine"

    def test_file_of_a_released_model_gets_its_name(self, window, original, monkeypatch):
        window.import_as(original.save(original.checkpoint(), ORIGINAL), None, monkeypatch)
        window.settle()
        assert window.rows()[NAME][0] == "downloaded"

    def test_our_own_file_is_taken_too(self, window, original, monkeypatch, tmp_path):
        ours = tmp_path / "My best.safetensors"
        shutil.copy(model_info("segnext-tiny").path, ours)
        window.import_as(ours, None, monkeypatch)
        window.settle()
        assert window.rows()["My-best"][:1] == ("imported",)
        assert window.detail("Licence") == "CC-BY-SA-4.0"

    def test_taken_name_is_asked_about(self, window, original, monkeypatch):
        path = original.save(original.checkpoint())
        window.import_as(path, "mine", monkeypatch)
        window.settle()
        before = hashlib.sha256(model_info("mine").path.read_bytes()).hexdigest()
        changed = original.checkpoint()
        changed["state_dict"]["head.seg_conv.bias"] = torch.ones(1)
        window.import_as(original.save(changed), "mine", monkeypatch)
        window.answer("Cancel")
        assert window.detail("SHA-256") == before
        window.import_as(path, "mine", monkeypatch)
        window.answer("Replace")
        window.settle()
        assert window.detail("SHA-256") == hashlib.sha256(model_info("mine").path.read_bytes()).hexdigest() != before

    @pytest.mark.parametrize("name", ["segnext-tiny", "../mine", ""])
    def test_name_that_cannot_be_is_refused_in_words(self, name, window, original, monkeypatch, home):
        window.import_as(original.save(original.checkpoint()), name, monkeypatch)
        window.settle()
        assert window.status.startswith("⚠ 'tiny.pth' was not imported.")
        assert left_in(home) == []

    def test_broken_file_is_refused_in_words(self, window, tmp_path, monkeypatch, home):
        path = tmp_path / "broken.pth"
        path.write_bytes(b"nonsense")
        window.import_as(path, None, monkeypatch)
        window.settle()
        assert window.status.startswith("⚠ 'broken.pth' was not imported.")
        assert left_in(home) == []
        assert window.n_changes == 0

    def test_nothing_happens_where_no_file_is_picked(self, window, monkeypatch):
        from qtpy.QtWidgets import QFileDialog

        monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
        window.press(window.dialog._import_button)
        assert not window.dialog.is_busy

    @pytest.mark.parametrize(
        ("file_name", "name"),
        [(ORIGINAL, NAME), ("Müller 3 (final).pth", "M-ller-3-final"), ("….pth", "my-model")],
        ids=["released", "blanks and umlauts", "nothing usable"],
    )
    def test_proposed_name_is_one_that_a_model_may_have(self, file_name, name):
        from napari_segnext.widgets.models_dialog import name_for

        assert name_for(Path(file_name)) == name


class TestDelete:
    def test_question_comes_first(self, window, original, monkeypatch, home):
        window.import_as(original.save(original.checkpoint()), "mine", monkeypatch)
        window.settle()
        window.press(window.dialog._delete_button)
        assert "or it is gone" in window.question().informativeText()
        window.answer("Cancel")
        assert left_in(home) == ["mine.safetensors"]
        window.press(window.dialog._delete_button)
        window.answer("Delete")
        window.settle()
        assert left_in(home) == []
        assert "mine" not in window.rows()
        assert window.status == "'mine' was deleted."
        assert window.n_changes == 2

    def test_downloaded_model_can_be_downloaded_again(self, window, original, monkeypatch):
        window.import_as(original.save(original.checkpoint(), ORIGINAL), None, monkeypatch)
        window.settle()
        window.press(window.dialog._delete_button)
        assert "can be downloaded again" in window.question().informativeText()
        window.answer("Delete")
        window.settle()
        assert window.rows()[NAME][0] == "not downloaded"
        assert window.dialog._download_button.isEnabled()

    def test_file_that_cannot_be_deleted_is_told(self, window, original, monkeypatch):
        window.import_as(original.save(original.checkpoint()), "mine", monkeypatch)
        window.settle()

        def refuse(path: Path, **_: Any) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Path, "unlink", refuse)
        window.press(window.dialog._delete_button)
        window.answer("Delete")
        window.settle()
        assert window.status.startswith("⚠ 'mine' was not deleted.") and "Permission denied" in window.status
        assert window.rows()["mine"][0] == "imported"


def test_slow_things_run_in_threads(window, server, monkeypatch):
    from napari_segnext.widgets import models_dialog

    threads = []

    def noting(answer: Any) -> Callable[..., Any]:
        def note(*_: Any, **__: Any) -> Any:
            threads.append(threading.current_thread())
            return answer

        return note

    for name in ("download_model", "import_model", "delete_model"):
        monkeypatch.setattr(models_dialog, name, noting(Path("nowhere")))
    monkeypatch.setattr(models_dialog, "sha256_of", noting("0" * 64))
    window.settle()
    window.dialog._facts.clear()
    window.dialog.refresh()
    window.wait_until(lambda: window.detail("SHA-256") == "0" * 64)
    window.dialog.download(NAME)
    window.settle()
    window.dialog.import_file("x.pth", "x")
    window.settle()
    window.dialog.delete("x")
    window.settle()
    assert len(threads) == 4
    assert threading.main_thread() not in threads


class TestCommand:
    @pytest.fixture
    def plugin_viewer(self, make_napari_viewer, npe2pm):
        from npe2 import PluginManifest

        if "napari-segnext" not in npe2pm:
            npe2pm.register(PluginManifest.from_file(MANIFEST))
        return make_napari_viewer(show=True)

    def dialogs(self) -> list[Any]:
        from qtpy.QtWidgets import QApplication

        from napari_segnext.widgets import ModelsDialog

        windows = [widget for widget in QApplication.topLevelWidgets() if isinstance(widget, ModelsDialog)]
        return [window for window in windows if window.isVisible()]

    def test_menu_opens_one_window_over_naparis(self, plugin_viewer, qtbot):
        from tests.widgets.test_annotator_widget import menu_entry

        for _ in range(2):
            menu_entry(plugin_viewer.window.file_menu, "IO Utilities", "Manage models (SegNext)").trigger()
        (dialog,) = self.dialogs()
        assert dialog.isVisible()
        assert dialog.parent() is not None
        qtbot.waitUntil(lambda: not working_threads(), timeout=TIMEOUT_MS)
        dialog.reject()
        qtbot.waitUntil(lambda: not self.dialogs())
