"""Reports: JSON in the published layout, tables, plots."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest

from napari_segnext.evaluation import (
    EvaluationReport,
    EvaluationSettings,
    ObjectResult,
    ObjectRun,
    draw_iou_curves,
    evaluate,
    write_iou_plot,
)
from napari_segnext.evaluation.report import report_side_by_side
from napari_segnext.prompts import Prompts

METRICS = [
    *("mIoU@1", "mIoU@3", "mIoU@5", "mIoU@10", "mIoU@20"),
    *("NoC@85", "NoC@90", "NoC@95", "NoF@90", "NoF@95"),
    *("seconds_per_click", "seconds_encode"),
    *("BIoU@1", "BIoU@3", "BIoU@5", "BIoU@10", "BIoU@20"),
]


def result(name: str, group: str, ious: list[float], *, per_click: float = 0.5, encode: float = 2.0) -> ObjectResult:
    image_id = name.split(":")[0]
    boundary_ious = tuple(value / 2 for value in ious)
    return ObjectResult(name, group, image_id, ObjectRun(Prompts(), tuple(ious), per_click, boundary_ious), encode)


@pytest.fixture
def report() -> EvaluationReport:
    """Two groups; the objects of image a took longer."""
    rise = np.linspace(0.5, 0.975, 20)  # 0.025 a click: 0.85 after 15, 0.9 after 17, 0.95 after 19
    results = (
        result("a:1", "em", rise.tolist(), per_click=1.5, encode=4.0),
        result("a:2", "em", [0.5] * 20, per_click=1.5, encode=4.0),
        result("b:1", "ct", [0.96] * 20),
    )
    return EvaluationReport("segnext-tiny", "pack", results)


def test_json_has_the_published_layout(report):
    document = json.loads(report.to_json())
    published = ["model", "dataset", "n_objects", "metrics", "groups", "objects"]
    assert list(document) == [*published, "prompts", "zoom", "first_prompt", "peers"]
    assert (document["model"], document["dataset"], document["n_objects"]) == ("segnext-tiny", "pack", 3)
    assert list(document["metrics"]) == METRICS
    assert list(document["groups"]) == ["ct", "em"]
    assert set(document["groups"]["em"]) == {*METRICS, "n_objects"}
    assert document["objects"][2] == {
        "id": "b:1",
        "group": "ct",
        "ious": [0.96] * 20,
        "boundary_ious": [0.48] * 20,
    }
    assert (document["zoom"], document["first_prompt"]) == (False, "click")
    assert document["peers"] == document["prompts"] == {}


def test_metrics_are_means_over_objects(report):
    metrics = report.to_dict()["metrics"]
    assert metrics["mIoU@1"] == pytest.approx((0.5 + 0.5 + 0.96) / 3)
    assert metrics["mIoU@20"] == pytest.approx((0.975 + 0.5 + 0.96) / 3)
    assert metrics["NoC@85"] == pytest.approx((15 + 20 + 1) / 3)
    assert metrics["NoF@90"] == metrics["NoF@95"] == 1


def test_groups_are_measured_on_their_own(report):
    groups = report.to_dict()["groups"]
    assert (groups["ct"]["n_objects"], groups["em"]["n_objects"]) == (1, 2)
    assert groups["ct"]["mIoU@5"] == pytest.approx(0.96)
    assert groups["em"]["NoC@90"] == (17 + 20) / 2


def test_encoding_time_counts_each_image_once(report):
    assert report.to_dict()["metrics"]["seconds_encode"] == (4 + 2) / 2


def test_click_time_counts_each_click_once():
    results = (result("a:1", "em", [0.5] * 3, per_click=1.0), result("b:1", "em", [0.99], per_click=5.0))
    assert EvaluationReport("m", "d", results).to_dict()["metrics"]["seconds_per_click"] == (3 * 1 + 5) / 4


def test_mean_after_more_clicks_than_were_made_is_null():
    metrics = json.loads(EvaluationReport("m", "d", (result("a:1", "em", [0.5] * 5),), max_clicks=5).to_json())[
        "metrics"
    ]
    assert metrics["mIoU@5"] == 0.5
    assert metrics["mIoU@10"] is None
    assert metrics["NoC@90"] == 5


def test_report_of_nothing_is_refused():
    with pytest.raises(ValueError, match="there is no result of 'm' on 'd'"):
        EvaluationReport("m", "d", ())


def test_partial_results_make_a_report(fake_model, two_images):
    results = evaluate(fake_model, two_images, settings=EvaluationSettings(max_clicks=3))
    report = EvaluationReport(fake_model.identity.name, two_images.name, (next(results), next(results)), max_clicks=3)
    document = json.loads(report.to_json())
    assert document["n_objects"] == 2
    assert [len(item["ious"]) for item in document["objects"]] == [3, 3]


def test_table_has_a_line_for_each_group_and_one_for_all(report):
    lines = report.to_text().splitlines()
    assert lines[0] == "segnext-tiny on pack, 20 clicks, IoU in percent"
    assert [line.split()[0] for line in lines[1:]] == ["group", "ct", "em", "all"]
    assert lines[2].split() == [
        "ct",
        "1",
        *["96.00"] * 5,
        *["48.00"] * 3,
        "1.00",
        "1.00",
        "1.00",
        "0",
        "0",
        "0.500",
        "2.000",
    ]
    assert len({len(line) for line in lines[1:]}) == 1


def test_table_marks_what_was_not_measured():
    report = EvaluationReport("m", "d", (result("a:1", "em", [0.5] * 5),), max_clicks=5)
    assert report.to_text().splitlines()[-1].split()[2:7] == ["50.00", "50.00", "50.00", "-", "-"]


def test_table_gives_intervals_on_request(report):
    assert "96.00 [96.0, 96.0]" in report.to_text(with_intervals=True)


def test_boundary_ious_that_were_not_measured_are_null():
    results = (ObjectResult("a:1", "em", "a", ObjectRun(Prompts(), (0.5,), 1.0), 1.0),)
    assert EvaluationReport("m", "d", results, max_clicks=1).to_dict()["metrics"]["BIoU@1"] is None


@pytest.fixture
def comparison() -> EvaluationReport:
    """A network and a peer with fewer clicks, two kinds of first prompt, on two objects."""
    rounds = []
    for name, group in (("a:1", "em"), ("b:1", "ct")):
        rounds.append(
            tuple(
                replace(result(name, group, [value] * n_clicks), method=method, first_prompt=kind)
                for method, n_clicks, values in (("net", 10, (0.9, 0.8)), ("watershed", 3, (0.4, 0.3)))
                for kind, value in zip(("box", "click"), values, strict=True)
            )
        )
    return report_side_by_side(rounds, "pack", {"net": 10, "watershed": 3}, zoom=True)


def test_peers_and_first_prompts_are_in_the_json(comparison):
    document = json.loads(comparison.to_json())
    assert (document["model"], document["zoom"], document["first_prompt"]) == ("net", True, "box")
    assert document["metrics"]["mIoU@10"] == pytest.approx(0.9)
    assert {kind: metrics["mIoU@1"] for kind, metrics in document["prompts"].items()} == pytest.approx(
        {"box": 0.9, "click": 0.8}
    )
    peer = document["peers"]["watershed"]
    assert (peer["n_objects"], peer["max_clicks"]) == (2, 3)
    assert peer["metrics"]["mIoU@3"] == pytest.approx(0.4)
    assert peer["metrics"]["mIoU@5"] is None
    assert peer["groups"]["ct"]["mIoU@1"] == pytest.approx(0.4)
    assert peer["prompts"]["click"]["mIoU@1"] == pytest.approx(0.3)


def test_tables_put_methods_and_first_prompts_side_by_side(comparison):
    _, peers, prompts = comparison.to_text().split("\n\n")
    rows = [line.split()[:4] for line in peers.splitlines()[2:]]
    assert rows == [
        [group, method, n, miou]
        for group, n in (("ct", "1"), ("em", "1"), ("all", "2"))
        for method, miou in (("net", "90.00"), ("watershed", "40.00"))
    ]
    assert [line.split()[:4] for line in prompts.splitlines()[2:]] == [
        ["box", "net", "2", "90.00"],
        ["box", "watershed", "2", "40.00"],
        ["click", "net", "2", "80.00"],
        ["click", "watershed", "2", "30.00"],
    ]


def test_comparison_of_nothing_is_refused():
    with pytest.raises(ValueError, match="there is no result of 'net'"):
        report_side_by_side([], "pack", {"net": 20}, zoom=False)


def test_results_that_cannot_be_told_apart_are_refused():
    twice = (result("a:1", "em", [0.5]), result("a:1", "em", [0.9]))
    with pytest.raises(ValueError, match=r"'a:1' has several results of method 'net'.*Give each method its own name"):
        report_side_by_side([tuple(replace(each, method="net") for each in twice)], "pack", {"net": 1}, zoom=False)


def test_plot_shows_a_curve_for_each_group_and_one_for_all(report):
    (axes,) = draw_iou_curves(report).axes
    curves = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert list(curves) == ["ct (1)", "em (2)", "all (3)"]
    assert curves["all (3)"][0] == pytest.approx((0.5 + 0.5 + 0.96) / 3)


def test_plot_of_one_group_has_one_curve():
    report = EvaluationReport("m", "d", (result("a:1", "em", [0.5, 0.6]),), max_clicks=2)
    (axes,) = draw_iou_curves(report).axes
    assert len(axes.lines) == 1


def test_plot_is_written_as_a_picture(report, tmp_path):
    write_iou_plot(tmp_path / "curves.png", report)
    with PIL.Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (1050, 675)
        assert len(picture.convert("RGB").getcolors(1_000_000)) > 50


def test_plot_does_not_touch_pyplot(tmp_path):
    code = (
        "import sys\n"
        "from napari_segnext.evaluation import EvaluationReport, ObjectResult, ObjectRun, write_iou_plot\n"
        "from napari_segnext.prompts import Prompts\n"
        "results = (ObjectResult('a:1', 'em', 'a', ObjectRun(Prompts(), (0.5, 0.6), 1.0), 1.0),)\n"
        f"write_iou_plot({str(tmp_path / 'curves.svg')!r}, EvaluationReport('m', 'd', results))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    assert (tmp_path / "curves.svg").read_text().rstrip().endswith("</svg>")
