"""Models that read depth are evaluated with the dataset's, or with their own."""

from __future__ import annotations

import numpy as np
import pytest

from napari_segnext.datasets import open_dataset
from napari_segnext.errors import ImageError
from napari_segnext.evaluation import EvaluationSettings, SessionMethod, evaluate_side_by_side
from napari_segnext.evaluation.methods import open_loaded
from napari_segnext.evaluation.protocol import Contestant
from tests.depth_model import DepthModel


@pytest.fixture(scope="module")
def scenes():
    return open_dataset("layered", max_objects=3)


def ious(scenes, *, takes_true_depth: bool) -> list[float]:
    method = SessionMethod(DepthModel(), zoom=False, takes_true_depth=takes_true_depth)
    contestant = Contestant(method, EvaluationSettings(max_clicks=1))
    return [results[0].ious[-1] for results in evaluate_side_by_side([contestant], scenes)]


def test_the_depth_of_the_dataset_changes_the_answers(scenes):
    assert ious(scenes, takes_true_depth=True) != ious(scenes, takes_true_depth=False)


def test_a_click_finds_what_lies_at_its_depth(scenes):
    loaded = next(iter(scenes)).read()
    work = open_loaded(SessionMethod(DepthModel(), zoom=False, takes_true_depth=True), loaded)
    depth = work.depth_map()
    low, high = np.quantile(loaded.depth, (0.02, 0.98))
    np.testing.assert_allclose(depth, np.clip((loaded.depth - low) / (high - low), 0, 1), atol=0.02)


def test_a_model_that_reads_none_says_so(scenes, fake_model):
    with pytest.raises(ImageError, match="reads none"):
        open_loaded(SessionMethod(fake_model, zoom=False, takes_true_depth=True), next(iter(scenes)).read())
