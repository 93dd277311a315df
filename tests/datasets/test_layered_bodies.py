"""What layered scenes are made of: the nearest body is seen, and each cue of depth does what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_segnext.datasets.layered.bodies import SURFACES, Body, View, draw_levels, look_at, make_body
from napari_segnext.datasets.layered.cues import Cues, light_and_air
from napari_segnext.datasets.layered.families import draw_backdrop
from napari_segnext.datasets.layered.figures import SOLID, STANDING, THIN, Pose, draw_figure
from napari_segnext.datasets.layered.looks import draw_look

SHAPE = (96, 128)


def flat_backdrop(depth: float = 0.0) -> View:
    colours = np.full((*SHAPE, 3), 0.2, np.float32)
    return View(np.zeros(SHAPE, np.int32), np.full(SHAPE, depth, np.float32), colours)


def body_at(level: float, column: float, *, size_px: float = 20, opacity: float = 1.0, seed: int = 0) -> Body:
    rng = np.random.default_rng(seed)
    pose = Pose((SHAPE[0] / 2, column), size_px)
    mask = draw_figure(SOLID[1](rng), pose, SHAPE)
    return Body(mask, np.full(SHAPE, level, np.float32), draw_look(rng), pose, opacity)


@pytest.mark.parametrize("seed", range(5))
def test_every_pixel_shows_the_nearest_body(seed):
    rng = np.random.default_rng(seed)
    levels = draw_levels(rng, 6, 0.3, 0.9)
    bodies = [body_at(level, rng.uniform(20, 108), seed=seed) for level in levels]
    view = look_at(bodies, flat_backdrop())
    expected = np.max([np.where(body.mask, body.depth, 0) for body in bodies], axis=0)
    hidden = [body for body in bodies if not (view.depth[body.mask] == body.depth[body.mask]).any()]
    assert len(hidden) + view.labels.max() == 6
    is_shown = ~np.isin(expected, [body.depth[0, 0] for body in hidden])
    assert np.array_equal(view.depth[is_shown], expected[is_shown])


def test_labels_number_bodies_from_far_to_near():
    near, far = body_at(0.9, 60), body_at(0.3, 80)
    view = look_at([near, far], flat_backdrop())
    assert np.array_equal(view.labels == 2, near.mask)
    assert np.array_equal(view.labels == 1, far.mask & ~near.mask)


def test_bodies_that_are_hidden_leave_no_trace():
    near, hidden = body_at(0.9, 60, size_px=30), body_at(0.3, 60, size_px=20)
    view, alone = look_at([near, hidden], flat_backdrop()), look_at([near], flat_backdrop())
    assert np.array_equal(view.labels, alone.labels)
    assert np.array_equal(view.depth, alone.depth)


def test_bodies_in_the_ground_are_hidden_by_it():
    assert look_at([body_at(0.3, 60)], flat_backdrop(0.5)).labels.max() == 0


def test_what_is_behind_shines_through_a_translucent_sheet_but_its_label_does_not():
    sheet, behind = body_at(0.9, 60, opacity=0.5), body_at(0.3, 75, seed=1)
    through, opaque = look_at([sheet, behind], flat_backdrop()), look_at([replace(sheet, opacity=1.0)], flat_backdrop())
    both = sheet.mask & behind.mask
    assert (through.labels[both] == 2).all()
    assert np.array_equal(through.depth[both], opaque.depth[both])
    behind_alone = look_at([behind], flat_backdrop())
    expected = 0.5 * opaque.colours[both] + 0.5 * behind_alone.colours[both]
    assert np.allclose(through.colours[both], expected, atol=1e-5)


def test_twins_of_one_pose_have_the_same_colours_at_any_depth():
    rng = np.random.default_rng(0)
    figure, pose, look = SOLID[0](rng), Pose((48.0, 64.0), 25.0, 0.4), draw_look(rng)
    views = [look_at([make_body(rng, SHAPE, figure, pose, look, level, 0.02)], flat_backdrop()) for level in (0.3, 0.9)]
    assert np.array_equal(views[0].colours, views[1].colours)
    assert np.array_equal(views[0].labels, views[1].labels)


def test_bodies_are_flat_tilted_and_domed_within_their_room():
    rng = np.random.default_rng(0)
    kinds = set()
    for _ in range(40):
        body = make_body(rng, SHAPE, SOLID[1](rng), Pose((48.0, 64.0), 25.0), draw_look(rng), 0.5, 0.1)
        inside = body.depth[body.mask]
        assert np.abs(inside - 0.5).max() <= 0.1 + 1e-6
        top = np.unravel_index(np.where(body.mask, body.depth, 0).argmax(), SHAPE)
        kinds.add("flat" if np.ptp(inside) == 0 else "domed" if top == (48, 64) else "tilted")
    assert kinds == set(SURFACES)


@pytest.mark.parametrize("n", [1, 2, 10])
def test_levels_fill_their_range_with_clear_steps(n):
    levels = draw_levels(np.random.default_rng(n), n, 0.2, 0.8)
    assert len(levels) == n
    assert levels.min() >= 0.2 - 1e-9
    assert levels.max() <= 0.8 + 1e-9
    if n > 1:
        assert np.ptp(levels) == pytest.approx(0.6)
        assert np.diff(np.sort(levels)).min() >= 0.6 / (n - 1) / 3


@pytest.mark.parametrize("maker", [*SOLID, *STANDING], ids=lambda maker: maker.__name__)
def test_figure_fills_about_its_size(maker):
    mask = draw_figure(maker(np.random.default_rng(1)), Pose((48.0, 64.0), 30.0), SHAPE)
    rows, columns = np.nonzero(mask)
    assert 40 <= max(np.ptp(rows), np.ptp(columns)) <= 95
    if maker in STANDING:
        assert abs(rows.max() - 78) <= 5


@pytest.mark.parametrize("maker", THIN, ids=lambda maker: maker.__name__)
def test_thin_things_leave_most_of_the_picture_free(maker):
    shares = [maker(np.random.default_rng(seed), SHAPE).mean() for seed in range(8)]
    assert min(shares) > 0
    assert np.median(shares) < 0.45


def two_steps() -> View:
    """The left half near, the right half far, all of one grey."""
    view = flat_backdrop()
    depth, labels = view.depth.copy(), view.labels.copy()
    depth[:, :64], labels[:, :64] = 0.9, 1
    depth[:, 64:] = 0.2
    return View(labels, depth, view.colours + 0.3)


def shown(cues: Cues, seed: int = 0) -> np.ndarray:
    return light_and_air(np.random.default_rng(seed), two_steps(), cues)


def test_without_cues_the_view_is_shown_as_it_is():
    assert np.array_equal(shown(Cues()), two_steps().colours)


def test_ambient_cue_darkens_only_what_lies_behind_the_edge():
    grey = shown(Cues(ambient=0.5))[48, :, 0]
    assert np.allclose(grey[:64], 0.5)
    assert grey[64] < 0.45
    assert np.allclose(grey[-20:], 0.5)


def test_shadows_fall_only_on_what_lies_behind():
    darkest = [shown(Cues(shadow=0.5), seed)[..., 0] for seed in range(12)]
    assert min(grey[:, 64:].min() for grey in darkest) < 0.4
    assert all(np.allclose(grey[:, :58], 0.5) for grey in darkest)


def test_haze_changes_far_things_more():
    changes = [np.abs(shown(Cues(haze=0.6), seed) - 0.5) for seed in range(6)]
    assert all(change[:, 64:].mean() > change[:, :64].mean() for change in changes)


def test_slope_cue_leaves_level_surfaces_alone():
    assert np.allclose(shown(Cues(slope=0.5)), 0.5)


def test_defocus_blurs_what_is_away_from_the_focal_plane():
    rng = np.random.default_rng(0)
    view = replace(two_steps(), colours=draw_backdrop(rng, SHAPE, 0.1).colours + rng.random((*SHAPE, 1), np.float32))
    blurred = light_and_air(np.random.default_rng(4), view, Cues(defocus_px=3))
    fine = [np.abs(np.diff(blurred[:, part], axis=0)).mean() for part in (np.s_[:50], np.s_[80:])]
    assert max(fine) > 1.3 * min(fine)
