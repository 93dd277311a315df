from __future__ import annotations

import json
import sys

import pytest


@pytest.fixture(autouse=True)
def _small_peak(monkeypatch):
    """The machine's peak is measured with small matrices, in no time."""
    monkeypatch.setattr("napari_segnext.evaluation.benchmark.machine._SIDE", {"cpu": 64})
    monkeypatch.setattr("napari_segnext.evaluation.benchmark.machine._COPIED_FLOATS", 2**12)


def test_prints_a_table_and_writes_numbers_and_plot(cli, tiny_model, tmp_path):
    result = cli(
        "benchmark", "--model", tiny_model, "--side", 64, "--repeats", 1, "--grid", 2, "--batch", 2,
        "--json", tmp_path / "b.json", "--plot", tmp_path / "b.png",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "| click | tiny-random |" in result.output
    values = json.loads((tmp_path / "b.json").read_text())
    assert {one["case"] for one in values["results"]} >= {"encode", "click", "grid point"}
    assert all(one["work"]["n_flops"] > 0 for one in values["results"])
    assert (tmp_path / "b.png").is_file()


def test_ctrl_c_prints_what_was_timed(cli, tiny_model, monkeypatch):
    from napari_segnext.evaluation import benchmark as package

    def interrupted(*arguments, **options):
        yield from [next(package.run.iterate_benchmark(*arguments, **options))]
        raise KeyboardInterrupt

    monkeypatch.setattr(package, "iterate_benchmark", interrupted)
    result = cli("benchmark", "--model", tiny_model, "--side", 64, "--repeats", 1)
    assert result.exit_code == 130
    assert "| encode | tiny-random |" in result.output
    assert "| click |" not in result.output


def test_wrong_usage_is_told_in_one_line(cli, tiny_model, tmp_path, monkeypatch):
    assert cli("benchmark", "--plot", tmp_path / "b.txt").exit_code == 2
    assert cli("benchmark", "--json", tmp_path / "none" / "b.json").exit_code == 2
    unknown = cli("benchmark", "--model", tiny_model, "--case", "clicks")
    assert unknown.exit_code == 2
    assert "expected some of encode, first click" in unknown.output
    assert "expected one of sam-vit-b" in cli("benchmark", "--model", tiny_model, "--peer", "sam").output
    monkeypatch.setitem(sys.modules, "transformers", None)
    missing = cli("benchmark", "--model", tiny_model, "--peer", "sam-vit-b")
    assert missing.exit_code == 2
    assert "pip install transformers" in missing.output
