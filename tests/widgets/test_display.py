"""The check that decides between running, skipping and failing GUI tests."""

from __future__ import annotations

import pytest

from tests.widgets.conftest import display_problem


@pytest.mark.parametrize(
    ("environment", "platform", "words"),
    [
        pytest.param({}, "linux", "DISPLAY is not set", id="no display"),
        pytest.param({"DISPLAY": ":4711"}, "linux", "does not answer", id="a display that is gone"),
        pytest.param({"DISPLAY": ":0", "QT_QPA_PLATFORM": "offscreen"}, "linux", "OpenGL", id="offscreen"),
    ],
)
def test_problems_are_told_with_what_to_do(environment, platform, words):
    problem = display_problem(environment, platform)
    assert words in problem
    assert "xvfb-run" in problem


@pytest.mark.parametrize(
    ("environment", "platform"),
    [({}, "win32"), ({}, "darwin"), ({"WAYLAND_DISPLAY": "wayland-0"}, "linux"), ({"DISPLAY": "host:10"}, "linux")],
    ids=["windows", "mac", "wayland", "display of another machine"],
)
def test_elsewhere_nothing_speaks_against_it(environment, platform):
    assert display_problem(environment, platform) == ""
