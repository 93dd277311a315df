"""The worst cases of an evaluation, to look at: one picture and one table."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage import measure

from napari_segnext.evaluation.methods import open_loaded
from napari_segnext.evaluation.metrics import iou
from napari_segnext.prompts import Box, Click, Polygon, Prompts, Scribble
from napari_segnext.session import image_to_rgb

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from napari_segnext._types import Mask
    from napari_segnext.datasets import ImageSample
    from napari_segnext.evaluation.methods import Method
    from napari_segnext.evaluation.protocol import ObjectResult

N_WORST = 24
MAX_CLICKS_SEEN = 10
"""Cases are compared after so many clicks, or after as many as all objects have."""

PICTURE_NAME, TABLE_NAME = "failures.png", "failures.csv"

_N_COLUMNS = 6
_LEAST_CROP_PX = 48
_TRUTH_COLOUR, _MASK_COLOUR, _PROMPT_COLOUR = "cyan", "orange", "white"


@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """A case with all that is needed to draw it.

    Attributes
    ----------
    result
        Its result.
    prompts
        Those that were given so far.
    iou
        After the last of them.
    image
        `(h, w, 3)` float32 in [0, 1], a crop about the object.
    truth
        `(h, w)` int8: 1 object, 0 background, -1 ignored.
    mask
        `(h, w)` bool, the answer.
    origin_yx
        Row and column of the crop in the image.
    n_object_px
        Size of the object.
    """

    result: ObjectResult
    prompts: Prompts
    iou: float
    image: NDArray[np.float32]
    truth: NDArray[np.int8]
    mask: Mask
    origin_yx: tuple[int, int]
    n_object_px: int


def worst_results(results: Sequence[ObjectResult], *, n: int = N_WORST) -> tuple[list[ObjectResult], int]:
    """The results with the lowest IoU after the last click that all have, at most the tenth.

    Parameters
    ----------
    results
        At least one.
    n
        Greatest number.

    Returns
    -------
    list of ObjectResult
        Worst first; equal ones in the order of `results`.
    int
        The number of clicks after which they were compared.
    """
    n_clicks = min(MAX_CLICKS_SEEN, min(len(result.ious) for result in results))
    return sorted(results, key=lambda result: result.ious[n_clicks - 1])[:n], n_clicks


def replay_failures(
    method: Method, images: Iterable[ImageSample], results: Sequence[ObjectResult], *, n: int = N_WORST
) -> list[Failure]:
    """Give the prompts of the worst cases once more, because answers are not kept during an evaluation.

    Parameters
    ----------
    method
        The one that was evaluated.
    images
        Those that were evaluated; no two have the same id.
    results
        As of `worst_results`, all of this method.
    n
        Greatest number of cases.

    Returns
    -------
    list of Failure
        Worst first.
    """
    worst, n_clicks = worst_results(results, n=n)
    failures = {}
    for sample in images:
        of_image = [result for result in worst if result.image_id == sample.id]
        if not of_image:
            continue
        loaded = sample.read()
        work, rgb = open_loaded(method, loaded), image_to_rgb(loaded.image)
        truths = {item.id: loaded.truth_of(item) for item in loaded.objects}
        for result in of_image:
            prompts = Prompts(result.run.prompts.items[:n_clicks])
            work.reset()
            mask = [work.add(prompt).mask for prompt in prompts][-1]
            failures[id(result)] = _cropped(result, prompts, rgb, truths[result.id], mask)
    return [failures[id(result)] for result in worst if id(result) in failures]


def draw_failures(failures: Sequence[Failure]) -> Figure:
    """A gallery: truth outlined in cyan, answer in orange, clicks green (positive) and red, with id and IoU."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    n_columns = min(_N_COLUMNS, max(1, len(failures)))
    n_rows = max(1, -(-len(failures) // n_columns))
    figure = Figure(figsize=(2.6 * n_columns, 2.9 * n_rows), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, failure in zip(figure.subplots(n_rows, n_columns, squeeze=False).flat, failures, strict=False):
        _draw_failure(axes, failure)
    for axes in figure.axes[len(failures) :]:
        axes.set_axis_off()
    return figure


def write_failures(folder: Path, failures: Sequence[Failure]) -> None:
    """Write `failures.png` and `failures.csv` (one line for each case, worst first) into a folder, made if missing.

    Raises
    ------
    OSError
        If the folder cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draw_failures(failures).savefig(folder / PICTURE_NAME, dpi=110)
    with (folder / TABLE_NAME).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["rank", "id", "group", "method", "first_prompt", "n_clicks", "iou", "iou_1", "object_px"])
        for rank, failure in enumerate(failures, start=1):
            result = failure.result
            names = [rank, result.id, result.group, result.method, result.first_prompt, len(failure.prompts)]
            table.writerow([*names, f"{failure.iou:.4f}", f"{result.ious[0]:.4f}", failure.n_object_px])


def _cropped(
    result: ObjectResult, prompts: Prompts, rgb: NDArray[np.float32], truth: NDArray[np.int8], mask: Mask
) -> Failure:
    """The case cut out about truth and answer, with a margin."""
    seen = (truth == 1) | mask
    window = []
    for axis, n in enumerate(truth.shape):
        where = np.flatnonzero(seen.any(axis=1 - axis))
        size = int(where[-1] - where[0]) + 1
        margin = max(size // 4, (_LEAST_CROP_PX - size) // 2, 4)
        window.append(slice(max(0, int(where[0]) - margin), min(n, int(where[-1]) + 1 + margin)))
    rows, columns = window
    return Failure(
        result,
        prompts,
        iou(truth, mask),
        rgb[rows, columns],
        truth[rows, columns],
        mask[rows, columns],
        (rows.start, columns.start),
        int(np.count_nonzero(truth == 1)),
    )


def _draw_failure(axes: Any, failure: Failure) -> None:
    axes.imshow(failure.image, interpolation="nearest")
    for region, colour in ((failure.truth == 1, _TRUTH_COLOUR), (failure.mask, _MASK_COLOUR)):
        for outline in measure.find_contours(np.pad(region, 1).astype(np.float32), 0.5):
            axes.plot(outline[:, 1] - 1, outline[:, 0] - 1, color=colour, linewidth=1)
    for prompt in failure.prompts:
        _draw_prompt(axes, prompt, np.array(failure.origin_yx))
    n_rows, n_columns = failure.mask.shape
    axes.set(xlim=(-0.5, n_columns - 0.5), ylim=(n_rows - 0.5, -0.5), xticks=[], yticks=[])
    axes.set_title(f"{_shortened(failure.result.id)}\nIoU {100 * failure.iou:.1f}", fontsize=7)


def _draw_prompt(axes: Any, prompt: object, origin_yx: NDArray[np.int64]) -> None:
    match prompt:
        case Click(row, column, is_positive):
            colour = "lime" if is_positive else "red"
            axes.plot(
                column - origin_yx[1], row - origin_yx[0], "o", color=colour, markersize=3.5, mec="black", mew=0.4
            )
        case Box(top, left, bottom, right):
            corners = np.array([(top, left), (top, right), (bottom, right), (bottom, left), (top, left)])
            _draw_line(axes, corners - origin_yx)
        case Polygon(vertices):
            _draw_line(axes, np.array([*vertices, vertices[0]]) - origin_yx)
        case Scribble(path):
            _draw_line(axes, np.array(path) - origin_yx)


def _draw_line(axes: Any, points: NDArray[np.float64]) -> None:
    axes.plot(points[:, 1], points[:, 0], "--", color=_PROMPT_COLOUR, linewidth=0.7)


def _shortened(name: str, n: int = 34) -> str:
    return name if len(name) <= n else f"…{name[-n + 1 :]}"
