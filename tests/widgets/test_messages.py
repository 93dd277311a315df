from __future__ import annotations

import pytest

pytest.importorskip("napari")

from napari_segnext.annotator import NothingToAcceptError, StillComputingError
from napari_segnext.errors import CheckpointError, ImageError, PromptOutsideImageError
from napari_segnext.widgets.messages import is_passing, words_for


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(NothingToAcceptError("there is no mask"), "There is no mask.", id="what cannot be done now"),
        pytest.param(ImageError("image has shape (3,)"), "Image has shape (3,).", id="the image"),
        pytest.param(CheckpointError("a.pth", "it is broken", "Get it again."), "Get it again.", id="a weights file"),
        pytest.param(
            PromptOutsideImageError("click", "(9, 9)", (8, 8)), "Move the click onto the image.", id="a prompt"
        ),
        pytest.param(MemoryError(), "not enough memory", id="memory of the machine"),
        pytest.param(RuntimeError("CUDA out of memory. Tried …"), "not enough memory", id="memory of the device"),
        pytest.param(OSError(28, "No space left on device"), "Make room there, then try again.", id="a full disk"),
        pytest.param(ImportError("No module named 'timm'"), "missing: No module named 'timm'", id="import"),
        pytest.param(FileNotFoundError("there is no file 'x'"), "There is no file 'x'.", id="a file"),
        pytest.param(ZeroDivisionError("by zero"), "went wrong (ZeroDivisionError: by zero)", id="our fault"),
        pytest.param(ValueError(), "unforeseen", id="an error without words"),
    ],
)
def test_every_error_becomes_a_sentence(error, words):
    sentence = words_for(error)
    assert words in sentence
    assert sentence[0].isupper()
    assert "Traceback" not in sentence


def test_only_waiting_needs_no_warning_sign():
    assert is_passing(StillComputingError("wait"))
    assert not is_passing(NothingToAcceptError("nothing"))
