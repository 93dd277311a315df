"""Where the depth of an annotation comes from: the model sees it, or a layer of the viewer gives it.

A depth layer is read pixel by pixel: wherever it lies in the world, its pixel (row, column) is that of the image.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_segnext.annotator.coordinates import SliceFrame
from napari_segnext.annotator.errors import LayerMismatchError, SliceNotShownError
from napari_segnext.annotator.layers import is_view
from napari_segnext.annotator.levels import level_shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from napari_segnext.annotator.coordinates import Selector, ShownSlice
    from napari_segnext.annotator.slice_line import SliceLine
    from napari_segnext.models.interface import InteractiveModel

MAX_COMPARED_PX = 4_000_000
"""Of a plane, all over it, when it is found out whether somebody wrote into it."""


def reads_depth(model: InteractiveModel) -> bool:
    """Whether the answers of a model depend on depth."""
    from napari_segnext.models.interface import DepthAwareModel

    return isinstance(model, DepthAwareModel)


def fits_depth(layer: Any, image: Any) -> bool:
    """Whether a layer can give the depth of an image, see `depth_array`."""
    try:
        depth_array(layer, image)
    except LayerMismatchError:
        return False
    return True


def depth_array(layer: Any, image: Any) -> Any:
    """The array of a layer that has a depth for each pixel of an image; of a multiscale layer the level that does.

    Parameters
    ----------
    layer
        A grey image layer of the image's shape, or of its last axes, which then holds for all slices.
    image
        The annotated image layer.

    Raises
    ------
    LayerMismatchError
        If the layer is no grey image layer, or has no level of that shape.
    """
    if not hasattr(layer, "rgb"):
        raise LayerMismatchError(
            f"layer '{layer.name}' is no image layer; expected one that holds a depth. Pick another."
        )
    if layer.rgb:
        raise LayerMismatchError(
            f"image layer '{layer.name}' is RGB; expected one number for each pixel. Split it (right click on the "
            "layer, 'Split RGB') and pick the channel that is the depth."
        )
    if is_view(layer):
        raise LayerMismatchError(f"layer '{layer.name}' shows what the model says; pick a layer of your own as depth.")
    wanted = level_shapes(image)[0]
    levels = list(layer.data) if layer.multiscale else [layer.data]
    for array in levels:
        shape = tuple(int(n) for n in array.shape)
        if len(shape) >= 2 and shape == wanted[-len(shape) :] and np.dtype(array.dtype).kind in "fiub":
            return array
    got = ", ".join(str(tuple(int(n) for n in array.shape)) for array in levels)
    raise LayerMismatchError(
        f"image layer '{layer.name}' has shape {got} and dtype {levels[0].dtype}; expected real numbers of shape "
        f"{wanted}, that of '{image.name}', or of its last axes. Resize the depth to the image first."
    )


class DepthSource:
    """The depth layer of an annotation, if there is one. All methods but the readers belong to the viewer's thread.

    Parameters
    ----------
    viewer
        Whose layers.
    image
        The annotated image layer.
    model
        Who answers; where it reads no depth, the layer is kept and not used.
    """

    changed = Signal()
    """There is another depth layer, or none, or it has other pixels."""
    noticed = Signal(str)
    """A sentence that the user should read."""

    def __init__(self, viewer: Any, image: Any, model: InteractiveModel) -> None:
        self._viewer = viewer
        self._image = image
        self.is_read = reads_depth(model)
        self._layer: Any = None
        self._seen: dict[ShownSlice, int] = {}
        self.n_changes = 0
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def layer(self) -> Any:
        """The image layer that gives the depth; None where the model sees it."""
        return self._layer

    @layer.setter
    def layer(self, layer: Any) -> None:
        if layer is self._layer:
            return
        if layer is not None:
            if layer not in self._viewer.layers:
                raise LayerMismatchError(f"image layer '{layer.name}' is not in the viewer; add it first.")
            depth_array(layer, self._image)
        self._disconnect()
        self._layer = layer
        for emitter, callback in self._connections():
            emitter.connect(callback)
        self._tell()

    @property
    def name(self) -> str:
        """Name of the depth layer; empty without one."""
        return "" if self._layer is None else str(self._layer.name)

    @property
    def settings(self) -> str:
        """What answers depend on besides the image, as text; empty where the model sees the depth."""
        return f"depth {self.name} {self.n_changes}" if self.is_read and self._layer is not None else ""

    @property
    def reader(self) -> Callable[[ShownSlice], NDArray[Any]] | None:
        """Gives the depth of a slice, `(rows, columns)`; None where the model sees it, or reads none."""
        if self._layer is None or not self.is_read:
            return None
        array = depth_array(self._layer, self._image)
        seen = self._seen

        def read(shown: ShownSlice) -> NDArray[Any]:
            plane = np.asarray(array[_selector(array, shown)])
            seen[shown] = _digest(plane)
            return plane

        return read

    def planes(self, line: SliceLine) -> DepthPlanes | None:
        """The depth of all slices of a line; None where the model sees it, or reads none."""
        if self._layer is None or not self.is_read:
            return None
        return DepthPlanes(depth_array(self._layer, self._image), line)

    def of_name(self, name: str, layers: Iterable[Any]) -> Any:
        """The image layer of a name that was the depth before.

        Raises
        ------
        LayerMismatchError
            If there is none, or it does not fit.
        """
        for layer in layers:
            if layer.name == name and hasattr(layer, "rgb"):
                depth_array(layer, self._image)
                return layer
        raise LayerMismatchError(
            f"there is no image layer '{name}', which was the depth; open it and pick it under Depth."
        )

    def close(self) -> None:
        """Listen no more."""
        self._disconnect()
        self._viewer.layers.events.removed.disconnect(self._on_removed)

    def _connections(self) -> Iterator[tuple[Any, Callable[[Any], None]]]:
        if self._layer is not None:
            yield self._layer.events.data, self._on_data
            yield self._layer.events.set_data, self._on_refresh

    def _disconnect(self) -> None:
        for emitter, callback in self._connections():
            emitter.disconnect(callback)

    def _on_data(self, _: Any) -> None:
        if not fits_depth(self._layer, self._image):
            name = self.name
            self.layer = None
            self.noticed.emit(f"Layer '{name}' got another shape, so the model's own depth is used.")
            return
        self._tell()

    def _on_refresh(self, _: Any) -> None:
        """The layer was drawn anew: because another slice is shown, or somebody wrote into its array."""
        array = depth_array(self._layer, self._image) if fits_depth(self._layer, self._image) else None
        if type(array) is not np.ndarray:
            return
        try:
            shown = SliceFrame.of(self._viewer, self._image).shown
        except SliceNotShownError:
            return
        known = self._seen.get(shown)
        if known is not None and known != _digest(array[_selector(array, shown)]):
            self._tell()

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer and self._layer is not None:
            self.layer = None

    def _tell(self) -> None:
        # those who read now note what they see in a table of their own
        self._seen = {}
        self.n_changes += 1
        self.changed.emit()


class DepthPlanes:
    """The depth of slices that follow each other, as a lazy array `(n, rows, columns)`; one plane is read at a time.

    Parameters
    ----------
    array
        From `depth_array`.
    line
        The slices.
    """

    def __init__(self, array: Any, line: SliceLine) -> None:
        self._array, self._line = array, line
        self.shape = (line.n, *line.first.shape)
        self.dtype = np.dtype(array.dtype)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """What a whole number along the first axis, and anything along the others, pick."""
        index, *rest = key if isinstance(key, tuple) else (key,)
        plane = np.asarray(self._array[_selector(self._array, self._line.at(int(index)))])
        return np.asarray(plane[tuple(rest)])


def _selector(array: Any, shown: ShownSlice) -> Selector:
    """Index that cuts the depth of a slice out of an array of the image's last axes, or all of them."""
    n_missing = shown.ndim - len(array.shape)
    if shown.axes[0] < n_missing:
        raise LayerMismatchError(
            f"the depth has {len(array.shape)} axes and none along axis {shown.axes[0]} of the image, which is shown "
            "now; expected a depth for each pixel. Pick another depth layer, or show other axes."
        )
    return shown.selector[n_missing:]


def _digest(plane: NDArray[Any]) -> int:
    """Tells planes with other pixels apart; of a large one a part of the pixels is looked at."""
    step = max(1, int(np.ceil(np.sqrt(plane.size / MAX_COMPARED_PX))))
    return zlib.crc32(np.ascontiguousarray(plane[::step, ::step]).tobytes())
