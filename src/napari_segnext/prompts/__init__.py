"""What the user said about one object on one slice: clicks, boxes, polygons, scribbles and masks (numpy only)."""

from napari_segnext.prompts.prompt import Box, Click, MaskPrompt, Polygon, Prompt, Scribble
from napari_segnext.prompts.prompts import Prompts, clicks_from_prompt

__all__ = ["Box", "Click", "MaskPrompt", "Polygon", "Prompt", "Prompts", "Scribble", "clicks_from_prompt"]
