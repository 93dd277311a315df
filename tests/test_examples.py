"""Every script in `examples/` runs without a window, on the bundled model, and does what it says."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

import napari_segnext.weights

TOP = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(path.relative_to(TOP) for path in TOP.rglob("*.py"))


def sizes(annotator):
    """Label → number of pixels."""
    labels, counts = np.unique(annotator.layers.output.data, return_counts=True)
    return {int(label): int(n) for label, n in zip(labels, counts, strict=True) if label}


def covers(mask, top, left, bottom, right):
    """Whether a mask and a coin, taken for an ellipse in its box, are the same for the most part."""
    rows, columns = np.indices(mask.shape)
    high, wide = (bottom - top) / 2, (right - left) / 2
    coin = ((rows - top - high) / high) ** 2 + ((columns - left - wide) / wide) ** 2 <= 1
    return (mask & coin).sum() / (mask | coin).sum() > 0.5


UPPER_LEFT, LOWER_LEFT = (34, 22, 75, 67), (103, 24, 146, 68)


def check_overlap(annotator):
    assert list(sizes(annotator)) == [2]
    assert annotator.undo()
    assert list(sizes(annotator)) == [1]


def check_edits(annotator):
    assert list(sizes(annotator)) == [1, 20]
    assert annotator.objects.get(1).name == "the worn one"
    assert {record.class_name for record in annotator.objects} == {"coin"}
    assert not annotator.objects.locked


def check_saved(annotator):
    assert [record.name for record in annotator.objects] == ["coin", ""]
    assert list(sizes(annotator)) == [1, 2]
    assert Path("coins_annotation/current").exists()


def check_measures(annotator):
    lines = Path("objects.csv").read_text(encoding="utf8").splitlines()
    assert lines[0].startswith("label,n_pixels,area_um2")
    assert len(lines) == 3
    assert list(annotator.layers.output.features["area_um2"]) == [n / 4 for n in sizes(annotator).values()]


def check_replayed(annotator):
    from tifffile import imread

    np.testing.assert_array_equal(imread("labels.tif"), annotator.layers.output.data)
    assert list(sizes(annotator)) == [1, 2]


def check_found(result):
    assert len(result.objects) == 3
    assert covers(result.labels == 1, *UPPER_LEFT)
    assert len(Path("coins.csv").read_text(encoding="utf8").splitlines()) == 4


def check_thresholds(outcome):
    sizes, cleaned = outcome
    assert sizes[0] >= sizes[1] >= sizes[2] > 0
    assert covers(cleaned, *LOWER_LEFT)


def check_command_line(outcome):
    mask, labels = outcome
    np.testing.assert_array_equal(labels == 1, mask)


CHECKS = {
    "library/click_and_correct.py": lambda session: (
        len(session.prompts) == 3 and covers(session.prediction.mask, *UPPER_LEFT)
    ),
    "library/everything_from_boxes.py": check_found,
    "library/mask_prompt.py": lambda session: [one.kind for one in session.prompts] == ["mask", "click"],
    "library/prompts_file.py": check_command_line,
    "library/scribble_and_polygon.py": lambda session: covers(session.prediction.mask, 109, 133, 146, 174),
    "library/threshold_and_cleanup.py": check_thresholds,
    "library/undo_and_edit.py": lambda session: [(one.row, one.column) for one in session.prompts] == [(126, 50)],
    "plugin/autosave.py": lambda annotator: list(sizes(annotator)) == [1],
    "plugin/box_and_correction.py": lambda annotator: covers(annotator.layers.output.data == 1, *UPPER_LEFT),
    "plugin/click_and_accept.py": lambda annotator: covers(annotator.layers.output.data == 2, *LOWER_LEFT),
    "plugin/edit_objects.py": check_edits,
    "plugin/everything_from_boxes.py": lambda annotator: covers(annotator.layers.output.data == 1, *UPPER_LEFT),
    "plugin/mask_from_layer.py": lambda annotator: covers(annotator.layers.output.data == 1, *UPPER_LEFT),
    "plugin/measure.py": check_measures,
    "plugin/overlap.py": check_overlap,
    "plugin/prompts_for_predict.py": check_replayed,
    "plugin/reopen_object.py": lambda annotator: (
        list(sizes(annotator)) == [1] and annotator.layers.output.data[10, 10] == 1
    ),
    "plugin/save_and_restore.py": check_saved,
    "plugin/scribbles.py": lambda annotator: covers(annotator.layers.output.data == 1, *UPPER_LEFT),
    "plugin/threshold_and_cleanup.py": lambda annotator: (
        annotator.threshold == 0.6 and annotator.cleanup.fills_holes and list(sizes(annotator)) == [1]
    ),
    "plugin/undo_and_redo.py": lambda annotator: annotator.objects.get(1).name == "coin" and not annotator.can_redo,
}


@pytest.fixture(scope="module")
def model():
    return napari_segnext.weights.load_model("segnext-tiny", "cpu")


@pytest.mark.parametrize("path", SCRIPTS, ids=str)
def test_example(path, model, monkeypatch, tmp_path):
    if path.parts[0] == "plugin":
        pytest.importorskip("napari")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("napari_segnext.weights.load_model", lambda name, device="auto": model)
    outcome = runpy.run_path(str(TOP / path))["main"]()
    assert CHECKS[path.as_posix()](outcome) in (True, None)


def test_every_example_is_checked():
    assert sorted(CHECKS) == [path.as_posix() for path in SCRIPTS]
