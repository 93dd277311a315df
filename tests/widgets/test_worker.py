from __future__ import annotations

import logging
import threading

import pytest

pytest.importorskip("napari")

from tests.widgets.conftest import working_threads

pytestmark = pytest.mark.gui


@pytest.fixture
def executor(qapp):
    from napari_segnext.widgets.worker import QtExecutor

    return QtExecutor()


def test_work_runs_in_a_thread_and_its_result_arrives_on_ours(executor, qtbot):
    seen = {}
    executor.submit(
        threading.current_thread,
        lambda thread: seen.update(worked=thread, heard=threading.current_thread()),
        seen.setdefault,
    )
    qtbot.waitUntil(lambda: "heard" in seen)
    assert seen["worked"] is not threading.main_thread()
    assert seen["heard"] is threading.main_thread()


def test_any_error_is_handed_over_and_logged_with_its_traceback(executor, qtbot, caplog):
    errors = []
    with caplog.at_level(logging.ERROR):
        executor.submit(lambda: 1 / 0, errors.append, errors.append)
        qtbot.waitUntil(lambda: bool(errors))
    assert isinstance(errors[0], ZeroDivisionError)
    assert "ZeroDivisionError" in caplog.text


def test_a_closed_executor_calls_nobody(executor, qtbot):
    heard = []
    gate = threading.Event()
    executor.submit(gate.wait, heard.append, heard.append)
    executor.defer(lambda: heard.append("deferred"))
    executor.close()
    gate.set()
    qtbot.waitUntil(lambda: not working_threads())
    qtbot.wait(20)
    assert heard == []


def test_deferred_calls_come_after_the_event(executor, qtbot):
    heard = []
    executor.defer(lambda: heard.append("deferred"))
    assert heard == []
    qtbot.waitUntil(lambda: heard == ["deferred"])
