"""From the axes that a prompts file counts to those of a volume."""

from __future__ import annotations

import numpy as np
import pytest

from napari_segnext import Volume
from napari_segnext.batch.places import Place, axes_of_image, place_of, spacing_of_image
from napari_segnext.errors import BatchError
from napari_segnext.prompts import Click, Prompts
from napari_segnext.prompts.prompts_file import (
    AnnotatedObject,
    ChannelReference,
    ImageReference,
    PromptsFile,
    SlicePrompts,
)


def said(*place: tuple[int, int], shape: tuple[int, ...] = (), channel_axes: tuple[int, ...] = ()) -> PromptsFile:
    """One click on a slice that is held at (axis, index), and the image as the annotator describes it."""
    (axis, index), *others = place
    slices = (SlicePrompts(axis, index, Prompts((Click(1, 1),)), tuple(others)),)
    channels = tuple(ChannelReference("image", axis) for axis in channel_axes)
    image = ImageReference("image", shape, channels=channels) if shape else None
    return PromptsFile((AnnotatedObject(1, "", slices),), image)


def volume(shape: tuple[int, ...], axes: str = "zyx", dtype: str = "u1", names: tuple[str, ...] = ()) -> Volume:
    return Volume(np.zeros(shape, dtype), axis_names=tuple(axes), channel_names=names)


NAMED = ("one", "two", "three")


@pytest.mark.parametrize(
    ("file", "image", "names", "place"),
    [
        (said((0, 3)), volume((9, 5, 6)), "zyx", Place(0, 3)),
        (said((2, 3)), volume((9, 5, 6)), "zyx", Place(2, 3)),
        (said((1, 3), (0, 2)), volume((4, 9, 5, 6), "tzyx"), "tzyx", Place(0, 3, 2)),
        (said((3, 3), (0, 2)), volume((4, 9, 5, 6), "tzyx"), "tzyx", Place(2, 3, 2)),
        (said((0, 3)), volume((4, 9, 5, 6), "tzyx"), "zyx", Place(0, 3)),
        (said((1, 1), (0, 7)), volume((9, 5, 6, 3), names=NAMED), "zcyx", Place(0, 7, channel=1)),
        (said((1, 7), (0, 1), shape=(3, 9, 5, 6)), volume((9, 5, 6, 3), names=NAMED), "czyx", Place(0, 7, channel=1)),
        (said((1, 1), (0, 2), shape=(3, 3, 5, 6)), volume((3, 5, 6, 3), names=NAMED), "zcyx", Place(0, 2, channel=1)),
        (
            said((1, 1), (0, 2), shape=(3, 3, 5, 6), channel_axes=(0,)),
            volume((3, 5, 6, 3), names=NAMED),
            "czyx",
            Place(0, 1, channel=2),
        ),
        (
            said((2, 1), (1, 7), (0, 3), shape=(4, 9, 3, 5, 6)),
            volume((4, 9, 5, 6, 3), "tzyx", names=NAMED),
            "tzcyx",
            Place(0, 7, 3, 1),
        ),
        (said((0, 3), shape=(9, 5, 6, 3)), volume((9, 5, 6, 3)), "zyx", Place(0, 3)),
        (said((0, 0), shape=(5, 6, 3)), volume((1, 5, 6, 3)), "zyx", Place(0, 0)),
        (said((0, 2), shape=(4, 5, 6)), volume((4, 5, 6), "tyx"), "zyx", Place(0, 2)),
    ],
    ids=[
        "Z",
        "X",
        "Z at a time",
        "X at a time",
        "a time point alone",
        "channels before rows",
        "channels first",
        "as many channels as slices",
        "which is which is told by channels",
        "time and channels",
        "colours",
        "a colour image",
        "time in the place of Z",
    ],
)
def test_axes_are_found(file: PromptsFile, image: Volume, names: str, place: Place) -> None:
    found = axes_of_image(file, image, "file.tif")
    assert "".join(found) == names
    assert place_of(file.objects[0].slices[0], found) == place


@pytest.mark.parametrize(
    ("file", "image", "words"),
    [
        (said((0, 3), shape=(8, 5, 6)), volume((9, 5, 6)), "has shape .9, 5, 6., but the prompts were given on"),
        (said((1, 3), (0, 2)), volume((9, 5, 6)), "an image of 4 axes, more than three axes; 'file.tif' has z, y, x"),
        (said((0, 3), shape=(4, 9, 5, 6)), volume((4, 9, 5, 6), "tzyx"), "tell 1 of the axes.*Add the others"),
    ],
    ids=["another size", "too many axes", "too few told"],
)
def test_prompts_of_another_image_are_refused(file: PromptsFile, image: Volume, words: str) -> None:
    with pytest.raises(BatchError, match=words):
        axes_of_image(file, image, "file.tif")


def test_slices_across_time_are_refused() -> None:
    one = SlicePrompts(2, 3, Prompts((Click(1, 1),)), ((1, 2),))
    with pytest.raises(BatchError, match="expected slices across z, y or x"):
        place_of(one, ("t", "z", "y", "x"))


def test_spacing_is_that_of_the_layer_else_of_the_file() -> None:
    image = Volume(np.zeros((4, 9, 5, 6)), spacing=(3, 1, 1), axis_names=("t", "z", "y", "x"), time_step=0.5)
    names = ("t", "z", "y", "x")
    assert spacing_of_image(PromptsFile(), image, names) == (0.5, 3, 1, 1)
    recorded = PromptsFile((), ImageReference("image", (4, 9, 5, 6), spacing=(1, 2, 1, 1)))
    assert spacing_of_image(recorded, image, names) == (1, 2, 1, 1)
