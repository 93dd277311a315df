"""What the user said about one object on one slice: clicks, boxes, polygons, scribbles and masks (numpy only)."""

from napari_segnext.prompts.prompt import Box, Click, MaskPrompt, Polygon, Prompt, Scribble
from napari_segnext.prompts.prompts import Prompts, clicks_from_prompt
from napari_segnext.prompts.prompts_file import (
    AnnotatedObject,
    ChannelReference,
    DraftPrompts,
    ImageReference,
    ModelReference,
    PromptsFile,
    PropagatedSlice,
    SlicePrompts,
    read_prompts_file,
    write_prompts_file,
)

__all__ = [
    "AnnotatedObject",
    "Box",
    "ChannelReference",
    "Click",
    "DraftPrompts",
    "ImageReference",
    "MaskPrompt",
    "ModelReference",
    "Polygon",
    "Prompt",
    "Prompts",
    "PromptsFile",
    "PropagatedSlice",
    "Scribble",
    "SlicePrompts",
    "clicks_from_prompt",
    "read_prompts_file",
    "write_prompts_file",
]
