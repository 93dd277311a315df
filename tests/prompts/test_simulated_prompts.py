"""What a careful user draws first for a known object."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage import draw

from napari_segnext.errors import PromptError
from napari_segnext.prompts import Box, Click, MaskPrompt, Polygon, Scribble
from napari_segnext.prompts.simulated_prompts import FIRST_PROMPTS, first_prompt


def disk(row: float, column: float, radius: float, shape: tuple[int, int] = (80, 100)) -> np.ndarray:
    rows, columns = np.indices(shape)
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def l_shape() -> np.ndarray:
    truth = np.zeros((80, 100), bool)
    truth[10:70, 10:18] = truth[62:70, 10:90] = True
    return truth


def ring() -> np.ndarray:
    return disk(40, 50, 30) & ~disk(40, 50, 20)


def speck() -> np.ndarray:
    return disk(5, 5, 0)


def at_the_border() -> np.ndarray:
    return disk(0, 99, 25)


OBJECTS = {
    "a disk": disk(40, 50, 20),
    "an L": l_shape(),
    "a ring": ring(),
    "one pixel": speck(),
    "at the border of the image": at_the_border(),
    "all of the image": np.ones((20, 30), bool),
    "two parts": disk(20, 20, 8) | disk(60, 70, 12),
    "a line one pixel wide": np.eye(40, dtype=bool),
}


def filled(polygon: Polygon, shape: tuple[int, ...]) -> np.ndarray:
    vertices = np.array(polygon.vertices)
    mask = np.zeros(shape, bool)
    mask[draw.polygon(vertices[:, 0], vertices[:, 1], shape)] = True
    return mask


@pytest.mark.parametrize("truth", OBJECTS.values(), ids=OBJECTS)
@pytest.mark.parametrize("kind", FIRST_PROMPTS)
def test_same_object_gives_the_same_prompt(truth, kind):
    prompt = first_prompt(truth, kind)
    assert prompt.kind == kind
    assert first_prompt(truth.copy(), kind) == prompt


def test_click_goes_to_the_deepest_pixel():
    assert first_prompt(OBJECTS["a disk"], "click") == Click(40, 50, True)


def test_edges_of_a_box_run_along_the_pixels_next_to_the_object():
    assert first_prompt(OBJECTS["a disk"], "box") == Box(19, 29, 61, 71)


@pytest.mark.parametrize("truth", OBJECTS.values(), ids=OBJECTS)
def test_polygon_lies_outside_the_object_and_not_far_from_it(truth):
    polygon = first_prompt(truth, "polygon")
    vertices = np.array(polygon.vertices)
    rows, columns = np.round(vertices).astype(int).T
    inside = (rows >= 0) & (columns >= 0) & (rows < truth.shape[0]) & (columns < truth.shape[1])
    assert not truth[rows[inside], columns[inside]].any()
    assert not (truth & ~filled(polygon, truth.shape)).any()


def test_polygon_is_simplified():
    polygon = first_prompt(OBJECTS["a disk"], "polygon")
    assert len(polygon.vertices) < 24
    grown = filled(polygon, (80, 100))
    assert ndimage.distance_transform_edt(~OBJECTS["a disk"])[grown].max() < 4


def test_polygon_goes_around_all_parts():
    assert filled(first_prompt(OBJECTS["two parts"], "polygon"), (80, 100))[40, 45]


@pytest.mark.parametrize("truth", OBJECTS.values(), ids=OBJECTS)
def test_scribble_stays_on_the_object(truth):
    scribble = first_prompt(truth, "scribble")
    rows, columns = np.array(scribble.path).astype(int).T
    assert scribble.is_positive
    assert truth[rows, columns].all()


def test_scribble_runs_through_the_whole_length_of_the_object():
    path = np.array(first_prompt(OBJECTS["an L"], "scribble").path)
    assert min(path[0, 0], path[-1, 0]) < 16
    assert max(path[0, 1], path[-1, 1]) > 84
    assert np.abs(np.diff(path, axis=0)).max() == 1


def test_scribble_is_on_the_largest_part():
    path = np.array(first_prompt(OBJECTS["two parts"], "scribble").path)
    assert (path[:, 0] > 40).all()


def test_mask_is_near_the_object_but_not_right():
    truth = OBJECTS["a disk"]
    mask = first_prompt(truth, "mask").mask
    assert 0.4 < (mask & truth).sum() / (mask | truth).sum() < 0.9


def test_masks_of_different_objects_are_shifted_differently():
    shifts = set()
    for radius in (18, 20, 22):
        prompt = first_prompt(disk(40, 50, radius), "mask")
        assert isinstance(prompt, MaskPrompt)
        shifts.add(tuple(np.round(ndimage.center_of_mass(prompt.mask))))
    assert len(shifts) > 1


def test_ignored_pixels_are_not_of_the_object():
    truth = np.where(OBJECTS["two parts"], 1, 0).astype(np.int8)
    truth[40:] = np.where(truth[40:] == 1, -1, 0)
    assert first_prompt(truth, "box") == Box(11, 11, 29, 29)


def test_unknown_kind_is_refused():
    with pytest.raises(PromptError, match="no kind of prompt 'lasso'; expected one of click, box"):
        first_prompt(OBJECTS["a disk"], "lasso")


def test_truth_without_an_object_is_refused():
    with pytest.raises(PromptError, match="truth holds no object"):
        first_prompt(np.zeros((4, 4)), "box")


def test_scribble_of_a_disk_is_a_scribble():
    assert isinstance(first_prompt(OBJECTS["a disk"], "scribble"), Scribble)
