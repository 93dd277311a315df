"""The bar that moves in steps, in a real window."""

from __future__ import annotations

import pytest

pytest.importorskip("qtpy")

from napari_segnext.widgets.busy_bar import N_STEPS, STEP_MS, BusyBar

pytestmark = pytest.mark.gui


class CountedBar(BusyBar):
    def __init__(self):
        super().__init__()
        self.n_paints = 0

    def paintEvent(self, event):
        self.n_paints += 1
        super().paintEvent(event)


@pytest.fixture
def bar(qtbot):
    bar = CountedBar()
    bar.setRange(0, 1)
    qtbot.addWidget(bar)
    bar.resize(200, 20)
    bar.show()
    qtbot.waitExposed(bar)
    return bar


def colours(bar):
    image = bar.grab().toImage()
    return [image.pixel(x, bar.height() // 2) for x in range(bar.width())]


def test_busy_bar_is_painted_once_a_step_and_no_oftener(bar, qtbot):
    bar.setRange(0, 0)
    qtbot.wait(50)
    bar.n_paints = 0
    qtbot.wait(round(2.5 * STEP_MS))
    assert 1 <= bar.n_paints <= bar.step + 1


def test_steps_are_seen(bar, qtbot):
    bar.setRange(0, 0)
    empty = colours(bar)
    qtbot.waitUntil(lambda: bar.step == 2)
    assert colours(bar) != empty


def test_steps_begin_again_after_the_last(bar):
    bar.setRange(0, 0)
    for _ in range(N_STEPS):
        bar._go_on()
    assert bar.step == N_STEPS
    bar._go_on()
    assert bar.step == 1


def test_a_known_range_ends_the_steps(bar, qtbot):
    bar.setRange(0, 0)
    qtbot.waitUntil(lambda: bar.step == 1)
    bar.setRange(0, 10)
    bar.setValue(5)
    assert not bar.is_busy
    qtbot.wait(2 * STEP_MS)
    assert bar.step == 1
    assert bar.value() == 5


def test_busy_again_begins_at_nothing(bar, qtbot):
    bar.setRange(0, 0)
    qtbot.waitUntil(lambda: bar.step == 1)
    bar.setRange(0, 1)
    bar.setRange(0, 0)
    assert bar.step == 0
