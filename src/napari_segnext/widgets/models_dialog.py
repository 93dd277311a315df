"""The dialog "Manage models": which models there are, and downloading, importing and deleting them.

1. One task at a time: a download, an import or a deletion runs in a thread; the buttons wait for it.
2. A download is a `_Download` that both threads know: the worker writes how far it is, the dialog whether it is wanted.
3. A timer shows how far it is. Cancel makes it unwanted; the worker then removes what has come, and ends.
4. Whatever changed the models ends with `models_changed`.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer, QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QDialog,
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QInputDialog,
    QLabel,
    QMainWindow,
    QMessageBox,
    QPushButton,
    QScrollArea,
    QSplitter,
    QTextBrowser,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_segnext.annotator.preferences import apply_preferences
from napari_segnext.weights import (
    DownloadCancelled,
    ModelInfo,
    delete_model,
    discard_download,
    download_model,
    import_model,
    list_models,
)
from napari_segnext.weights.load import sha256_of
from napari_segnext.weights.registry import ENTRIES, find_entry
from napari_segnext.widgets.busy_bar import BusyBar
from napari_segnext.widgets.messages import words_for
from napari_segnext.widgets.models_words import kind_of, size_of, state_of, words_for_download, words_for_import
from napari_segnext.widgets.worker import QtExecutor

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_segnext.annotator import Executor

COLUMNS = ("Name", "State", "Size", "Licence", "Kind", "Description")
DETAILS = ("Name", "Kind", "Description", "Licence", "Citation", "Source", "File", "SHA-256")

_MODEL_FILES = "Weights (*.safetensors *.pth *.pt)"
_BAR_STEPS = 1000
_TICK_MS = 100
_LINK_COLOUR = "#2f7de1"
"""Can be read on dark and on light; Qt's own blue cannot be read on dark."""

_NO_CARD = "This model has no card."


@dataclass
class _Download:
    """What the two threads tell each other about a download.

    Attributes
    ----------
    info
        The model.
    is_given_up
        Set by the dialog once it is no longer wanted.
    n_bytes
        So far, and in all (None if unknown); written by the worker.
    """

    info: ModelInfo
    is_given_up: threading.Event = field(default_factory=threading.Event)
    n_bytes: tuple[int, int | None] = (0, None)

    def run(self) -> Path:
        """Fetch the model; what has come is removed if it is given up on the way."""
        try:
            return download_model(self.info.name, report=self._note, is_wanted=lambda: not self.is_given_up.is_set())
        except DownloadCancelled:
            discard_download(self.info.name)
            raise

    def _note(self, n_done: int, n_all: int | None) -> None:
        self.n_bytes = (n_done, n_all)


class _Life:
    """What outlives the window: whether it is gone, and the download that must then end."""

    def __init__(self) -> None:
        self.is_over = False
        self.download: _Download | None = None

    def end(self) -> None:
        """The window is gone or the program ends."""
        self.is_over = True
        if self.download is not None:
            self.download.is_given_up.set()


@dataclass(frozen=True)
class _FileFacts:
    """What only the weights file knows, and takes a while to find out.

    Attributes
    ----------
    sha256, card, licence
        Of the file; card and licence are empty if it has none.
    """

    sha256: str
    card: str
    licence: str


