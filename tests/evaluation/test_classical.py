"""Classical peers: fed with the same prompts, they always answer."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from napari_segnext.evaluation.classical import GrabCut, RandomWalker, Watershed, classical_methods
from napari_segnext.evaluation.classical.markers import BACKGROUND, OBJECT, UNKNOWN, Markers, click_radius_px
from napari_segnext.evaluation.classical.random_walker import _probability
from napari_segnext.evaluation.classical.work import two_looks
from napari_segnext.prompts import Box, Click, MaskPrompt, Polygon, Prompts, Scribble

METHODS = {"random walker": RandomWalker, "grabcut": GrabCut, "watershed": Watershed}


@pytest.fixture(autouse=True)
def needs_opencv() -> None:
    pytest.importorskip("cv2")


def disk(shape: tuple[int, int] = (60, 70), radius: float = 15) -> np.ndarray:
    rows, columns = np.indices(shape)
    return (rows - shape[0] / 2) ** 2 + (columns - shape[1] / 2) ** 2 <= radius**2


def image_of(mask: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 6, mask.shape)
    return np.clip(np.where(mask, 180, 60) + noise, 0, 255).astype(np.uint8)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


TRUTH = disk()
PROMPTS = {
    "a click and one outside": [Click(30, 35), Click(5, 5, False)],
    "a box": [Box(13, 18, 47, 52)],
    "a polygon": [Polygon([(12, 27), (12, 43), (22, 53), (38, 53), (48, 43), (48, 27), (38, 17), (22, 17)])],
    "a scribble": [Scribble([(22, 35), (38, 35)]), Scribble([(3, 3), (3, 60)], False)],
    "a mask": [MaskPrompt(disk(radius=12))],
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS)
def test_disk_is_found_with_prompts_of_all_kinds(method, prompts):
    if method is GrabCut and isinstance(prompts[0], Click):
        pytest.skip("GrabCut learns no colours from one click of five pixels")
    work = method().open_image(image_of(TRUTH))
    mask = [work.add(prompt).mask for prompt in prompts][-1]
    assert mask.dtype == bool
    assert iou(mask, TRUTH) > 0.8


ONE_SIGN = {
    "a positive click": [Click(30, 35)],
    "a negative click": [Click(30, 35, False)],
    "a negative scribble": [Scribble([(0, 0), (59, 69)], False)],
    "a box about everything": [Box(-1, -1, 60, 70)],
    "a box of less than a pixel": [Box(30.1, 30.1, 30.2, 30.2)],
    "boxes that do not meet": [Box(2, 2, 9, 9), Box(40, 40, 50, 50)],
    "a negative click over the positive one": [Click(30, 35), Click(30, 35, False)],
    "a click within a box on which it is said no": [Box(13, 18, 47, 52), Click(30, 35, False)],
    "a mask of everything": [MaskPrompt(np.ones(TRUTH.shape))],
    "a mask of one pixel": [MaskPrompt(disk(radius=0.5))],
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("prompts", ONE_SIGN.values(), ids=ONE_SIGN)
@pytest.mark.parametrize("image", [image_of(TRUTH), np.full(TRUTH.shape, 7)], ids=["a disk", "one grey"])
def test_one_sign_alone_is_answered_too(method, prompts, image):
    work = method().open_image(image)
    for prompt in prompts:
        assert work.add(prompt).mask.shape == TRUTH.shape


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_nothing_said_of_the_object_is_no_object(method):
    assert not method().open_image(image_of(TRUTH)).add(Click(30, 35, False)).mask.any()


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_next_object_begins_without_the_prompts_of_the_last(method):
    work = method().open_image(image_of(TRUTH))
    first = work.add(Click(30, 35)).mask
    work.add(Click(30, 35, False))
    work.reset()
    assert np.array_equal(work.add(Click(30, 35)).mask, first)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("prompt", [Click(350, 450), Box(328, 428, 372, 472)], ids=["click", "box"])
def test_small_object_on_a_large_image_is_looked_at_closely(method, prompt):
    truth = disk((700, 900), radius=20)
    assert iou(method().open_image(image_of(truth)).add(prompt).mask, truth) > 0.8


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_colours_and_floats_are_read(method):
    image = np.stack([image_of(TRUTH), image_of(~TRUTH), image_of(TRUTH)], axis=-1).astype(np.float32) * 100
    assert iou(method().open_image(image).add(Box(13, 18, 47, 52)).mask, TRUTH) > 0.8


def test_all_peers_are_there_by_name():
    assert [method.name for method in classical_methods()] == ["random_walker", "grabcut", "watershed"]


def test_without_opencv_grabcut_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'napari-segnext\[peers\]'"):
        GrabCut()


def test_clicks_are_disks_of_a_hundredth_of_the_image():
    assert click_radius_px((300, 400)) == 4
    assert click_radius_px((8, 8)) == 1
    labels = Markers.from_prompts(Prompts((Click(50, 60), Click(20, 20, False))), (300, 400)).labels
    assert (labels == OBJECT).sum() == (labels == BACKGROUND).sum() == 49
    assert labels[50, 64] == OBJECT and labels[50, 65] == UNKNOWN


def test_outside_of_a_box_is_background():
    labels = Markers.from_prompts(Prompts((Box(1, 2, 4, 6),)), (8, 9)).labels
    inside = np.zeros((8, 9), bool)
    inside[1:5, 2:7] = True
    assert np.array_equal(labels == BACKGROUND, ~inside)
    assert (labels[inside] == UNKNOWN).all()


def test_border_of_the_image_is_background_but_for_what_is_marked_on_it():
    labels = Markers.from_prompts(Prompts((Click(0, 4), Click(6, 6, False))), (9, 9)).with_both_signs()
    assert labels is not None
    assert labels[0, 4] == OBJECT
    assert (labels[-1] == BACKGROUND).all() and (labels[:, 0] == BACKGROUND).all()
    assert labels[4, 1] == UNKNOWN


def test_middle_of_an_outline_is_the_object_unless_denied():
    labels = Markers.from_prompts(Prompts((Box(10, 10, 30, 30),)), (40, 40)).with_both_signs()
    assert labels is not None
    assert labels[20, 20] == OBJECT
    assert labels[12, 12] == UNKNOWN
    prompts = Prompts((Box(10, 10, 30, 30), Click(15, 15), Click(20, 20, False)))
    labels = Markers.from_prompts(prompts, (40, 40)).with_both_signs()
    assert labels is not None
    assert labels[20, 20] == BACKGROUND
    assert labels[20, 23] == UNKNOWN


def test_random_walker_finds_no_object_without_a_marker_of_it():
    labels = np.full(TRUTH.shape, UNKNOWN, np.uint8)
    labels[5, 5] = BACKGROUND
    rgb = np.repeat(image_of(TRUTH)[:, :, None] / np.float32(255), 3, axis=2)
    assert not _probability(rgb, labels).any()


def test_second_look_into_an_outline_contains_what_is_marked_beside_it():
    labels = np.full((200, 400), UNKNOWN, np.uint8)
    labels[100, 250], labels[0] = OBJECT, BACKGROUND
    enclosed = np.zeros(labels.shape, bool)
    enclosed[90:110, 150:170] = True
    seen = []

    def look(rgb, markers):
        seen.append((markers == OBJECT).any())
        return np.ones(markers.shape)

    probability = two_looks(np.zeros((200, 400, 3), np.float32), labels, look, max_side_px=300, enclosed=enclosed)
    assert seen == [True]
    assert probability[100, 250] == probability[100, 160] == 1
    assert probability[100, 399] == 0
