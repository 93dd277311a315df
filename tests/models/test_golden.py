"""Numbers of the original program, recorded with random weights (../shared/golden).

Tolerances are the recording's own: another attention kernel moves logits by 2e-5 and features by 1e-5.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from napari_segnext.models.config import DecoderConfig, FusionConfig, PlainViTConfig, SegNextConfig
from napari_segnext.models.segnext import SegNext
from napari_segnext.prompts import Click, MaskPrompt
from napari_segnext.session import EmbeddingCache, Session
from napari_segnext.weights import load_model

NAMES = ("tiny_sax1", "tiny_sax2_nonsquare", "depth12_sax2")
FEATURE_TOLERANCE = 5e-5
LOGIT_TOLERANCE = 2e-4


@pytest.fixture(params=NAMES)
def recorded(request, golden_folder):
    """(model, arrays) of one recording."""
    model = load_model(golden_folder / f"{request.param}.pth", device="cpu")
    with np.load(golden_folder / f"{request.param}.npz") as arrays:
        return model, dict(arrays)


def encoded(model, arrays):
    image = torch.from_numpy(arrays["image"]).permute(2, 0, 1).float() / 255
    with torch.inference_mode():
        return model.encode_image(image)


def signed(clicks):
    """Rows (row, column, 0 or 1) → `(1, n, 3)` with signs -1 or 1."""
    rows = torch.from_numpy(clicks).float()
    rows[:, 2] = 2 * rows[:, 2] - 1
    return rows[None]


def test_preprocessing_equals_the_original(recorded):
    model, arrays = recorded
    image = torch.from_numpy(arrays["image"]).permute(2, 0, 1).float() / 255
    resized = torch.nn.functional.interpolate(
        model.normalise(image)[None], model.config.input_shape, mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(resized[0, :, ::8, ::8], arrays["preprocessed_stride8"], atol=FEATURE_TOLERANCE)


def test_image_embedding_equals_the_original(recorded):
    model, arrays = recorded
    (level,) = encoded(model, arrays).levels
    np.testing.assert_allclose(level[0], arrays["image_features"], atol=FEATURE_TOLERANCE, rtol=0)


def test_disks_and_logits_equal_the_original_after_each_of_five_clicks(recorded):
    model, arrays = recorded
    embedding, clicks = encoded(model, arrays), signed(arrays["clicks"])
    previous = torch.zeros(1, *embedding.image_shape)
    for step in range(5):
        prompt_map = model.draw_prompt_map(clicks[:, : step + 1], previous, model.config.input_shape)
        np.testing.assert_array_equal(prompt_map[0, 1:], arrays["prompt_disks"][step])
        with torch.inference_mode():
            logits = model.predict_logits(embedding, clicks[:, : step + 1], previous)
        np.testing.assert_allclose(logits[0], arrays["logits"][step], atol=LOGIT_TOLERANCE, rtol=0)
        if step < 4:
            previous = torch.sigmoid(logits)
    np.testing.assert_allclose(
        prompt_map[0, 0, ::4, ::4], arrays["prompt_mask_channel_5_stride4"], atol=FEATURE_TOLERANCE
    )
    np.testing.assert_allclose(torch.sigmoid(logits)[0], arrays["prob_last"], atol=FEATURE_TOLERANCE)


def test_prompt_and_fused_embeddings_and_small_logits_equal_the_original(recorded):
    model, arrays = recorded
    embedding, clicks = encoded(model, arrays), signed(arrays["clicks"])
    previous = torch.sigmoid(torch.from_numpy(arrays["logits"][3]))[None]
    with torch.inference_mode():
        prompt_map = model.draw_prompt_map(clicks, previous, model.config.input_shape)
        (prompt_embedding,) = model.prompt_embedding(prompt_map)
        fused = model.fusion(embedding.levels[0], prompt_embedding)
        logits = model.decode(embedding.levels, prompt_map)
    np.testing.assert_allclose(prompt_embedding[0], arrays["prompt_features_5"], atol=FEATURE_TOLERANCE, rtol=0)
    np.testing.assert_allclose(fused[0], arrays["fused_features_5"], atol=FEATURE_TOLERANCE, rtol=1e-5)
    np.testing.assert_allclose(logits[0, 0], arrays["lowres_logits_5"], atol=LOGIT_TOLERANCE, rtol=0)


def test_mask_given_as_previous_mask_equals_the_original(recorded):
    model, arrays = recorded
    with torch.inference_mode():
        logits = model.predict_logits(
            encoded(model, arrays),
            signed(arrays["mask_prompt_clicks"]),
            torch.from_numpy(arrays["mask_prompt"]).float()[None],
        )
    np.testing.assert_allclose(logits[0], arrays["mask_prompt_logits"], atol=LOGIT_TOLERANCE, rtol=0)


def test_grid_of_prompts_in_one_batch_equals_the_original_one_by_one(recorded):
    model, arrays = recorded
    if "sat_probs" not in arrays:
        pytest.skip("this recording has no grid")
    embedding = encoded(model, arrays)
    rows, columns = model.config.input_shape
    cells = [(r, c) for r in (rows // 4, 3 * rows // 4) for c in (columns // 4, 3 * columns // 4)]
    height, width = embedding.image_shape
    # the grid lies in the model's space; these image positions map onto it exactly
    clicks = torch.tensor([[[r * height / rows, c * width / columns, 1.0]] for r, c in cells])
    with torch.inference_mode():
        probability = torch.sigmoid(model.predict_logits(embedding, clicks, torch.zeros(4, height, width)))
    np.testing.assert_allclose(probability, arrays["sat_probs"], atol=FEATURE_TOLERANCE)


def test_session_on_a_real_image_array_equals_the_original(recorded):
    model, arrays = recorded
    session = Session(model, arrays["image"], cache=EmbeddingCache(is_exact=True))
    for row, column, is_positive in arrays["clicks"]:
        session.add(Click(row, column, bool(is_positive)))
    for step, expected in zip(session.steps, arrays["logits"], strict=True):
        np.testing.assert_allclose(step.prediction.probability, 1 / (1 + np.exp(-expected)), atol=FEATURE_TOLERANCE)


def test_session_feeds_a_mask_prompt_into_the_mask_channel(recorded):
    model, arrays = recorded
    session = Session(model, arrays["image"], cache=EmbeddingCache(is_exact=True))
    prediction = session.add(MaskPrompt(arrays["mask_prompt"]))
    with torch.inference_mode():
        logits = model.predict_logits(
            session.embedding, torch.zeros(1, 0, 3), torch.from_numpy(arrays["mask_prompt"]).float()[None]
        )
    np.testing.assert_allclose(prediction.probability, torch.sigmoid(logits)[0], atol=1e-6)


def test_published_vit_b_has_the_published_number_of_parameters(golden_folder):
    shapes = json.loads((golden_folder / "vitb_state_dict.json").read_text())
    assert shapes
    with torch.device("meta"):
        sax1 = SegNext(SegNextConfig(fusion=FusionConfig(depth=1)))
        sax2 = SegNext(SegNextConfig())
    unused = 1536 + 768  # a norm that is never applied, and the slot of a class token that does not exist
    assert sum(p.numel() for p in sax1.parameters()) == 106_701_761 - unused
    assert sum(p.numel() for p in sax2.parameters()) == 113_789_633 - unused


def test_sum_only_fusion_runs_and_depends_on_the_prompt():
    config = SegNextConfig(
        input_shape=(64, 64),
        encoder=PlainViTConfig(width=24, depth=1, n_heads=3, global_attention_every=1),
        fusion=FusionConfig(depth=0),
        decoder=DecoderConfig(pyramid_widths=(8, 16, 24, 32), head_width=8),
    )
    torch.manual_seed(0)
    model = SegNext(config).eval()
    embedding = model.encode_image(torch.rand(3, 40, 50))
    clicks = torch.tensor([[[10.0, 10.0, 1.0]], [[10.0, 10.0, -1.0]]])
    with torch.inference_mode():
        positive, negative = model.predict_logits(embedding, clicks, torch.zeros(2, 40, 50))
    assert positive.shape == (40, 50)
    assert not torch.allclose(positive, negative)
