"""How much work is done, counted and not timed: encodes, predictions, pixels, multiplications.

Every number stands in one of the two tables below. More than that is a regression. Less is an improvement, and asks for
a lower number here, so that it is not lost again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from napari_segnext import Box, Click, Session
from napari_segnext.everything import EverythingSettings, iterate_everything
from napari_segnext.models.config import DecoderConfig, FusionConfig, PlainViTConfig, SegNextConfig
from napari_segnext.models.interface import ModelIdentity
from napari_segnext.models.segnext import SegNext
from napari_segnext.propagation import embed_volume, propagate
from napari_segnext.propagation.annotated import ObjectToPropagate
from napari_segnext.session import EmbeddingCache, EmbeddingStore
from napari_segnext.volumes import Volume
from napari_segnext.weights import load_model
from tests.propagation.conftest import BrightPartsModel


class Counts(NamedTuple):
    """What a model was asked for."""

    encodes: int
    predictions: int


COUNTS = {
    # of the whole image
    "opening an image": Counts(1, 0),
    "first click": Counts(0, 1),
    "tenth click": Counts(0, 1),
    "box": Counts(0, 1),
    "undo": Counts(0, 0),
    "redo": Counts(0, 0),
    "reset": Counts(0, 0),
    "removing the third of ten clicks": Counts(0, 7),
    "opening an image that is in memory": Counts(0, 0),
    "opening an image that is on disk": Counts(0, 0),
    # with zoom, on 512 × 512 pixels, where a click finds an object of 5 pixels
    "first click with zoom": Counts(3, 4),
    "second click with zoom": Counts(2, 2),
    "box with zoom": Counts(1, 1),
    "undo with zoom": Counts(0, 0),
    # the annotated slice is asked about, too
    "propagating through 9 slices": Counts(9, 9),
    "propagating through 17 slices": Counts(17, 17),
    "propagating 3 objects through 9 slices": Counts(9, 27),
    "propagating through 9 slices that are embedded": Counts(0, 9),
    # per point of the grid
    "4 × 4 points that find nothing": Counts(0, 16),
    "4 × 4 points that find something each": Counts(0, 32),
}

FLOPS = {
    # segnext-tiny on 512 × 512 pixels
    ("segnext-tiny", "encode"): 12_603_949_056,
    ("segnext-tiny", "first click"): 7_857_635_328,
    ("segnext-tiny", "second click"): 7_857_635_328,
    ("segnext-tiny", "tenth click"): 7_857_635_328,
    ("segnext-tiny", "without a click"): 7_857_635_328,
    # the paper's design, small
    ("plain, SA×1", "encode"): 24_084_480,
    ("plain, SA×1", "first click"): 18_419_840,
    ("plain, SA×1", "second click"): 13_619_328,
    ("plain, SA×1", "tenth click"): 23_005_696,
    ("plain, SA×1", "without a click"): 12_298_368,
    ("plain, SA×2", "encode"): 24_084_480,
    ("plain, SA×2", "first click"): 23_236_736,
    ("plain, SA×2", "second click"): 18_436_224,
    ("plain, SA×2", "tenth click"): 27_822_592,
    ("plain, SA×2", "without a click"): 17_115_264,
}
"""Of matrix products, convolutions and attention, as torch counts them, by model and what it is asked for."""

SLACK = 0.02


@pytest.fixture
def counted(fake_model):
    """counted(name, work): do the work and compare what it asked `fake_model` for with the table."""

    def count(name, work):
        before = Counts(fake_model.n_encoded, fake_model.n_predicted)
        result = work()
        got = Counts(fake_model.n_encoded - before.encodes, fake_model.n_predicted - before.predictions)
        assert got == COUNTS[name], f"{name}: {got}, but the table says {COUNTS[name]}"
        return result

    return count


@pytest.fixture
def image():
    """`(64, 64)` uint8 noise."""
    return np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)


def clicks(n):
    return [Click(4 + 5 * number, 20) for number in range(n)]


class TestSession:
    def test_clicks_on_the_whole_image(self, counted, fake_model, image):
        session = counted("opening an image", lambda: Session(fake_model, image, zoom=False))
        first, *others, tenth = clicks(10)
        counted("first click", lambda: session.add(first))
        for click in others:
            session.add(click)
        counted("tenth click", lambda: session.add(tenth))
        counted("undo", session.undo)
        counted("redo", session.redo)
        counted("removing the third of ten clicks", lambda: session.remove(others[1]))
        counted("reset", session.reset)
        counted("box", lambda: session.add(Box(10, 10, 30, 30)))

    def test_zoom(self, counted, fake_model):
        image = np.random.default_rng(0).integers(0, 255, (512, 512), dtype=np.uint8)
        session = counted("opening an image", lambda: Session(fake_model, image, zoom=True))
        counted("first click with zoom", lambda: session.add(Click(200, 200)))
        counted("second click with zoom", lambda: session.add(Click(204, 200)))
        counted("undo with zoom", session.undo)
        session.reset()
        counted("box with zoom", lambda: session.add(Box(300, 300, 340, 340)))

    def test_nothing_is_encoded_that_memory_keeps(self, counted, fake_model, image):
        cache = EmbeddingCache()
        Session(fake_model, image, zoom=False, cache=cache)
        counted(
            "opening an image that is in memory", lambda: Session(fake_model, image.copy(), zoom=False, cache=cache)
        )

    def test_nothing_is_encoded_that_the_disk_keeps(self, counted, fake_model, image, tmp_path):
        fake_model.identity = ModelIdentity("fake", "ab" * 32)
        cache = EmbeddingCache(store=EmbeddingStore(tmp_path, max_bytes=10**9))
        Session(fake_model, image, zoom=False, cache=cache)
        cache.flush()
        other = EmbeddingCache(store=EmbeddingStore(tmp_path, max_bytes=10**9))
        counted("opening an image that is on disk", lambda: Session(fake_model, image, zoom=False, cache=other))


class TestPropagation:
    """From the first slice, which is annotated, upwards."""

    @pytest.fixture
    def counted(self):
        """counted(name, n_slices, n_objects, cache): propagate and compare with the table."""

        def count(name, n_slices, n_objects=1, cache=None):
            model = CountedBrightParts()
            masks = squares(n_objects)
            # every slice is another image, or else the cache would know it
            plane = 200 * np.any(masks, axis=0).astype(np.uint8)
            volume = Volume(plane + np.arange(n_slices, dtype=np.uint8)[:, None, None])
            if cache is not None:
                list(embed_volume(model, volume, zoom=False, cache=cache))
            before = Counts(model.n_encoded, model.n_predicted)
            objects = [ObjectToPropagate(number + 1, {0: mask}) for number, mask in enumerate(masks)]
            results = list(propagate(model, volume, objects, zoom=False, cache=cache))
            assert sum(not one.stopped for one in results) == n_objects * n_slices
            got = Counts(model.n_encoded - before.encodes, model.n_predicted - before.predictions)
            assert got == COUNTS[name], f"{name}: {got}, but the table says {COUNTS[name]}"
            return got

        return count

    def test_is_linear_in_slices(self, counted):
        counted("propagating through 9 slices", 9)
        counted("propagating through 17 slices", 17)

    def test_encodes_each_slice_once_for_all_objects(self, counted):
        counted("propagating 3 objects through 9 slices", 9, 3)

    def test_encodes_nothing_that_is_kept(self, counted):
        counted("propagating through 9 slices that are embedded", 9, cache=EmbeddingCache())

    def test_table_is_linear_in_slices_and_objects(self):
        nine, seventeen = COUNTS["propagating through 9 slices"], COUNTS["propagating through 17 slices"]
        assert (9 * seventeen.encodes, 9 * seventeen.predictions) == (17 * nine.encodes, 17 * nine.predictions)
        assert COUNTS["propagating 3 objects through 9 slices"] == Counts(nine.encodes, 3 * nine.predictions)


class TestEverything:
    @pytest.mark.parametrize(
        ("name", "min_object_px"),
        [("4 × 4 points that find nothing", 100), ("4 × 4 points that find something each", 1)],
    )
    def test_predictions_per_point(self, counted, fake_model, image, name, min_object_px):
        settings = EverythingSettings(points_per_side=4, min_object_px=min_object_px, skips_found=False)
        Session(fake_model, image, zoom=False)
        counted(name, lambda: list(iterate_everything(fake_model, image, settings, zoom=False)))


class CountedBrightParts(BrightPartsModel):
    def __init__(self):
        super().__init__()
        self.n_predicted = 0

    def predict_logits(self, embedding, clicks, previous_masks):
        self.n_predicted += len(clicks)
        return super().predict_logits(embedding, clicks, previous_masks)


def squares(n):
    """n masks `(64, 64)` bool of 10 × 10 pixels."""
    masks = np.zeros((n, 64, 64), bool)
    for number, mask in enumerate(masks):
        mask[20:30, 5 + 20 * number : 15 + 20 * number] = True
    return masks


@pytest.fixture(scope="module", params=["segnext-tiny", "plain, SA×1", "plain, SA×2"])
def network(request):
    """(name, network)."""
    if request.param == "segnext-tiny":
        return request.param, load_model("segnext-tiny", "cpu")
    torch.manual_seed(0)
    config = SegNextConfig(
        input_shape=(224, 224),
        encoder=PlainViTConfig(width=32, depth=3, n_heads=2),
        fusion=FusionConfig(depth=int(request.param[-1]), n_heads=2),
        decoder=DecoderConfig(pyramid_widths=(8, 16, 32, 64), head_width=16),
    )
    return request.param, SegNext(config).eval().requires_grad_(False)


def test_flops_of_a_network(network):
    name, model = network
    given = torch.tensor([[[40.0 * n + 50, 30.0 * n + 60, 1.0] for n in range(10)]])
    previous = torch.zeros(1, 512, 512)
    previous[:, 200:260, 200:260] = 1

    def flops(work):
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            result = work()
        return result, counter.get_total_flops()

    embedding, encode = flops(lambda: model.encode_image(torch.zeros(3, 512, 512)))
    _, first = flops(lambda: model.predict_logits(embedding, given[:, :1], torch.zeros(1, 512, 512)))
    _, second = flops(lambda: model.predict_logits(embedding, given[:, :2], previous))
    _, tenth = flops(lambda: model.predict_logits(embedding, given, previous))
    _, none = flops(lambda: model.predict_logits(embedding, given[:, :0], torch.zeros(1, 512, 512)))
    got = {
        "encode": encode,
        "first click": first,
        "second click": second,
        "tenth click": tenth,
        "without a click": none,
    }
    told = {what: flops for (who, what), flops in FLOPS.items() if who == name}
    more = {what: n for what, n in got.items() if n > (1 + SLACK) * told[what]}
    less = {what: n for what, n in got.items() if n < (1 - SLACK) * told[what]}
    assert not more, f"{name}: {more} FLOPs, but the table says {told}"
    assert not less, f"{name}: only {less} FLOPs; lower the numbers in the table, which says {told}"
