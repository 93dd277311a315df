"""The whole evaluation against recorded sessions of the original program, with the same seeded random weights."""

from __future__ import annotations

import numpy as np
import pytest

from napari_segnext.evaluation import EvaluationSettings, evaluate_object
from napari_segnext.session import EmbeddingCache, Session
from napari_segnext.weights import load_model


@pytest.mark.parametrize("name", ["tiny_sax1", "tiny_sax2_nonsquare", "depth12_sax2"])
def test_clicks_and_ious_are_those_of_the_original(golden_folder, name):
    recorded = np.load(golden_folder / f"{name}.npz")
    model = load_model(golden_folder / f"{name}.pth", device="cpu")
    # the original rounds no embeddings
    exact = EmbeddingCache(is_exact=True)
    session = Session(model, recorded["image"], threshold=0.49, zoom=False, cache=exact)
    truth = recorded["eval_gt"].astype(np.int8)
    settings = EvaluationSettings(max_clicks=len(recorded["eval_clicks"]))
    run = evaluate_object(session, truth, settings=settings)
    clicks = [(click.row, click.column, click.is_positive) for click in run.prompts]
    assert clicks == [tuple(click) for click in recorded["eval_clicks"]]
    # Another attention kernel moves logits by about 2e-5, which may turn a pixel at the edge over.
    np.testing.assert_allclose(run.ious, recorded["eval_ious"], atol=1e-4)
