from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_segnext.errors import PropagationError, VolumeError
from napari_segnext.prompts import AnnotatedObject, Box, Click, MaskPrompt, Prompts, PromptsFile, SlicePrompts
from napari_segnext.propagation import Source, StopRules, propagate
from napari_segnext.volumes import Volume


def dice(one, other):
    return 2 * (one & other).sum() / max(1, one.sum() + other.sum())


def by_place(results):
    return {(result.label, result.index): result for result in results}


def carried(results):
    """(label, index) of what is neither annotated nor stopped."""
    return {place for place, one in by_place(results).items() if one.source is not Source.ANNOTATED and not one.stopped}


def test_one_annotated_slice_gives_the_object_from_end_to_end(model, image, truth):
    results = list(propagate(model, image, {6: truth[6] == 1}))
    assert carried(results) == {(1, z) for z in (2, 3, 4, 5, 7, 8, 9, 10, 11)}
    for result in results:
        if not result.stopped:
            assert dice(result.mask, truth[result.index] == 1) > 0.97
    stopped = {result.index: result for result in results if result.stopped}
    assert set(stopped) == {1, 12}
    assert not any(result.mask.any() for result in stopped.values())


def test_annotated_masks_come_first_and_as_they_are(model, image, truth):
    mask = truth[6] == 1
    mask[0, 0] = True
    first = next(propagate(model, image, {6: mask}))
    assert (first.index, first.source, first.confidence) == (6, Source.ANNOTATED, 1.0)
    np.testing.assert_array_equal(first.mask, mask)


def test_prompts_say_it_as_well_as_masks(model, image, truth):
    clicks = {6: Prompts((Click(20, 28),))}
    results = list(propagate(model, image, clicks))
    assert carried(results) == carried(propagate(model, image, {6: truth[6] == 1}))
    assert carried(propagate(model, image, {6: [Click(20, 28)]})) == carried(results)


def test_between_two_annotated_slices_both_sides_agree(model, image, truth):
    results = by_place(propagate(model, image, {3: truth[3] == 1, 9: truth[9] == 1}, slices=(3, 10)))
    assert [place[1] for place in sorted(results)] == [3, 4, 5, 6, 7, 8, 9]
    for z in range(4, 9):
        assert results[1, z].source is Source.BETWEEN
        assert results[1, z].evidence.agreement > 0.95
        assert dice(results[1, z].mask, truth[z] == 1) > 0.97


def test_what_is_not_found_between_is_interpolated(model, truth):
    results = by_place(propagate(model, np.full(truth.shape, 40, np.uint8), {3: truth[3] == 1, 9: truth[9] == 1}))
    middle = results[1, 6]
    assert middle.confidence == 0
    assert dice(middle.mask, truth[6] == 1) > 0.9


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"direction": "up"}, {7, 8, 9, 10, 11}),
        ({"direction": "down"}, {2, 3, 4, 5}),
        ({"slices": (5, 9)}, {5, 7, 8}),
        ({"slices": (7, 9)}, {7, 8}),
        ({"slices": (9, 12)}, set()),
    ],
    ids=["up", "down", "range", "range beside it", "range out of reach"],
)
def test_direction_and_range_are_kept(model, image, truth, options, expected):
    assert {z for _, z in carried(propagate(model, image, {6: truth[6] == 1}, **options))} == expected


def test_several_objects_go_in_one_pass_and_never_share_a_pixel(model, image, truth):
    objects = PromptsFile(
        (
            AnnotatedObject(4, "", (SlicePrompts(0, 6, Prompts(()), mask=MaskPrompt(truth[6] == 1)),)),
            AnnotatedObject(7, "", (SlicePrompts(0, 2, Prompts((Click(42, 53),))),)),
        )
    )
    results = by_place(propagate(model, image, objects))
    assert {label for label, _ in results} == {4, 7}
    assert {z for label, z in results if label == 7} == set(range(16))
    for z in range(16):
        masks = [results[label, z].mask for label in (4, 7) if (label, z) in results]
        assert sum(mask.astype(int) for mask in masks).max() <= 1
    # each slice is encoded once for both
    assert model.n_encoded <= 16


def test_an_object_does_not_take_what_is_annotated_as_another(model, image, truth):
    mask = truth[6] == 1
    objects = [
        AnnotatedObject(1, "", (SlicePrompts(0, 6, Prompts(()), mask=MaskPrompt(mask)),)),
        AnnotatedObject(2, "", (SlicePrompts(0, 7, Prompts(()), mask=MaskPrompt(truth[7] == 1)),)),
    ]
    results = by_place(propagate(model, image, objects, slices=(6, 9)))
    assert not results[1, 7].mask.any()
    np.testing.assert_array_equal(results[2, 7].mask, truth[7] == 1)


def test_two_objects_that_are_equally_sure_of_the_same_pixels_do_not_share_them(model, image, truth):
    mask = truth[6] == 1
    left = mask & (np.arange(mask.shape[1]) < 28)
    objects = [
        AnnotatedObject(label, "", (SlicePrompts(0, 6, Prompts(()), mask=MaskPrompt(half)),))
        for label, half in ((1, left), (2, mask & ~left))
    ]
    results = by_place(propagate(model, image, objects, rules=StopRules.none()))
    masks = [results[label, 7].mask for label in (1, 2)]
    assert (masks[0] | masks[1]).sum() > 50
    assert not (masks[0] & masks[1]).any()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_any_axis_does(model, truth, axis):
    labels = np.moveaxis(truth, 0, axis)
    volume = Volume(np.where(labels > 0, 220, 40).astype(np.uint8))
    results = by_place(propagate(model, volume, {6: np.take(labels, 6, axis) == 1}, axis=axis))
    assert dice(results[1, 9].mask, np.take(labels, 9, axis) == 1) > 0.95
    assert results[1, 9].axis == axis