class ModelsDialog(QDialog):  # type: ignore[misc]
    """Download, import and delete models, and read what is known about them.

    Parameters
    ----------
    parent
        Window or widget that it belongs to.
    executor
        Does what is slow; by default a `QtExecutor` of its own.
    """

    models_changed = Signal()
    """A model was downloaded, imported or deleted."""

    def __init__(self, parent: QWidget | None = None, executor: Executor | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("SegNext models")
        self.resize(880, 720)
        self._executor: Executor = QtExecutor() if executor is None else executor
        self._life = _Life()
        self._infos: dict[str, ModelInfo] = {}
        self._facts: dict[tuple[Path, int, int], _FileFacts] = {}
        self._task = ""
        self._timer = QTimer(self)
        self._timer.setInterval(_TICK_MS)
        self._timer.timeout.connect(self._show_progress)
        apply_preferences()
        self._build()
        self.refresh()
        self.destroyed.connect(self._life.end)
        QApplication.instance().aboutToQuit.connect(self._life.end)

    @property
    def is_busy(self) -> bool:
        """Whether a model is being downloaded, imported or deleted."""
        return bool(self._task)

    @property
    def model_name(self) -> str:
        """Name of the model that is picked; empty if none is."""
        item = self._tree.currentItem()
        return item.text(0) if item is not None else ""

    def pick_model(self, name: str) -> None:
        """Pick a model of the list and show its details."""
        for item in self._tree.findItems(name, Qt.MatchFlag.MatchExactly, 0):
            self._tree.setCurrentItem(item)

    def refresh(self) -> None:
        """List the models that there are now; the pick stays if it is still among them."""
        name = self.model_name
        self._infos = {info.name: info for info in list_models()}
        self._tree.blockSignals(True)
        self._tree.clear()
        for info in self._infos.values():
            self._tree.addTopLevelItem(_item(info))
        self.pick_model(name if name in self._infos else next(iter(self._infos)))
        self._tree.blockSignals(False)
        self._show_details()

    # what the user does

    def ask_download(self) -> None:
        """Show size and licence of the model that is picked, and download it if the user agrees to them."""
        info = self._infos[self.model_name]
        self._ask(
            f"Download '{info.name}'?",
            f"About {size_of(info.n_bytes)} will be stored in {info.path.parent}.\n\nLicence: {info.licence}.\n\n"
            "By downloading it you agree to this licence.",
            "Download",
            lambda: self.download(info.name),
        )

    def download(self, name: str) -> None:
        """Download a released model, without a question."""
        if self.is_busy:
            return
        info = self._infos[name]
        download = self._life.download = _Download(info)
        self._submit(
            f"Downloading '{name}'…",
            download.run,
            lambda path: self._end_task(f"'{name}' is ready. It lies in {path.parent}.", changed=name),
            lambda error: self._fail(words_for_download(error, info), is_wish=isinstance(error, DownloadCancelled)),
        )

    def cancel(self) -> None:
        """Give up the download that is going on, and remove what has come of it."""
        if self._life.download is not None:
            self._life.download.is_given_up.set()
            self._status.setText("Cancelling…")
            self._update_buttons()

    def ask_import(self) -> None:
        """Let the user pick a weights file and name it, and import it."""
        path, _ = QFileDialog.getOpenFileName(self, "Import a weights file", "", _MODEL_FILES)
        if path:
            self.ask_name(Path(path))

    def ask_name(self, path: Path) -> None:
        """Let the user name the weights in a file, and import them."""
        question = QInputDialog(self)
        question.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        question.setWindowTitle("Import a weights file")
        question.setLabelText(f"Name of the model in '{path.name}':")
        question.setTextValue(name_for(path))
        question.textValueSelected.connect(lambda name: self._import_unless_taken(path, name.strip()))
        question.open()

    def import_file(self, path: Path | str, name: str, *, overwrite: bool = False) -> None:
        """Import weights from a file: ours, or an original checkpoint of SegNext or Depth Anything V2."""
        if self.is_busy:
            return
        path = Path(path)
        self._submit(
            f"Importing '{path.name}'…",
            lambda: import_model(path, name, overwrite=overwrite),
            lambda _: self._end_task(f"'{path.name}' was imported as '{name}'.", changed=name),
            lambda error: self._fail(words_for_import(error, path.name)),
        )

    def ask_delete(self) -> None:
        """Delete the model that is picked if the user means it."""
        info = self._infos[self.model_name]
        again = (
            "It can be downloaded again."
            if find_entry(info.name) is not None
            else "It was imported: make sure that you have its file elsewhere, or it is gone."
        )
        self._ask(
            f"Delete '{info.name}'?",
            f"{info.path} ({size_of(info.n_bytes)}) will be deleted. {again}",
            "Delete",
            lambda: self.delete(info.name),
        )

    def delete(self, name: str) -> None:
        """Delete a downloaded or imported model, without a question."""
        if self.is_busy:
            return
        self._submit(
            f"Deleting '{name}'…",
            lambda: delete_model(name),
            lambda _: self._end_task(f"'{name}' was deleted.", changed=name),
            lambda error: self._fail(f"'{name}' was not deleted. {words_for(error)}"),
        )

    def reject(self) -> None:
        """Close the window; a download that is going on is asked about first."""
        if self._life.download is None or self._life.download.is_given_up.is_set():
            super().reject()
            return
        self._ask(
            "Cancel the download?",
            f"'{self._life.download.info.name}' is still being downloaded.",
            "Cancel the download",
            self._cancel_and_close,
            no_text="Go on downloading",
        )

    def showEvent(self, event: Any) -> None:
        """Models and preferences may have changed while the window was hidden."""
        if not self.is_busy:
            apply_preferences()
            self.refresh()
        super().showEvent(event)

    # tasks

    def _submit(
        self,
        text: str,
        work: Callable[[], Any],
        on_result: Callable[[Any], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._task = text
        self._status.setText(text)
        self._bar.setRange(0, 0)
        self._timer.start()
        self._update_buttons()
        self._run(work, on_result, on_error)

    def _run(
        self, work: Callable[[], Any], on_result: Callable[[Any], None], on_error: Callable[[Exception], None]
    ) -> None:
        """Work in a thread; nobody is called back once the window is gone."""
        life = self._life
        self._executor.submit(
            work,
            lambda result: None if life.is_over else on_result(result),
            lambda error: None if life.is_over else on_error(error),
        )

    def _end_task(self, text: str, *, changed: str = "") -> None:
        self._task = ""
        self._life.download = None
        self._timer.stop()
        self._bar.setRange(0, 1)
        self._bar.setFormat("")
        self._status.setText(text)
        self.refresh()
        if changed:
            self.pick_model(changed)
            self.models_changed.emit()

    def _fail(self, text: str, *, is_wish: bool = False) -> None:
        self._end_task(text if is_wish else f"⚠ {text}")

    def _cancel_and_close(self) -> None:
        self.cancel()
        super().reject()

    def _import_unless_taken(self, path: Path, name: str) -> None:
        info = self._infos.get(name)
        if info is None or state_of(info) not in ("downloaded", "imported"):
            self.import_file(path, name)
            return
        self._ask(
            f"Replace '{name}'?",
            f"There is a model of that name already, in {info.path}.",
            "Replace",
            lambda: self.import_file(path, name, overwrite=True),
        )

    def _ask(self, title: str, text: str, yes_text: str, then: Callable[[], None], *, no_text: str = "Cancel") -> None:
        """Ask, and do it on a yes. Nothing else waits for the answer."""
        question = QMessageBox(QMessageBox.Icon.Question, "SegNext models", title, parent=self)
        question.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        question.setTextFormat(Qt.TextFormat.PlainText)
        question.setInformativeText(text)
        yes = question.addButton(yes_text, QMessageBox.ButtonRole.AcceptRole)
        no = question.addButton(no_text, QMessageBox.ButtonRole.RejectRole)
        question.setDefaultButton(no)
        question.setEscapeButton(no)
        question.buttonClicked.connect(lambda button: then() if button is yes else None)
        question.open()

    # building

    def _build(self) -> None:
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.addWidget(self._build_list())
        splitter.addWidget(self._build_details())
        splitter.setChildrenCollapsible(False)
        splitter.setSizes((130, 470))
        column = QVBoxLayout(self)
        column.addWidget(splitter, 1)
        column.addLayout(self._build_progress())
        column.addWidget(self._build_status())
        column.addLayout(self._build_buttons())

    def _build_list(self) -> QTreeWidget:
        self._tree = QTreeWidget()
        self._tree.setHeaderLabels(COLUMNS)
        self._tree.setRootIsDecorated(False)
        self._tree.setUniformRowHeights(True)
        self._tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._tree.header().setStretchLastSection(True)
        for column, width in enumerate((180, 110, 70, 150, 80)):
            self._tree.header().setSectionResizeMode(column, QHeaderView.ResizeMode.Interactive)
            self._tree.setColumnWidth(column, width)
        self._tree.setMinimumHeight(120)
        self._tree.currentItemChanged.connect(self._show_details)
        return self._tree

    def _build_details(self) -> QWidget:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._details = {title: _detail_label() for title in DETAILS}
        for title, label in self._details.items():
            form.addRow(title, label)
        self._details["Source"].setTextFormat(Qt.TextFormat.RichText)
        self._details["Source"].setOpenExternalLinks(True)
        self._card = QTextBrowser()
        self._card.setOpenLinks(False)
        self._card.anchorClicked.connect(open_web_page)
        self._card.setMinimumHeight(120)
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 6, 0, 0)
        column.addLayout(form)
        column.addWidget(self._card, 1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidget(body)
        return area

    def _build_progress(self) -> QHBoxLayout:
        self._bar = BusyBar()
        self._bar.setRange(0, 1)
        self._bar.setFormat("")
        self._cancel_button = _button("Cancel", "Stop the download and remove what has come of it.", self.cancel)
        row = QHBoxLayout()
        row.addWidget(self._bar, 1)
        row.addWidget(self._cancel_button)
        return row

    def _build_status(self) -> QLabel:
        self._status = _detail_label()
        self._status.setMinimumHeight(34)
        self._status.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        return self._status

    def _build_buttons(self) -> QHBoxLayout:
        self._download_button = _button(
            "Download…", "Get the model that is picked; its licence is shown first.", self.ask_download
        )
        self._import_button = _button(
            "Import…",
            "Take a weights file: .safetensors of this plugin, or an original .pth of SegNext or Depth Anything V2.",
            self.ask_import,
        )
        self._delete_button = _button(
            "Delete…", "Delete the downloaded or imported model that is picked.", self.ask_delete
        )
        self._close_button = _button("Close", "Close this window.", self.reject)
        row = QHBoxLayout()
        for button in (self._download_button, self._import_button, self._delete_button):
            row.addWidget(button)
        row.addStretch(1)
        row.addWidget(self._close_button)
        return row

    # showing

    def _update_buttons(self) -> None:
        """Bring every button into line with what can be done."""
        state = state_of(self._infos[self.model_name]) if self.model_name else ""
        self._download_button.setEnabled(not self.is_busy and state == "not downloaded")
        self._delete_button.setEnabled(not self.is_busy and state in ("downloaded", "imported"))
        self._import_button.setEnabled(not self.is_busy)
        download = self._life.download
        self._cancel_button.setEnabled(download is not None and not download.is_given_up.is_set())

    def _show_progress(self) -> None:
        """Show how far the download is; an import cannot tell."""
        download = self._life.download
        if download is None or download.is_given_up.is_set():
            return
        n_done, n_all = download.n_bytes
        if n_all is None or n_done >= n_all:
            self._bar.setRange(0, 0)
            self._status.setText(f"Checking '{download.info.name}'…" if n_all else f"{self._task} {size_of(n_done)}")
            return
        self._bar.setRange(0, _BAR_STEPS)
        self._bar.setValue(n_done * _BAR_STEPS // n_all)
        self._bar.setFormat(f"{size_of(n_done) or '0 MB'} of {size_of(n_all)}")
        self._status.setText(self._task)

    def _show_details(self, *_: object) -> None:
        """Show what is known at once; what takes a while follows."""
        self._update_buttons()
        info = self._infos.get(self.model_name)
        if info is None:
            return
        entry = find_entry(info.name)
        texts = {
            "Name": f"{info.name} ({state_of(info)})",
            "Kind": kind_of(info),
            "Description": info.description,
            "Licence": info.licence or "unknown",
            "Citation": info.citation,
            "Source": _link(entry.page) if entry is not None and entry.page else "",
            "File": str(info.path) if info.path.is_file() else "",
            "SHA-256": entry.sha256 or "not published by the authors" if entry is not None else "",
        }
        for title, text in texts.items():
            self._details[title].setText(text or "–")
        self._card.setPlainText("Its card comes with the file." if not info.is_ready else "")
        if info.path.is_file():
            self._show_facts(info)

    def _show_facts(self, info: ModelInfo) -> None:
        """Show what only the weights file knows, once it has been read."""
        status = info.path.stat()
        key = (info.path, status.st_size, status.st_mtime_ns)
        if key in self._facts:
            self._on_facts(info, key, self._facts[key])
            return
        self._details["SHA-256"].setText("…")
        self._run(
            lambda: _facts_of(info),
            lambda facts: self._on_facts(info, key, facts),
            lambda error: self._on_no_facts(info, error),
        )

    def _on_facts(self, info: ModelInfo, key: tuple[Path, int, int], facts: _FileFacts) -> None:
        self._facts[key] = facts
        if info.name == self.model_name:
            self._details["SHA-256"].setText(facts.sha256)
            self._details["Licence"].setText(facts.licence or info.licence or "unknown")
            self._card.setMarkdown(facts.card or _NO_CARD)

    def _on_no_facts(self, info: ModelInfo, error: Exception) -> None:
        if info.name == self.model_name:
            self._details["SHA-256"].setText("–")
            self._card.setPlainText(words_for(error))


def open_models_dialog() -> None:
    """Open the dialog over napari's window, or bring it to the front; the command "Manage models"."""
    windows = QApplication.topLevelWidgets()
    for window in windows:
        if isinstance(window, ModelsDialog) and window.isVisible():
            window.raise_()
            window.activateWindow()
            return
    mains = [window for window in windows if isinstance(window, QMainWindow) and window.isVisible()]
    parent = next((window for window in mains if window.isActiveWindow()), mains[0] if mains else None)
    dialog = ModelsDialog(parent)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.show()


def open_web_page(url: QUrl) -> None:
    """Open a link of a card in the browser; cards come from anywhere, so no other kind of link is followed."""
    if url.scheme() in ("http", "https"):
        QDesktopServices.openUrl(url)


def name_for(path: Path) -> str:
    """A name for the model in a file: the released one of that file, else its stem with what a name may hold."""
    released = next((entry.name for entry in ENTRIES if entry.file_name == path.name), "")
    return released or re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._") or "my-model"


def _facts_of(info: ModelInfo) -> _FileFacts:
    header = info.read_header()
    return _FileFacts(sha256_of(info.path), header.card, header.licence)


def _item(info: ModelInfo) -> QTreeWidgetItem:
    texts = (info.name, state_of(info), size_of(info.n_bytes), info.licence or "unknown", info.kind, info.description)
    item = QTreeWidgetItem(list(texts))
    for column, text in enumerate(texts):
        item.setToolTip(column, text)
    item.setTextAlignment(2, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return item


def _link(address: str) -> str:
    return f'<a href="{address}" style="color: {_LINK_COLOUR}">{address}</a>'


def _detail_label() -> QLabel:
    """Text that can be copied, in as many lines as it takes."""
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.LinksAccessibleByMouse
    )
    return label


def _button(text: str, tooltip: str, on_click: Callable[[], None]) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tooltip)
    button.setAutoDefault(False)
    button.clicked.connect(lambda: on_click())
    return button
