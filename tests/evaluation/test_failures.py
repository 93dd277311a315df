"""The gallery of the worst cases."""

from __future__ import annotations

import csv

import numpy as np
import PIL.Image
import pytest

from napari_segnext.evaluation import Contestant, EvaluationSettings, SessionMethod, evaluate_side_by_side
from napari_segnext.evaluation.failures import draw_failures, replay_failures, worst_results, write_failures


@pytest.fixture
def method(fake_model):
    return SessionMethod(fake_model, zoom=False)


@pytest.fixture
def results(method, two_images):
    contestant = Contestant(method, EvaluationSettings(max_clicks=3))
    return [each for (each,) in evaluate_side_by_side([contestant], two_images, first_prompts=("click",))]


def test_worst_come_first_and_are_compared_after_a_common_click(results):
    worst, n_clicks = worst_results(results, n=3)
    assert n_clicks == 3
    assert len(worst) == 3
    lowest = [each.ious[2] for each in worst]
    assert lowest == sorted(each.ious[2] for each in results)[:3]


def test_cases_are_compared_after_ten_clicks_at_most(method, two_images):
    contestant = Contestant(method, EvaluationSettings(max_clicks=12))
    results = [each for (each,) in evaluate_side_by_side([contestant], two_images)]
    assert worst_results(results)[1] == 10


def test_replay_gives_the_answers_of_the_evaluation(method, two_images, results):
    failures = replay_failures(method, two_images, results)
    assert len(failures) == 4
    for failure in failures:
        assert np.float32(failure.iou) == np.float32(failure.result.ious[2])
        assert failure.image.shape[:2] == failure.truth.shape == failure.mask.shape
        assert (failure.truth == 1).sum() == failure.n_object_px


def test_crop_shows_where_it_lies(method, two_images, results):
    failure = next(each for each in replay_failures(method, two_images, results) if each.result.id == "one:2")
    loaded = two_images.images[0].read()
    rows, columns = np.nonzero(failure.truth == 1)
    assert (loaded.labels[rows + failure.origin_yx[0], columns + failure.origin_yx[1]] == 2).all()


def test_gallery_has_a_tile_for_each_case_with_id_and_iou(method, two_images, results):
    failures = replay_failures(method, two_images, results, n=2)
    figure = draw_failures(failures)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [f"{each.result.id}\nIoU {100 * each.iou:.1f}" for each in failures]
    colours = {line.get_color() for axes in figure.axes for line in axes.lines}
    assert {"cyan", "orange", "lime"} <= colours


@pytest.mark.parametrize("kind", ["box", "polygon", "scribble", "mask"])
def test_first_prompts_of_all_kinds_are_drawn(method, two_images, kind):
    contestant = Contestant(method, EvaluationSettings(max_clicks=1))
    results = [each for (each,) in evaluate_side_by_side([contestant], two_images, first_prompts=(kind,))]
    figure = draw_failures(replay_failures(method, two_images, results, n=1))
    has_line = any(line.get_linestyle() == "--" for line in figure.axes[0].lines)
    assert has_line == (kind != "mask")


def test_picture_and_table_are_written_into_a_new_folder(method, two_images, results, tmp_path):
    failures = replay_failures(method, two_images, results)
    write_failures(tmp_path / "worst", failures)
    with PIL.Image.open(tmp_path / "worst" / "failures.png") as picture:
        assert picture.width > 600
    with (tmp_path / "worst" / "failures.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [each.result.id for each in failures]
    assert rows[0]["rank"] == "1"
    assert float(rows[0]["iou"]) == pytest.approx(failures[0].iou, abs=1e-4)
    assert int(rows[0]["n_clicks"]) == 3
