"""A viewer without a window, an image of 32 × 32 pixels in it, and an executor that works when it is told to.

`FakeModel` answers a disk of 13 pixels about each positive click and keeps its last answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("napari", reason="the annotator lives in napari, which is not installed")

from napari.components import ViewerModel

from napari_segnext.annotator import Annotator

if TYPE_CHECKING:
    from collections.abc import Callable

DISK = 13
"""Pixels of the disk that `FakeModel` draws about a click."""


class HandExecutor:
    """Collects work and calls; a test says when they are done."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], Any], Callable[[Any], None], Callable[[Exception], None]]] = []
        self.calls: list[Callable[[], None]] = []

    def submit(self, work, on_result, on_error):
        self.jobs.append((work, on_result, on_error))

    def tell(self, callback):
        callback()

    def defer(self, callback):
        self.calls.append(callback)

    def do_calls(self) -> None:
        """Events were handled: what was deferred happens."""
        calls, self.calls = self.calls, []
        for call in calls:
            call()

    def finish_job(self) -> None:
        """The job that was sent first is worked off, and its outcome handed over."""
        work, on_result, on_error = self.jobs.pop(0)
        try:
            result = work()
        except (ArithmeticError, ValueError, RuntimeError) as error:
            on_error(error)
        else:
            on_result(result)

    def finish_all(self) -> None:
        """Everything that is due happens."""
        self.do_calls()
        while self.jobs or self.calls:
            if self.jobs:
                self.finish_job()
            self.do_calls()


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def pixels() -> np.ndarray:
    """`(32, 32)` uint8 noise."""
    return np.random.default_rng(0).integers(0, 255, (32, 32), dtype=np.uint8)


@pytest.fixture
def stack() -> np.ndarray:
    """`(4, 32, 32)` uint8 noise."""
    return np.random.default_rng(1).integers(0, 255, (4, 32, 32), dtype=np.uint8)


@pytest.fixture
def annotator(viewer, pixels, fake_model) -> Annotator:
    """On a 2D image; answers at once."""
    return Annotator(viewer, viewer.add_image(pixels, name="cells"), fake_model)


@pytest.fixture
def stack_annotator(viewer, stack, fake_model) -> Annotator:
    """On a stack of 4 slices of which slice 1 is shown; answers at once."""
    image = viewer.add_image(stack, name="stack")
    viewer.dims.set_point(0, 1)
    return Annotator(viewer, image, fake_model)


@pytest.fixture
def executor() -> HandExecutor:
    return HandExecutor()


@pytest.fixture
def slow_annotator(viewer, pixels, fake_model, executor) -> Annotator:
    """On a 2D image; answers when the executor is told to work."""
    return Annotator(viewer, viewer.add_image(pixels, name="cells"), fake_model, executor=executor)


@pytest.fixture
def pixels_with_square(pixels) -> tuple[np.ndarray, np.ndarray]:
    """Noise, and `(32, 32)` bool, a square of 6 × 6 in it."""
    square = np.zeros((32, 32), bool)
    square[4:10, 4:10] = True
    return pixels, square
