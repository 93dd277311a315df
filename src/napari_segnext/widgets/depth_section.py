"""Where the depth comes from that the model reads, and whether depth and order are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_segnext.annotator.depth import fits_depth
from napari_segnext.annotator.layers import is_view
from napari_segnext.widgets.layer_choice import LayerChoice
from napari_segnext.widgets.parts import AnnotationPanel, form_layout

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari.viewer

    from napari_segnext.annotator import Annotator

_SOURCE = (
    "How near each pixel is: as the model sees it (ois-tiny takes all as equally near), or from a grey image of the\n"
    "same size, such as the depth of an RGB-D camera, a height map or a focus map. Unit and direction do not matter."
)
_SHOW_DEPTH = "Show the depth of this slice, as the model reads it, in a layer of its own."
_SHOW_ORDER = (
    "Show how far each pixel lies from your clicks on the object, in depth, in a layer of its own:\n"
    "brightest at the depth of the clicks."
)


class DepthSection(AnnotationPanel):
    """Settings of depth; they can be used with models that read it.

    Parameters
    ----------
    viewer
        The napari viewer.
    do, parent
        As of `AnnotationPanel`.
    """

    def __init__(
        self, viewer: napari.viewer.Viewer, do: Callable[[Callable[[], object]], None], parent: QWidget
    ) -> None:
        super().__init__(do, parent)
        self._viewer = viewer
        self._build()
        self.setEnabled(False)

    def show_annotator(self, annotator: Annotator | None) -> None:
        """Act on this annotation; what was picked before stays picked, where it fits."""
        if self._annotator is not None:
            self._annotator.depth_changed.disconnect(self._follow)
        self._annotator = annotator
        can_use = annotator is not None and annotator.reads_depth
        self.setEnabled(can_use)
        self._tell_why(annotator)
        self.source.refresh()
        if annotator is None:
            return
        if can_use:
            self._on_shown()
        self._on_source()
        annotator.depth_changed.connect(self._follow)

    def refresh_layers(self) -> None:
        """Layers came, went or have another name."""
        self.source.refresh()

    # building

    def _build(self) -> None:
        form = form_layout(left=4)
        self.setLayout(form)
        self.source = LayerChoice(
            self._viewer, self._fits, none_text="the model", prefers=lambda layer: False, parent=self
        )
        self.source.layer_changed.connect(self._on_source)
        form.addRow("Depth from", self.source)
        self.shows_depth = QCheckBox("depth")
        self.shows_order = QCheckBox("order map")
        for box in (self.shows_depth, self.shows_order):
            box.toggled.connect(self._on_shown)
        form.addRow("Show", self.shows_depth)
        form.addRow("", self.shows_order)
        self._tell_why(None)

    def _tell_why(self, annotator: Annotator | None) -> None:
        """Tooltips: what the controls do, or why they do nothing."""
        why = ""
        if annotator is not None and not annotator.reads_depth:
            why = f"{annotator.model.identity.name} reads no depth; choose an OIS model."
        for control, text in ((self.source, _SOURCE), (self.shows_depth, _SHOW_DEPTH), (self.shows_order, _SHOW_ORDER)):
            control.setToolTip(why or text)

    def _fits(self, layer: Any) -> bool:
        if not isinstance(layer, Image) or layer.rgb or is_view(layer):
            return False
        return self._annotator is None or fits_depth(layer, self._annotator.layers.image)

    # what the user does

    def _on_source(self) -> None:
        layer = self.source.layer
        self._call(lambda one: setattr(one, "depth_layer", layer))
        self._follow()

    def _on_shown(self, *_: Any) -> None:
        def show(annotator: Annotator) -> None:
            annotator.shows_depth = self.shows_depth.isChecked()
            annotator.shows_order = self.shows_order.isChecked()

        self._call(show)

    # following the annotation

    def _follow(self) -> None:
        """Show what is in force."""
        annotator = self._annotator
        if annotator is None:
            return
        if self.source.layer is not annotator.depth_layer:
            self.source.refresh()
            self.source.pick(annotator.depth_layer)
        if annotator.reads_depth:
            blockers = [QSignalBlocker(box) for box in (self.shows_depth, self.shows_order)]
            self.shows_depth.setChecked(annotator.shows_depth)
            self.shows_order.setChecked(annotator.shows_order)
            del blockers
