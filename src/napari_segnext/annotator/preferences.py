"""What the user chose on the plugin's page of napari's preferences. Read here, written by napari alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from napari_segnext._disk_cache import (
    DiskCacheSettings,
    disk_cache_settings,
    is_folder_set_by_environment,
    is_size_set_by_environment,
    use_disk_cache,
)
from napari_segnext.weights.folder import prefer_weights_folder
from napari_segnext.weights.registry import DEFAULT_MODEL

PLUGIN = "napari-segnext"

Overlap = Literal["keep", "overwrite", "ask"]


@dataclass(frozen=True)
class Preferences:
    """One reading of the preferences; the defaults are those of the manifest.

    Attributes
    ----------
    device
        `"auto"`, `"cpu"`, `"cuda"` or `"mps"`, as `load_model` takes it.
    default_model
        Name or path, as `load_model` takes it; nobody has checked that there is such a model.
    weights_folder
        Where downloaded and imported weights lie; None for the cache folder of the system.
    overlap
        What becomes of pixels of other objects under an accepted mask: they stay, they are taken, or the user is asked.
    is_autosave_on
        Whether the work is saved from time to time.
    autosave_folder
        Where to; None for a folder of the program's choice.
    autosave_interval_s
        Seconds from one time to the next, at least 5.
    cache_folder
        Where image embeddings are kept from one time to the next; None for the cache folder of the system.
    cache_gb
        Greatest size of that folder in GB; 0 keeps them in memory only.
    """

    device: str = "auto"
    default_model: str = DEFAULT_MODEL
    weights_folder: Path | None = None
    overlap: Overlap = "keep"
    is_autosave_on: bool = True
    autosave_folder: Path | None = None
    autosave_interval_s: int = 60
    cache_folder: Path | None = None
    cache_gb: int = 10


def read_preferences() -> Preferences:
    """What is set now; the defaults where napari (before 0.9) has no preferences of plugins."""
    settings = _plugin_settings()
    if settings is None:
        return Preferences()
    return Preferences(
        device=settings.models.device,
        default_model=settings.models.default_model.strip() or DEFAULT_MODEL,
        weights_folder=_folder(settings.models.weights_folder),
        overlap=settings.accepting.overlap,
        is_autosave_on=settings.autosave.is_on,
        autosave_folder=_folder(settings.autosave.folder),
        autosave_interval_s=settings.autosave.interval_s,
        cache_folder=_folder(settings.embeddings.folder),
        cache_gb=settings.embeddings.max_gb,
    )


def apply_preferences() -> Preferences:
    """Read what is set now; look for weights, and keep image embeddings, where it says from now on."""
    preferences = read_preferences()
    prefer_weights_folder(preferences.weights_folder)
    use_disk_cache(_disk_cache(preferences))
    return preferences


def preferences_or_defaults() -> Preferences:
    """As `apply_preferences`; the defaults where what is set cannot be read or used."""
    try:
        return apply_preferences()
    except (OSError, ValueError):
        return Preferences()


def _disk_cache(preferences: Preferences) -> DiskCacheSettings | None:
    """Where image embeddings are kept; variables of the environment go before preferences."""
    return disk_cache_settings(
        None if is_folder_set_by_environment() else preferences.cache_folder,
        None if is_size_set_by_environment() else preferences.cache_gb,
        on_problem=_show_warning,
    )


def _show_warning(sentence: str) -> None:
    from napari.utils.notifications import show_warning

    show_warning(sentence)


def _plugin_settings() -> Any:
    """Napari's settings of this plugin; None if napari has no such thing or does not know the plugin."""
    from napari import settings

    read = getattr(settings, "get_plugin_settings", None)
    if read is None:
        return None
    try:
        return read(PLUGIN)
    except KeyError:
        # it is disabled, or only the library is used
        return None


def _folder(text: str) -> Path | None:
    """The folder that was typed; None if nothing was."""
    return Path(text.strip()).expanduser() if text.strip() else None
