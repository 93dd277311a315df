from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("napari")

from napari_segnext.annotator import answers, asking
from napari_segnext.annotator.answers import (
    MAX_PLANE_PIXELS,
    MAX_SESSIONS,
    MAX_ZOOMED_PLANE_PIXELS,
    Answer,
    Answerer,
    Request,
    require_readable,
)
from napari_segnext.annotator.asking import Asker
from napari_segnext.annotator.coordinates import ShownSlice
from napari_segnext.errors import ImageError
from napari_segnext.prompts import Click

A, B, C = Click(5, 5), Click(15, 15), Click(25, 25)


def plane(index: int) -> ShownSlice:
    return ShownSlice(axes=(1, 2), index=(index,), shape=(32, 32))


@pytest.fixture
def answerer(fake_model):
    array = np.random.default_rng(2).integers(0, 255, (20, 32, 32), dtype=np.uint8)
    return Answerer(fake_model, lambda shown: array[shown.selector])


@pytest.fixture
def asker(executor, answerer):
    asker = Asker(executor, answerer)
    asker.told = []
    asker.answered.connect(lambda answer: asker.told.append(answer.request.prompts))
    return asker


def ask(answerer, *prompts, index=0, is_wanted=lambda: True):
    return answerer.answer(Request(1, plane(index), prompts), is_wanted=is_wanted)


class GlimpsingAnswerer:
    """Sees something twice, and in between lets something else happen once."""

    def __init__(self):
        self.meanwhile = lambda: None

    def knows(self, shown):
        return True

    def answer(self, request, *, is_wanted, on_glimpse):
        on_glimpse("first")
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        on_glimpse("second")
        return Answer(request, None)


@pytest.fixture
def glimpsing(asker, monkeypatch):
    monkeypatch.setattr(asking, "GLIMPSE_SECONDS", 0)
    answerer = GlimpsingAnswerer()
    asker.replace_answerer(answerer)
    asker.glimpsed.connect(lambda glimpse: asker.told.append(glimpse.prediction))
    return answerer


