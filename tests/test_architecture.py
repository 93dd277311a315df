"""Two sentences of docs/explanation/architecture.md: imports run downward; only the napari parts need napari or Qt."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import napari_segnext

PACKAGE = Path(napari_segnext.__file__).parent

FLOORS = (
    {"errors", "_types", "_version", "_whole_file", "_disk_cache"},
    {"prompts", "models", "volumes"},
    {"weights", "io", "session"},
    {"propagation", "everything", "datasets"},
    {"evaluation", "batch"},
    {"training"},
    {"commands", "annotator", "_reader", "_writer", "_sample_data", "__main__"},
    {"widgets"},
)
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}
DO_NOT_KNOW_EACH_OTHER = ({"prompts", "models", "volumes"}, {"commands", "annotator"})
NEED_NAPARI = {"annotator", "widgets", "_reader", "_writer", "_sample_data"}
MAY_IMPORT_LATE = {("commands", "widgets")}
"""`napari-segnext demo` opens the widget, inside a function."""

GUI_LIBRARIES = {"napari", "qtpy", "magicgui", "superqt", "PyQt5", "PyQt6", "PySide2", "PySide6", "vispy"}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.name != "_version.py")


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imported_names(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def rooms_imported(path: Path) -> set[str]:
    names = imported_names(ast.parse(path.read_text(encoding="utf8")))
    return {name.split(".")[1] for name in names if name.startswith("napari_segnext.")} & set(FLOOR_OF)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downward(path):
    room = room_of(path)
    if room == "__init__":
        return
    assert room in FLOOR_OF, f"{room} has no floor; give it one here and in docs/explanation/architecture.md"
    for other in rooms_imported(path) - {room}:
        if (room, other) in MAY_IMPORT_LATE:
            continue
        assert FLOOR_OF[other] <= FLOOR_OF[room], f"{room} imports {other}, which lies above it"
        for group in DO_NOT_KNOW_EACH_OTHER:
            assert not {room, other} <= group, f"{room} imports {other}; they shall not know each other"


def test_importing_everything_but_the_napari_parts_needs_neither_qt_nor_napari():
    core = [
        ".".join(["napari_segnext", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
        for path in modules()
        if room_of(path) not in NEED_NAPARI and path.name != "__main__.py"
    ]
    code = f"""
import importlib, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {GUI_LIBRARIES!r}:
            raise ModuleNotFoundError(f"{{name}} is not installed")
sys.meta_path.insert(0, Absent())
for name in {core!r}:
    importlib.import_module(name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "module",
    ["napari_segnext", "napari_segnext.prompts", "napari_segnext.commands", "napari_segnext._sample_data"],
)
def test_starting_up_loads_no_torch(module):
    code = f"import {module}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_reading_the_manifest_loads_no_torch():
    pytest.importorskip("npe2")
    code = (
        "from npe2 import PluginManifest; import sys;"
        "manifest = PluginManifest.from_distribution('napari-segnext');"
        "assert manifest.contributions.widgets; sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_manifest_at_the_top_is_a_link_to_the_one_in_the_package():
    top = PACKAGE.parents[1] / "napari.yaml"
    if not top.exists():
        pytest.skip("not a checkout: the link lies at the top of the repository")
    assert top.read_text() == (PACKAGE / "napari.yaml").read_text()
