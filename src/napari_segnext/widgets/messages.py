"""Errors → sentences for the status line. Nobody else decides what a user reads about an exception."""

from __future__ import annotations

import errno

from napari_segnext.annotator import AnnotatorError, StillComputingError
from napari_segnext.errors import CheckpointError, ImageError, PromptError, WeightsHashError, is_out_of_memory

NO_IMAGE = "There is no image. Open one, or take one from File → Open Sample → SegNext."


def words_for(error: BaseException) -> str:
    """What went wrong and what to do, in one or two sentences without a traceback."""
    if is_out_of_memory(error):
        return "There is not enough memory. Choose a smaller model or the device 'cpu', or crop the image."
    if isinstance(error, AnnotatorError | PromptError | ImageError | CheckpointError | WeightsHashError):
        return _sentence(str(error))
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "No space left on the disk. Make room there, then try again."
    if isinstance(error, ImportError):
        return f"A library is missing: {error}. Install it and restart napari."
    if isinstance(error, ValueError | OSError) and str(error):
        return _sentence(str(error))
    return (
        f"Something unforeseen went wrong ({type(error).__name__}: {error}). Your layers are untouched; "
        "the details are in the log. Press Start or Compute to try again."
    )


def is_passing(error: BaseException) -> bool:
    """Whether waiting is all there is to do, so that no warning sign is needed."""
    return isinstance(error, StillComputingError)


def _sentence(text: str) -> str:
    """The text with a capital first letter and a full stop."""
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