class TestAnswerer:
    @pytest.mark.parametrize(
        ("zoom", "limit", "words"),
        [
            (
                False,
                MAX_PLANE_PIXELS,
                r"64\.1 million pixels; .* at most 64 million without zoom.*; or crop it, or work at a coarser level",
            ),
            (
                True,
                MAX_ZOOMED_PLANE_PIXELS,
                r"150\.[12] million pixels; .* at most 150 million with zoom.* Crop it",
            ),
        ],
        ids=["without zoom", "with zoom"],
    )
    def test_too_large_a_plane_is_refused_by_its_shape_before_a_pixel_is_read(self, zoom, limit, words, fake_model):
        def read(shown):
            raise TypeError("read")

        answerer = Answerer(fake_model, read, zoom=zoom)
        large = ShownSlice(axes=(0, 1), index=(), shape=(limit // 1000, 1001))
        with pytest.raises(ImageError, match=words):
            answerer.answer(Request(1, large, (A,)), is_wanted=lambda: True)
        just_right = ShownSlice(axes=(0, 1), index=(), shape=(limit // 1000, 1000))
        with pytest.raises(TypeError, match="read"):
            answerer.answer(Request(1, just_right, (A,)), is_wanted=lambda: True)

    def test_a_plane_that_is_too_large_only_without_zoom_is_told_to_be_zoomed(self):
        shape = (10_000, 10_000)
        require_readable(ShownSlice((0, 1), (), shape), is_zoomed=True)
        with pytest.raises(ImageError, match="Switch zoom on, which takes 150 million; or crop it"):
            require_readable(ShownSlice((0, 1), (), shape), is_zoomed=False)
        with pytest.raises(ImageError, match=r"without zoom\. Crop it"):
            require_readable(ShownSlice((0, 1), (), (30_000, 30_000)), is_zoomed=False)

    def test_sessions_are_bounded_by_their_pixels_too_but_for_the_newest(self, answerer, monkeypatch):
        monkeypatch.setattr(answers, "MAX_KEPT_PIXELS", 2 * 32 * 32)
        for index in range(3):
            ask(answerer, A, index=index)
        assert [answerer.knows(plane(index)) for index in range(3)] == [False, True, True]
        monkeypatch.setattr(answers, "MAX_KEPT_PIXELS", 1)
        ask(answerer, A, index=3)
        assert [answerer.knows(plane(index)) for index in range(4)] == [False, False, False, True]

    def test_each_slice_is_encoded_once(self, answerer, fake_model):
        ask(answerer, A)
        ask(answerer, A, B)
        ask(answerer, A, index=1)
        assert fake_model.n_encoded == 2

    def test_a_new_prompt_costs_one_prediction(self, answerer, fake_model):
        ask(answerer, A)
        ask(answerer, A, B)
        assert fake_model.n_predicted == 2

    def test_going_back_and_forth_costs_nothing(self, answerer, fake_model):
        ask(answerer, A)
        two = ask(answerer, A, B).mask
        assert ask(answerer, A).mask.sum() == 13
        np.testing.assert_array_equal(ask(answerer, A, B).mask, two)
        assert fake_model.n_predicted == 2

    def test_answer_does_not_depend_on_the_way(self, answerer, fake_model):
        ask(answerer, A)
        ask(answerer, B, C)
        long_way = ask(answerer, A, C, B).mask
        short_way = ask(Answerer(fake_model, answerer._read), A, C, B).mask
        np.testing.assert_array_equal(long_way, short_way)

    def test_without_prompts_the_slice_is_only_encoded(self, answerer, fake_model):
        assert ask(answerer).mask is None
        assert (fake_model.n_encoded, fake_model.n_predicted) == (1, 0)

    def test_unwanted_request_is_given_up_and_what_was_computed_is_kept(self, answerer, fake_model):
        wanted = iter([True, False])
        answer = ask(answerer, A, B, C, is_wanted=lambda: next(wanted))
        assert not answer.is_complete
        assert fake_model.n_predicted == 1
        ask(answerer, A, B, C)
        assert fake_model.n_predicted == 3

    def test_sessions_are_bounded_and_a_dropped_one_is_made_again(self, answerer):
        first = ask(answerer, A, B).mask
        for index in range(1, MAX_SESSIONS + 1):
            ask(answerer, A, index=index)
        assert not answerer.knows(plane(0))
        np.testing.assert_array_equal(ask(answerer, A, B).mask, first)


class TestAsker:
    def test_the_answer_is_told(self, asker, executor):
        asker.ask(plane(0), (A,))
        executor.finish_all()
        assert asker.told == [(A,)]
        assert not asker.is_busy

    def test_only_one_job_runs_and_only_the_newest_waits(self, asker, executor):
        for prompts in ((A,), (A, B), (A, B, C)):
            asker.ask(plane(0), prompts)
        assert len(executor.jobs) == 1
        executor.finish_all()
        assert asker.told == [(A, B, C)]

    def test_late_answer_is_dropped(self, asker, executor, fake_model):
        asker.ask(plane(0), (A,))
        asker.ask(plane(1), (B,))
        executor.finish_job()
        assert asker.told == []
        executor.finish_job()
        assert asker.told == [(B,)]

    def test_asking_the_same_again_does_not_start_anew(self, asker, executor):
        asker.ask(plane(0), (A,))
        asker.ask(plane(0), (A,))
        executor.finish_job()
        assert asker.told == [(A,)]
        assert executor.jobs == []

    def test_stop_drops_the_answer_and_does_not_ask_again_by_itself(self, asker, executor):
        asker.ask(plane(0), (A,))
        assert asker.stop()
        assert asker.busy_text == "Stopping…"
        executor.finish_all()
        asker.ask(plane(0), (A,))
        assert (asker.told, executor.jobs) == ([], [])
        asker.forgive()
        asker.ask(plane(0), (A,))
        executor.finish_all()
        assert asker.told == [(A,)]

    def test_stop_before_the_job_has_begun_leaves_the_model_alone(self, asker, executor, fake_model):
        asker.ask(plane(0), (A,))
        asker.stop()
        executor.finish_all()
        assert fake_model.n_predicted == 0

    def test_error_is_told_once_and_the_next_question_goes_on(self, asker, executor, fake_model, monkeypatch):
        errors = []
        asker.failed.connect(errors.append)
        with monkeypatch.context() as patch:
            patch.setattr(fake_model, "predict_logits", lambda *_: 1 / 0)
            asker.ask(plane(0), (A,))
            executor.finish_all()
        asker.ask(plane(0), (A,))
        assert [type(error) for error in errors] == [ZeroDivisionError]
        assert executor.jobs == []
        asker.ask(plane(0), (A, B))
        executor.finish_all()
        assert asker.told == [(A, B)]

    def test_error_of_an_unwanted_question_is_not_told(self, asker, executor, fake_model, monkeypatch):
        errors = []
        asker.failed.connect(errors.append)
        monkeypatch.setattr(fake_model, "encode_image", lambda *_: 1 / 0)
        asker.ask(plane(0), (A,))
        asker.drop()
        executor.finish_all()
        assert errors == []

    def test_preparing_waits_for_nothing_and_yields_to_a_question(self, asker, executor):
        asker.prepare(plane(0))
        asker.ask(plane(0), (A,))
        asker.prepare(plane(1))
        executor.finish_all()
        assert asker.told[-1] == (A,)

    def test_busy_is_told_in_words(self, asker, executor):
        words = []
        asker.busy_changed.connect(words.append)
        asker.ask(plane(3), (A,))
        executor.finish_all()
        asker.ask(plane(3), (A, B))
        executor.finish_all()
        assert words == ["Encoding slice 3…", "", "Computing the mask…", ""]

    def test_glimpses_are_told_before_the_answer(self, asker, executor, glimpsing):
        asker.ask(plane(0), (A,))
        executor.finish_all()
        assert asker.told == ["first", "second", (A,)]

    def test_glimpses_of_a_late_answer_are_not_told(self, asker, executor, glimpsing):
        asker.ask(plane(0), (A,))
        asker.drop()
        executor.finish_all()
        assert asker.told == []

    def test_glimpses_end_with_the_question_that_comes_meanwhile(self, asker, executor, glimpsing):
        glimpsing.meanwhile = lambda: asker.ask(plane(0), (A, B))
        asker.ask(plane(0), (A,))
        executor.finish_job()
        assert asker.told == ["first"]

    def test_glimpses_of_quick_answers_are_not_told(self, asker, executor, glimpsing, monkeypatch):
        monkeypatch.setattr(asking, "GLIMPSE_SECONDS", 60)
        asker.ask(plane(0), (A,))
        executor.finish_all()
        assert asker.told == [(A,)]

    def test_nothing_is_told_after_close(self, asker, executor):
        asker.ask(plane(0), (A,))
        asker.ask(plane(0), (A, B))
        asker.close()
        executor.finish_all()
        assert asker.told == []
