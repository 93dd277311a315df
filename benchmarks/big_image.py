"""What a session on a huge image reads, encodes, holds and takes.

    python benchmarks/big_image.py [--side 50000] [--levels 5] [--model segnext-tiny] [--json FILE]

The image is drawn where it is read (bright disks on noise), so nothing is downloaded or held: what is counted is what a
file would be asked for. `read` is in pixels of the levels, `encoded` in images given to the encoder, `held` is the peak
of NumPy's memory during the step (torch's is not in it), `seconds` are those of the whole step and, of them, those of
drawing, which stand for reading. IoU is that with the disk. The steps follow each other in one process:

open        a session on the pyramid
small       first click on an object of 60 px, and a correction
neighbour   first click on an object beside it
back        the first click on the small object again
large       first click on an object of 9,000 px
again       a new session with the embeddings that were kept on disk: the small object
one level   the small object, with the finest level alone
crop        the small object, with a crop of 1200 × 1200 pixels around it that is held
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np

from napari_segnext import Click, ImagePyramid, Session, load_model
from napari_segnext.session import EmbeddingCache, EmbeddingStore
from napari_segnext.session.windows import Window

SMALL, NEIGHBOUR, LARGE = (0.62, 0.16, 30), (0.62, 0.1624, 30), (0.4, 0.6, 4500)
"""Row and column as parts of the side, and radius in pixels."""

COLUMNS = ("step", "read", "encoded", "held", "seconds", "drawing", "iou")


class DrawnLevel:
    """Bright disks on noise, drawn where it is indexed."""

    def __init__(self, side, scale, disks):
        n = -(-side // scale)
        self.shape, self.dtype = (n, n), np.dtype(np.uint8)
        self._scale, self._disks = scale, disks
        self.n_read, self.seconds = 0, 0.0

    def __getitem__(self, key):
        start = time.perf_counter()
        rows, columns = (
            np.arange(*along.indices(n), dtype=np.uint32) for along, n in zip(key, self.shape, strict=True)
        )
        noise = (rows[:, None] * np.uint32(73_856_093)) ^ (columns * np.uint32(19_349_663))
        noise *= np.uint32(2_654_435_761)
        drawn = (30 + (noise >> np.uint32(27))).astype(np.uint8)
        for row, column, radius in self._disks:
            y = (rows + 0.5) * self._scale - 0.5 - row
            x = (columns + 0.5) * self._scale - 0.5 - column
            near_y, near_x = np.flatnonzero(abs(y) <= radius), np.flatnonzero(abs(x) <= radius)
            if near_y.size and near_x.size:
                part = drawn[near_y[0] : near_y[-1] + 1, near_x[0] : near_x[-1] + 1]
                part[y[near_y][:, None] ** 2 + x[near_x] ** 2 <= radius**2] = 200
        self.n_read += drawn.size
        self.seconds += time.perf_counter() - start
        return drawn


class CountedModel:
    """Another model, and how many images it encoded."""

    def __init__(self, model):
        self._model = model
        self.n_encoded = 0

    def __getattr__(self, name):
        return getattr(self._model, name)

    def encode_image(self, image):
        """As the other model's."""
        self.n_encoded += 1
        return self._model.encode_image(image)


class Measured:
    """Rows of the table."""

    def __init__(self, model, levels):
        self._model, self._levels = model, levels
        self.rows = []

    def step(self, name, work, disk=None):
        """Do something, note what it took, and give back what it gave."""
        before = self._counts()
        tracemalloc.start()
        start = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - start
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        read, encoded, drawing = (after - first for after, first in zip(self._counts(), before, strict=True))
        iou = None if disk is None else iou_with(result, disk)
        self.rows.append(dict(zip(COLUMNS, (name, read, encoded, peak, seconds, drawing, iou), strict=True)))
        iou_text = "" if iou is None else f"{iou:.3f}"
        print(
            f"{name:<12} read {read / 1e6:7.2f} Mpx   encoded {encoded:3d}   held {peak / 1e6:6.0f} MB   "
            f"{seconds:6.2f} s, drawing {drawing:5.2f} s   {iou_text}",
            flush=True,
        )
        return result

    def _counts(self):
        drawing = sum(level.seconds for level in self._levels)
        return sum(level.n_read for level in self._levels), self._model.n_encoded, drawing


def iou_with(prediction, disk, origin=(0, 0)):
    """Of an answer and a disk, in a box about both."""
    found = prediction.object_mask()
    if found is None:
        return 0.0
    box, mask = found
    row, column, radius = disk
    about = Window(row - radius - origin[0], column - radius - origin[1], 2 * radius + 1, 2 * radius + 1)
    both = about.joined(box)
    rows, columns = np.ogrid[both.slices]
    truth = (rows + origin[0] - row) ** 2 + (columns + origin[1] - column) ** 2 <= radius**2
    drawn = np.zeros(both.shape, bool)
    drawn[box.slices_in(both)] = mask
    return float((drawn & truth).sum() / (drawn | truth).sum())


def after_reset(session, click):
    session.reset()
    return session.add(click)


def measure(model, levels, disks, folder):
    small, neighbour, large = disks
    at_small, correction = Click(*small[:2]), Click(small[0] + 45, small[1], is_positive=False)
    measured = Measured(model, levels)
    cache = EmbeddingCache(store=EmbeddingStore(folder, max_bytes=10**10))
    pyramid = ImagePyramid.of(levels)
    session = measured.step("open", lambda: Session(model, pyramid, cache=cache))
    measured.step("small", lambda: session.add(at_small), small)
    measured.step("  corrected", lambda: session.add(correction), small)
    measured.step("neighbour", lambda: after_reset(session, Click(*neighbour[:2])), neighbour)
    measured.step("back", lambda: after_reset(session, at_small), small)
    measured.step("large", lambda: after_reset(session, Click(*large[:2])), large)
    cache.flush()
    kept = EmbeddingCache(store=EmbeddingStore(folder, max_bytes=10**10))
    measured.step("again", lambda: Session(model, ImagePyramid.of(levels), cache=kept).add(at_small), small)
    one = ImagePyramid.of(levels[0])
    measured.step("one level", lambda: Session(model, one, cache=EmbeddingCache()).add(at_small), small)
    crop = levels[0][small[0] - 600 : small[0] + 600, small[1] - 600 : small[1] + 600]
    moved = (600, 600, small[2])
    measured.step("crop", lambda: Session(model, crop, cache=EmbeddingCache(), zoom=True).add(Click(600, 600)), moved)
    return measured.rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=50_000)
    parser.add_argument("--levels", type=int, default=5)
    parser.add_argument("--model", default="segnext-tiny")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model = CountedModel(load_model(options.model, options.device))
    scale = options.side / 50_000
    disks = [
        (round(row * options.side), round(column * options.side), radius if radius < 100 else round(radius * scale))
        for row, column, radius in (SMALL, NEIGHBOUR, LARGE)
    ]
    levels = [DrawnLevel(options.side, 2**number, disks) for number in range(options.levels)]
    Session(model, np.zeros((64, 64), np.uint8), cache=EmbeddingCache()).add(Click(30, 30))
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(model, levels, disks, Path(folder))
    if options.json is not None:
        report = {"side": options.side, "levels": options.levels, "model": options.model, "steps": rows}
        options.json.write_text(json.dumps(report, indent=1), encoding="utf8")


if __name__ == "__main__":
    main()
