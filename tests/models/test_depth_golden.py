"""Numbers of the original Depth Anything V2, recorded with random weights (../shared/golden/depth_anything_v2).

Tolerances are the recording's own; its README tells what each kind of mistake would change.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from napari_segnext.models.depth_anything import depth_input_shape
from napari_segnext.models.depth_config import BASE, LARGE, SMALL, DepthAnythingConfig
from napari_segnext.weights import load_depth_model
from napari_segnext.weights.depth_anything import DROPPED, PREFIXES, PUBLISHED

CASES = ("square", "nonsquare", "native518", "wide518")
INPUT_TOLERANCE = 5e-5
FEATURE_TOLERANCE = 1e-4
POSITION_TOLERANCE = 1e-5
FUSION_TOLERANCE = 3e-4
DEPTH_TOLERANCES = {"square": 3e-4, "nonsquare": 3e-4, "native518": 2e-3, "wide518": 2e-3}


@pytest.fixture(scope="module")
def folder(golden_folder):
    return golden_folder / "depth_anything_v2"


@pytest.fixture(scope="module")
def settings(folder):
    return json.loads((folder / "config.json").read_text())


@pytest.fixture(scope="module")
def model(folder, settings):
    encoder, head = settings["encoder"], settings["head"]
    config = DepthAnythingConfig(
        patch_px=encoder["patch_size"],
        table_side=encoder["pretrain_image_size"] // encoder["patch_size"],
        width=encoder["embed_dim"],
        depth=encoder["depth"],
        n_heads=encoder["num_heads"],
        mlp_ratio=encoder["mlp_ratio"],
        blocks_taken=tuple(encoder["blocks_taken"]),
        features=head["features"],
        reassembled_widths=tuple(head["out_channels"]),
        head_hidden=head["head_hidden"],
    )
    return load_depth_model(folder / "weights.pth", "cpu", config=config)


class Recording:
    """One case: its arrays, strides and sizes."""

    def __init__(self, folder, settings, name):
        with np.load(folder / f"{name}.npz") as arrays:
            self.arrays = dict(arrays)
        self.name, self.case = name, settings["cases"][name]
        self.shape = tuple(self.case["input_hw"])

    @property
    def image(self):
        return torch.from_numpy(self.arrays["image"]).permute(2, 0, 1).double() / 255

    def network_input(self, model):
        return model.normalise(model._resized(self.image, self.shape)).float()


@pytest.fixture(params=CASES)
def recorded(request, folder, settings):
    return Recording(folder, settings, request.param)


@pytest.fixture
def nonsquare(folder, settings):
    return Recording(folder, settings, "nonsquare")


def assert_equal(found, expected, atol):
    np.testing.assert_allclose(np.asarray(found), expected, atol=atol, rtol=0)


def test_input_equals_the_original(model, recorded):
    assert model.input_shape(recorded.image.shape[1:], recorded.case["input_size"]) == recorded.shape
    stride = recorded.case["input_stride"]
    found = recorded.network_input(model)[:, ::stride, ::stride]
    assert_equal(found, recorded.arrays["input"], INPUT_TOLERANCE)


@torch.inference_mode()
def test_features_equal_the_original(model, recorded):
    image, stride = recorded.network_input(model)[None], recorded.case["feature_stride"]
    maps, tokens = model.encoder(image), model.encoder.taken_tokens(image)
    for number, (level, taken) in enumerate(zip(maps, tokens, strict=True), start=1):
        assert level.shape[-2:] == tuple(recorded.case["grid"])
        patches = level[0].flatten(1).T[::stride]
        assert_equal(patches, recorded.arrays[f"feature_{number}"], FEATURE_TOLERANCE)
        assert_equal(model.encoder.norm(taken)[0, 0], recorded.arrays[f"class_{number}"], FEATURE_TOLERANCE)


@torch.inference_mode()
def test_depth_equals_the_original(model, recorded):
    stride = recorded.case["depth_stride"]
    depth = model(recorded.network_input(model)[None])
    assert depth.shape == (1, *recorded.shape) and depth.min() >= 0
    assert_equal(depth[0, ::stride, ::stride], recorded.arrays["depth"], DEPTH_TOLERANCES[recorded.name])


@torch.inference_mode()
def test_depth_of_the_picture_equals_the_original(model, recorded):
    depth = model.estimate_depth(recorded.image.float(), recorded.case["input_size"])
    assert depth.dtype == torch.float32
    assert_equal(depth, recorded.arrays["depth_resized"], DEPTH_TOLERANCES[recorded.name])


def test_resampled_positions_equal_the_original(model, nonsquare):
    positions = model.encoder.positions(tuple(nonsquare.case["grid"]))
    assert_equal(positions[0], nonsquare.arrays["pos_embed_resampled"], POSITION_TOLERANCE)


@torch.inference_mode()
def test_block_outputs_equal_the_original(model, nonsquare):
    tokens = model.encoder.taken_tokens(nonsquare.network_input(model)[None])
    for number in (1, 4):
        found = tokens[number - 1][0, 1:]
        assert_equal(found, nonsquare.arrays[f"block_output_{number}"], FEATURE_TOLERANCE)


@torch.inference_mode()
def test_fused_maps_and_logits_equal_the_original(model, nonsquare):
    fused = {}
    hooks = [
        fusion.register_forward_hook(lambda _, __, result, number=number: fused.update({number: result[0]}))
        for number, fusion in enumerate(model.decoder.fusions, start=1)
    ]
    logits = model.decoder(model.encoder(nonsquare.network_input(model)[None]), nonsquare.shape)
    for hook in hooks:
        hook.remove()
    for number, stride in ((4, 1), (3, 1), (2, 2), (1, 3)):
        found = fused[number][:, ::stride, ::stride]
        assert_equal(found, nonsquare.arrays[f"fused_{number}"], FUSION_TOLERANCE)
    assert_equal(logits[0, 0, ::3, ::3], nonsquare.arrays["logit"], FUSION_TOLERANCE)


def test_sizes_of_inputs_equal_the_original(folder):
    with np.load(folder / "resize_table.npz") as arrays:
        rows = arrays["rows"].tolist()
    assert len(rows) == 200
    for height, width, input_px, *expected in rows:
        assert depth_input_shape((height, width), input_px) == tuple(expected)


@torch.inference_mode()
def test_batch_equals_one_by_one(model, nonsquare):
    image = nonsquare.network_input(model)
    batch = torch.stack([image, image.flip(-1), image.flip(-2)])
    one_by_one = torch.cat([model(image[None]) for image in batch])
    assert_equal(model(batch), one_by_one, 1e-4)


@torch.inference_mode()
def test_single_and_double_precision_agree(model, nonsquare):
    single = model.estimate_depth(nonsquare.image, 70)
    try:
        double = model.double().estimate_depth(nonsquare.image, 70)
    finally:
        model.float()
    assert double.dtype == torch.float64
    assert_equal(single, double, DEPTH_TOLERANCES["nonsquare"])


@pytest.mark.parametrize(
    ("key", "config", "n_parameters", "n_unused"),
    [
        ("vits", SMALL, 24_785_089, 74_240),
        ("vitb", BASE, 97_470_785, 295_936),
        ("vitl", LARGE, 335_315_649, 1_181_184),
    ],
    ids=["small", "base", "large"],
)
def test_published_sizes_have_exactly_the_published_parameters(key, config, n_parameters, n_unused, golden_folder):
    from napari_segnext.models.depth_anything import DepthAnything

    published = json.loads((golden_folder / "depth_anything_v2_state_dict.json").read_text())[key]
    with torch.device("meta"):
        ours = {name: list(tensor.shape) for name, tensor in DepthAnything(config).state_dict().items()}
    renamed = {}
    for name, shape in published.items():
        if name not in DROPPED:
            prefix = next(prefix for prefix in PREFIXES if name.startswith(prefix))
            renamed[PREFIXES[prefix] + name.removeprefix(prefix)] = shape
    assert renamed == ours
    assert set(DROPPED) <= set(published)
    assert sum(int(np.prod(shape)) for shape in published.values()) == n_parameters
    assert sum(int(np.prod(published[name])) for name in DROPPED) == n_unused
    assert config in PUBLISHED.values()
