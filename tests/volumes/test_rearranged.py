from __future__ import annotations

import numpy as np
import pytest

from napari_segnext.volumes import RearrangedArray

SOURCE = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)

KEYS = [
    0,
    -1,
    (0, 0),
    (0, 0, 1, 1),
    (slice(None), 0),
    (slice(1, 3), slice(None), 2),
    (..., -1),
    (1, ...),
    (slice(0, 5, 2), slice(0, 0)),
    (slice(None, None, None), 0, slice(-2, None), slice(0, 1)),
    ...,
    np.int64(2),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_reads_what_numpy_would(key):
    """Axes reversed, one held at an index, a new one put second."""
    lazy = RearrangedArray(SOURCE, (3, None, 1, 0), {2: 1})
    assert lazy.shape == (5, 1, 3, 2)
    assert np.array_equal(lazy[key], SOURCE[:, :, 1].transpose(2, 1, 0)[:, None][key])


def test_becomes_a_numpy_array():
    lazy = RearrangedArray(SOURCE.astype(">i4"), (1, 0, 2, 3))
    assert np.array_equal(np.asarray(lazy), SOURCE.transpose(1, 0, 2, 3))
    assert lazy.dtype == np.asarray(lazy).dtype == np.dtype("=i4")
    assert (len(lazy), lazy.ndim, lazy.size) == (3, 4, SOURCE.size)


@pytest.mark.parametrize("key", [5, -6, (0, 0, 0, 0, 0), [0, 1], slice(None, None, -1), "a"], ids=str)
def test_other_indices_are_refused(key):
    lazy = RearrangedArray(SOURCE, (3, None, 1, 0), {2: 1})
    with pytest.raises(IndexError):
        lazy[key]


def test_every_axis_must_be_named_once():
    with pytest.raises(ValueError, match="do not fit an array of 4 axes"):
        RearrangedArray(SOURCE, (0, 1, 2))
    with pytest.raises(ValueError, match="do not fit"):
        RearrangedArray(SOURCE, (0, 1, 2, 3), {3: 0})
