"""What can go wrong while annotating; each error is also a builtin one and says what to do."""

from __future__ import annotations


class AnnotatorError(ValueError):
    """Something cannot be done as things stand in the viewer."""


class SliceNotShownError(AnnotatorError):
    """The viewer shows no single slice of the image."""


class LayerMismatchError(AnnotatorError):
    """A layer cannot take the role it was given."""


class ReadOnlyLayerError(AnnotatorError):
    """Nothing can be written into a labels layer."""


class NothingToAcceptError(AnnotatorError):
    """There is no mask, or all of its pixels belong to other labels."""


class StillComputingError(AnnotatorError):
    """The mask that is shown is a first glimpse, or older than the prompts or the zoom."""


class NoFreeLabelError(AnnotatorError):
    """The labels layer has no number left for another object."""


class LockedLabelError(AnnotatorError):
    """An object is protected from changes."""


class DraftInTheWayError(AnnotatorError):
    """There are prompts on the slice that were not accepted yet."""


class NoSuchObjectError(AnnotatorError):
    """There is no object of that label."""


class SavedAnnotationError(AnnotatorError):
    """What was saved cannot be read, or belongs to another image."""


class NotAVolumeError(AnnotatorError):
    """There is no axis along which slices follow each other."""