def test_pixels_that_are_no_squares_are_made_square_and_back(model, truth, image):
    thick = Volume(image[:, ::3], spacing=(5.0, 3.0, 1.0))
    results = by_place(propagate(model, thick, {6: truth[6, ::3] == 1}))
    assert results[1, 9].mask.shape == (20, 80)
    assert dice(results[1, 9].mask, truth[9, ::3] == 1) > 0.85
    clicked = by_place(propagate(model, thick, {6: [Click(6, 28)]}))
    assert dice(clicked[1, 6].mask, truth[6, ::3] == 1) > 0.85


def test_rules_can_be_switched_off(model, image, truth):
    strict = StopRules(max_area_ratio=1.0001, min_overlap=0.999)
    assert len(carried(propagate(model, image, {6: truth[6] == 1}, rules=strict))) < 3
    assert {z for _, z in carried(propagate(model, image, {6: truth[6] == 1}, rules=StopRules.none()))} >= {2, 11}


def test_closing_the_generator_keeps_what_is_done(model, image, truth):
    run = propagate(model, image, {6: truth[6] == 1})
    results = [next(run) for _ in range(3)]
    run.close()
    assert [result.index for result in results] == [6, 7, 8]
    assert all(dice(result.mask, truth[result.index] == 1) > 0.97 for result in results)


def test_a_run_that_is_no_longer_wanted_ends(model, image, truth):
    asked = iter([True, True, True])
    results = list(propagate(model, image, {6: truth[6] == 1}, is_wanted=lambda: next(asked, False)))
    assert [result.index for result in results] == [6, 7, 8]


def test_lazy_slices_are_read_one_by_one_and_only_those_that_are_needed(model, image, truth):
    read = []

    class Counted:
        shape, dtype = image.shape, image.dtype

        def __getitem__(self, key):
            read.append(key[0] if isinstance(key, tuple) else key)
            return image[key]

    list(propagate(model, Volume(Counted()), {6: truth[6] == 1}, slices=(5, 9)))
    assert set(read) == {5, 6, 7, 8}


@pytest.mark.parametrize(
    ("said", "options", "message"),
    [
        ({}, {}, "no object with prompts or a mask"),
        ({99: [Click(1, 1)]}, {}, "slice 99 along axis 0; expected 0 to 15"),
        ({6: [Click(20, 28)]}, {"slices": (9, 3)}, "expected a range within 0:16"),
        ({6: [Click(20, 28)]}, {"direction": "sideways"}, "expected 'both', 'up' or 'down'"),
        ({6: np.ones((3, 3, 3))}, {}, "expected prompts, or a mask"),
        ([3], {}, "what was said is a int"),
        (
            [AnnotatedObject(1, "", (SlicePrompts(0, 6, Prompts((Click(20, 28),))),))] * 2,
            {},
            "a label of its own for each",
        ),
        ([AnnotatedObject(1, "", (SlicePrompts(2, 6, Prompts((Click(20, 28),))),))], {}, "choose the axis along which"),
    ],
)
def test_what_cannot_be_done_is_told_at_once(model, image, said, options, message):
    with pytest.raises(PropagationError, match=message):
        propagate(model, image, said, **options)


def test_a_mask_of_another_size_is_refused(model, image):
    with pytest.raises(PropagationError, match=r"a mask has shape \(5, 5\); expected \(60, 80\)"):
        list(propagate(model, image, {6: np.ones((5, 5), bool)}))


def test_a_volume_with_time_and_an_axis_that_is_not_there_are_refused(model, image, truth):
    with pytest.raises(PropagationError, match="time points; expected one"):
        propagate(model, Volume(image[None], axis_names=("t", "z", "y", "x")), {6: truth[6] == 1})
    with pytest.raises(VolumeError):
        propagate(model, image, {6: truth[6] == 1}, axis=3)


def test_boxes_are_scaled_with_their_slice(model, image):
    thick = Volume(image[:, ::2], spacing=(5.0, 2.0, 1.0))
    first = next(propagate(model, thick, {6: [Box(5, 19, 14, 36), Click(10, 28)]}))
    assert first.mask.any()


def test_along_time_an_object_is_followed_on_one_slice(model, image, truth):
    # the volume's sections become time points of one slice
    film = Volume(image[:, None], axis_names=("t", "z", "y", "x"), spacing=(2.0, 1.0, 1.0), time_step=30.0)
    results = list(propagate(model, film.over_time(0, 0), {6: truth[6] == 1}))
    assert carried(results) == {(1, t) for t in (2, 3, 4, 5, 7, 8, 9, 10, 11)}


def test_the_annotators_outline_is_learned(image, truth):
    from .conftest import BrightPartsModel

    class WideModel(BrightPartsModel):
        """Sees a soft rim of three pixels about each object, a little more likely than not."""

        def predict_logits(self, embedding, clicks, previous_masks):
            logits = super().predict_logits(embedding, clicks, previous_masks)
            rim = torch.nn.functional.max_pool2d(logits, 7, 1, 3)
            return torch.where(logits > 0, logits, torch.where(rim > 0, 0.5, -4.0))

    results = by_place(propagate(WideModel(), image, {6: truth[6] == 1}))
    assert dice(results[1, 8].mask, truth[8] == 1) > 0.95
    assert results[1, 12].stopped


def test_annotated_slices_within_a_run_of_them_are_not_encoded(model, image, truth):
    said = {z: truth[z] == 1 for z in range(3, 10)}
    results = list(propagate(model, image, said))
    assert carried(results) == {(1, 2), (1, 10), (1, 11)}
    # 3 and 9 at the ends, and what lies beyond them
    assert model.n_encoded == len({3, 9, 1, 2, 10, 11, 12})
