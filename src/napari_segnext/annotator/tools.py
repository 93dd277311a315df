"""The drawing tools: which layer is selected, and in which of napari's modes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_segnext.annotator.layers import AnnotationLayers


@dataclass(frozen=True)
class Tool:
    """A way to give prompts.

    Attributes
    ----------
    name
        "click", "box", "polygon", "line" or "brush".
    role
        Name of the layer in `AnnotationLayers`.
    mode
        Napari's name of the layer's mode.
    text
        How it is used.
    has_sign
        Whether object and background are told apart.
    """

    name: str
    role: str
    mode: str
    text: str
    has_sign: bool = True


TOOLS = (
    Tool("click", "points", "add", "click on the object; Shift+click beside it, on what does not belong to it"),
    Tool("box", "shapes", "add_rectangle", "drag a box around the object", has_sign=False),
    Tool("polygon", "shapes", "add_polygon", "click around the object, double click to close", has_sign=False),
    Tool("line", "shapes", "add_path", "draw a line along the object (or the background), double click to end"),
    Tool("brush", "scribbles", "paint", "paint a stroke on the object (or the background)"),
)


def tool_named(name: str) -> Tool:
    """The tool of this name.

    Raises
    ------
    ValueError
        If there is none.
    """
    for tool in TOOLS:
        if tool.name == name:
            return tool
    raise ValueError(f"tool is {name!r}; expected one of {', '.join(tool.name for tool in TOOLS)}.")


def take_up(tool: Tool, viewer: Any, layers: AnnotationLayers) -> None:
    """Select the tool's layer and switch it to the tool's mode."""
    layer = getattr(layers, tool.role)
    layer.visible = True
    viewer.layers.selection.active = layer
    layer.mode = tool.mode


def tool_in_hand(viewer: Any, layers: AnnotationLayers) -> Tool | None:
    """The tool that the viewer is set to; None if it is none of ours."""
    active = viewer.layers.selection.active
    for tool in TOOLS:
        if active == getattr(layers, tool.role) and str(active.mode) == tool.mode:
            return tool
    return None


def finish_drawing(shapes: Any) -> None:
    """Let napari end a polygon or line that is being drawn, for it would not bear the removal of shapes meanwhile."""
    mode = str(shapes.mode)
    if mode.startswith("add_"):
        shapes.mode = "pan_zoom"
        shapes.mode = mode
