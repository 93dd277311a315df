from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from napari_segnext.commands.progress import progress

if TYPE_CHECKING:
    import pytest


def test_without_a_terminal_there_is_a_line_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, 30.0, 61.0, 61.0, 62.0, 130.0, 130.0])
    with progress("counting", 10, unit="sheep", clock=lambda: next(times)) as report:
        for done in range(1, 5):
            report(done, "fine")
    assert capsys.readouterr().err.splitlines() == ["counting: 2 of 10 sheep fine", "counting: 4 of 10 sheep fine"]


def test_on_a_terminal_there_is_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress("counting", 10, unit="sheep") as report:
        report(7, "fine")
    said = capsys.readouterr().err
    assert "counting" in said and "7/10" in said and "fine" in said
