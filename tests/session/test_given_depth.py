"""A depth that is given to a session, and what the model reads of depth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_segnext.errors import ImageError
from napari_segnext.models.interface import DepthAwareModel
from napari_segnext.prompts import Click, Prompts
from napari_segnext.session import CpuFallback, Session, load_with_fallback
from napari_segnext.session.embedding_cache import EmbeddingCache
from napari_segnext.session.views import MAX_VIEW_PX, ImageViews
from napari_segnext.session.windows import Window
from tests.conftest import FakeModel
from tests.depth_model import DepthModel
from tests.models.test_ois import HYBRID, network


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (40, 60), dtype=np.uint8)


@pytest.fixture
def columns() -> np.ndarray:
    """`(40, 60)` float, from 0 in the first column to 59 in the last."""
    return np.broadcast_to(np.arange(60.0), (40, 60)).copy()


def scaled(depth: np.ndarray) -> np.ndarray:
    low, high = (np.sort(depth, axis=None)[round(q * (depth.size - 1))] for q in (0.02, 0.98))
    return np.clip((depth - low) / (high - low), 0, 1)


class TestTheMask:
    def test_follows_the_depth_that_is_given(self, image, columns):
        click = Click(20, 30)
        own = Session(DepthModel(), image).add(click).mask
        given = Session(DepthModel(), image, depth=columns).add(click).mask
        # the depth of its own grows along the rows, the one that is given along the columns
        assert own[20].all() and not own[0].any()
        assert given[:, 30].all() and not given[:, 0].any()

    def test_of_a_real_network_follows_it_too(self, image, columns):
        model = network(HYBRID)
        answers = [
            Session(model, image, zoom=False, depth=depth).add(Click(20, 30)).probability
            for depth in (columns, columns.T[:40, :40].repeat(2, 1)[:, :60], columns)
        ]
        assert not np.array_equal(answers[0], answers[1])
        np.testing.assert_array_equal(answers[0], answers[2])

    def test_is_the_same_in_any_unit_and_from_the_other_side(self, image, columns):
        masks = [
            Session(DepthModel(), image, depth=depth).add(Click(20, 30)).mask
            for depth in (columns, 1000 * columns + 7, -columns, columns.astype(np.uint8))
        ]
        for mask in masks[1:]:
            np.testing.assert_array_equal(mask, masks[0])

    def test_the_image_is_encoded_once_for_all_depths(self, image, columns):
        model, cache = DepthModel("m", "1" * 64), EmbeddingCache()
        for depth in (None, columns, columns[::-1]):
            Session(model, image, depth=depth, cache=cache)
        assert model.n_encoded == 1

    def test_unknown_places_get_the_median_and_all_is_finite(self, image, columns):
        columns[:10], columns[30:, :5] = np.nan, np.inf
        session = Session(DepthModel(), image, depth=columns)
        depth = session.depth_map()
        assert np.isfinite(depth).all()
        assert depth[0].min() == depth[0].max() == pytest.approx(0.5, abs=0.03)
        assert session.add(Click(20, 30)).mask[5, 0] and not session.prediction.mask[20, 0]

    @pytest.mark.parametrize("value", [np.nan, 4.0], ids=["nothing known", "flat"])
    def test_without_steps_all_lies_at_the_depth_of_the_click(self, image, value):
        session = Session(DepthModel(), image, depth=np.full(image.shape, value))
        assert session.add(Click(20, 30)).mask.all() and not session.order_map().any()


class TestRefused:
    @pytest.mark.parametrize(
        ("depth", "message"),
        [
            (np.zeros((40, 61)), r"shape \(40, 61\); expected \(40, 60\)"),
            (np.zeros((40, 60, 3)), r"shape \(40, 60, 3\); expected \(40, 60\)"),
            (np.zeros(40), r"shape \(40,\); expected"),
            (np.zeros((40, 60), complex), "dtype complex128; expected real numbers"),
            (np.full((40, 60), "a"), "expected real numbers"),
        ],
        ids=["size", "RGB", "1D", "complex", "text"],
    )
    def test_a_depth_that_is_no_number_for_each_pixel(self, image, depth, message):
        with pytest.raises(ImageError, match=message):
            Session(DepthModel(), image, depth=depth)

    def test_a_model_that_reads_none(self, image, columns):
        with pytest.raises(ImageError, match="model 'fake' reads none; expected one that does, such as ois-tiny"):
            Session(FakeModel(), image, depth=columns)


class TestWindows:
    def test_have_their_part_of_the_depth_at_the_scale_of_the_whole_image(self, image, columns):
        views = ImageViews(DepthModel(), image, None, EmbeddingCache(), columns)
        window = Window(4, 20, 16, 10)
        np.testing.assert_allclose(views.of(window).embedding.levels[-1][0, 0], scaled(columns)[4:20, 20:30], atol=1e-6)

    def test_without_a_depth_have_the_model_s_own(self, image):
        views = ImageViews(DepthModel(), image, None, EmbeddingCache())
        seen = views.of(Window(4, 20, 16, 10)).embedding.levels[-1][0, 0]
        assert (seen[0, 0], seen[-1, 0]) == (0, 1)

    def test_zoomed_sessions_answer_with_it(self, image, columns):
        session = Session(DepthModel(), image, zoom=True, depth=columns)
        mask = session.add(Click(20, 30)).mask
        assert mask[:, 30].all() and not mask[:, :20].any() and not mask[:, 40:].any()


class TestMaps:
    def test_depth_and_order_have_the_size_of_the_image(self, image, columns):
        session = Session(DepthModel(), image, depth=columns)
        np.testing.assert_allclose(session.depth_map(), scaled(columns), atol=1e-6)
        assert session.order_map() is None
        session.update([Click(5, 10), Click(9, 50, is_positive=False)])
        np.testing.assert_allclose(session.order_map(), np.abs(scaled(columns) - scaled(columns)[0, 10]), atol=1e-6)
        session.update([Click(9, 50, is_positive=False)])
        assert session.order_map() is None

    def test_a_small_depth_map_is_resized(self, image):
        model = network(HYBRID)
        session = Session(model, image)
        assert model.depth_map(session.embedding).shape != (40, 60)
        session.add(Click(20, 30))
        for plane in (session.depth_map(), session.order_map()):
            assert plane.shape == (40, 60) and plane.dtype == np.float32 and 0 <= plane.min() <= plane.max() <= 1
        depth, order = session.depth_map(), session.order_map()
        # between two cells, differences are averaged
        assert np.corrcoef(order.ravel(), np.abs(depth - depth[20, 30]).ravel())[0, 1] > 0.8
        assert order[20, 30] < 0.5 * order.mean()

    def test_of_a_large_image_with_zoom_clicks_lie_where_they_were_given(self):
        large = np.zeros((50, 3 * MAX_VIEW_PX + 5), np.uint8)
        session = Session(DepthModel(), large, zoom=True)
        session.update([Click(40, 3000)])
        order = session.order_map()
        assert order.shape == large.shape and order.dtype == np.float32
        # blocks of 4 pixels: the ramp of the rows has 13 steps
        assert order[40, 0] < 0.1 and order[0, 0] > 0.7

    def test_of_a_model_that_reads_none(self, image, fake_model):
        session = Session(fake_model, image)
        session.add(Click(3, 3))
        assert session.depth_map() is None and session.order_map() is None


class TestFallback:
    def test_a_guarded_model_reads_depth_if_its_model_does(self, image, columns):
        guarded = load_with_fallback(lambda name, device: DepthModel(), "any", "cpu")
        assert isinstance(guarded, DepthAwareModel)
        plain = Session(DepthModel(), image, depth=columns)
        session = Session(guarded, image, depth=columns)
        for one in (plain, session):
            one.add(Click(20, 30))
        np.testing.assert_array_equal(session.prediction.mask, plain.prediction.mask)
        np.testing.assert_array_equal(session.order_map(), plain.order_map())

    def test_and_no_other(self):
        guarded = load_with_fallback(lambda name, device: FakeModel(), "any", "cpu")
        assert isinstance(guarded, CpuFallback) and not isinstance(guarded, DepthAwareModel)


def test_clicks_of_a_session_without_zoom_are_those_of_its_views(image):
    model = DepthModel()
    views = ImageViews(model, image, None, EmbeddingCache())
    clicks = views.clicks(Prompts((Click(3, 4), Click(5, 6, is_positive=False))), views.whole())
    assert torch.equal(torch.from_numpy(clicks), torch.tensor([[3.0, 4, 1], [5, 6, -1]]))
