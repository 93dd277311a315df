"""Seconds come from a clock of the test's own: what is checked is what is compared with what, never how fast it is."""

from __future__ import annotations

import json
from itertools import count

import pytest
import torch

from napari_segnext.evaluation.benchmark import (
    CASES,
    BenchmarkSettings,
    ModelContender,
    benchmark,
    in_turns,
    iterate_benchmark,
    ratios,
    spread,
    write_benchmark_plot,
)
from napari_segnext.models.interface import ImageEmbedding

SMALL = BenchmarkSettings(image_shape=(40, 60), repeats=3, grid=4, batch=2)


@pytest.fixture(autouse=True)
def _small_peak(monkeypatch):
    """The machine's peak is measured with small matrices, in no time."""
    monkeypatch.setattr("napari_segnext.evaluation.benchmark.machine._SIDE", {"cpu": 64})
    monkeypatch.setattr("napari_segnext.evaluation.benchmark.machine._COPIED_FLOATS", 2**12)


class Counting:
    """A contender that counts what it is asked, and does `n` products of matrices for each answer."""

    def __init__(self, name, n=1):
        self.name, self.n = name, n
        self.device = torch.device("cpu")
        self.asked = []

    def encode(self, image):
        self.asked.append(("encode", tuple(image.shape)))
        return ["nothing prepared"]

    def answer(self, encoded, prompting):
        self.asked.append((encoded[-1], tuple(prompting.clicks.shape), float(prompting.masks().max()) > 0))
        encoded.append("prepared")
        for _ in range(self.n):
            torch.ones(8, 8) @ torch.ones(8, 8)
        return prompting.masks()

    def forget_prepared(self, encoded):
        del encoded[1:]


def test_every_case_asks_what_its_name_says():
    contender = Counting("one")
    report = benchmark([contender], SMALL)
    assert [result.case for result in report.results] == list(CASES)
    asked = set(contender.asked)
    assert ("encode", (3, 40, 60)) in asked
    # one click and no mask: on a new image, and for another object
    assert {("nothing prepared", (1, 1, 3), False), ("prepared", (1, 1, 3), False)} <= asked
    assert ("prepared", (1, 3, 3), True) in asked
    assert ("prepared", (2, 1, 3), False) in asked
    n_first = sum(one == ("nothing prepared", (1, 1, 3), False) for one in contender.asked)
    # a turn that does not count, three that do, one to count the work, one to measure memory
    assert n_first == 1 + 3 + 2


def test_work_of_a_grid_is_that_of_a_point():
    report = benchmark([Counting("one", n=4)], SMALL)
    by_case = {result.case: result.work.n_flops for result in report.results}
    assert by_case["click"] == 4 * 2 * 8**3
    assert by_case["grid point"] == by_case["click"] // 2


def test_ratios_are_of_the_same_turn(monkeypatch):
    seconds = iter([0, 0, *(edge for pair in ((1, 2), (10, 20), (3, 9)) for n in pair for edge in (0, n))])
    monkeypatch.setattr("napari_segnext.evaluation.benchmark.turns.perf_counter", lambda: next(seconds))
    found = in_turns({"a": lambda: None, "b": lambda: None}, repeats=3, device=torch.device("cpu"))
    assert found == {"a": (1, 10, 3), "b": (2, 20, 9)}
    assert ratios(found["b"], found["a"]).median == 2
    assert spread((1, 2, 3, 4, 5)).low == 2
    assert spread((7,)).high == 7


def test_table_json_and_plot(tmp_path):
    report = benchmark([Counting("ours"), Counting("peer", n=3)], SMALL, baseline="peer")
    table = report.table()
    assert "| click | ours |" in table
    assert "over peer" in table
    assert "grid of 4 × 4 (16 times a point)" in table
    values = json.loads(json.dumps(report.to_dict()))
    assert len(values["results"]) == 2 * len(CASES)
    assert all(one["ratio"]["median"] == 1 for one in values["results"] if one["contender"] == "peer")
    write_benchmark_plot(tmp_path / "plot.png", report)
    assert (tmp_path / "plot.png").stat().st_size > 5000


def test_cases_come_one_by_one():
    reports = iterate_benchmark([Counting("one")], SMALL)
    assert len(next(reports).results) == 1
    assert len(next(reports).results) == 2


@pytest.mark.parametrize(
    ("contenders", "baseline"),
    [([], ""), ([Counting("a"), Counting("a")], ""), ([Counting("a")], "b")],
    ids=["none", "names clash", "unknown baseline"],
)
def test_contenders_that_cannot_be_compared_are_refused(contenders, baseline):
    with pytest.raises(ValueError, match="expected at least one, names that differ"):
        benchmark(contenders, SMALL, baseline=baseline)


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="expected some of encode"):
        BenchmarkSettings(cases=("clicks",))
    with pytest.raises(ValueError, match="above 0"):
        BenchmarkSettings(repeats=0)


def test_a_model_forgets_what_it_prepared():
    numbers = count()

    class Model:
        device = torch.device("cpu")

        def encode_image(self, image):
            return ImageEmbedding((image[None],), (image.shape[-2], image.shape[-1]))

        def predict_logits(self, embedding, clicks, previous_masks):
            if "base" not in embedding.prepared:
                embedding.prepared["base"] = next(numbers)
            return previous_masks

    report = benchmark([ModelContender("m", Model())], BenchmarkSettings(("first click", "click"), (20, 20), repeats=2))
    assert {result.case for result in report.results} == {"first click", "click"}
    # anew at each first click, never at a later one
    assert next(numbers) == 1 + 2 + 2
