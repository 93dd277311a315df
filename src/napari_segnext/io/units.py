"""Names of units in files → the names used here."""

from __future__ import annotations

_NAMES = {
    "nm": ("nm", "nanometer", "nanometers", "nanometre", "nanometres"),
    "um": ("um", "µm", "μm", "micron", "microns", "micrometer", "micrometers", "micrometre", "\\u00b5m"),
    "mm": ("mm", "millimeter", "millimeters", "millimetre", "millimetres"),
    "cm": ("cm", "centimeter", "centimeters", "centimetre"),
    "m": ("m", "meter", "meters", "metre"),
    "angstrom": ("å", "å", "angstrom", "angstroms", "ångström"),
    "s": ("s", "sec", "second", "seconds"),
    "ms": ("ms", "msec", "millisecond", "milliseconds"),
    "us": ("us", "µs", "usec", "microsecond", "microseconds"),
    "min": ("min", "minute", "minutes"),
    "h": ("h", "hour", "hours"),
}
_NAME_OF = {alias: name for name, aliases in _NAMES.items() for alias in aliases}

METRES_PER = {"angstrom": 1e-10, "nm": 1e-9, "um": 1e-6, "mm": 1e-3, "cm": 1e-2, "m": 1.0}
"""Length of each unit of length."""

LONG_NAMES = {
    "angstrom": "angstrom",
    "nm": "nanometer",
    "um": "micrometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "m": "meter",
    "us": "microsecond",
    "ms": "millisecond",
    "s": "second",
    "min": "minute",
    "h": "hour",
}
"""As OME-Zarr and napari spell them."""


def unit_named(text: object) -> str:
    """`"um"` for `"micron"`, `"µm"` and `"Micrometer"`; empty for pixels, inches and whatever else is unknown."""
    return _NAME_OF.get(str(text).strip().lower(), "") if text is not None else ""


def in_unit(sizes: tuple[float, ...], unit: str, wanted: str) -> tuple[float, ...]:
    """Lengths in another unit; as they are if one of both is unknown."""
    if unit == wanted or unit not in METRES_PER or wanted not in METRES_PER:
        return sizes
    factor = METRES_PER[unit] / METRES_PER[wanted]
    return tuple(size * factor for size in sizes)
