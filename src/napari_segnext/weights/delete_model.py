"""Taking a model off this machine."""

from __future__ import annotations

from napari_segnext.weights.download import discard_download
from napari_segnext.weights.load import model_info


def delete_model(name: str) -> None:
    """Delete the weights file of a downloaded or imported model, and what an unfinished download of it left.

    A released model can be downloaded again; one that was imported is gone.

    Parameters
    ----------
    name
        A name that `list_models` gives.

    Raises
    ------
    ValueError
        If there is no model of that name, or it comes with the package.
    OSError
        If the file cannot be deleted.
    """
    info = model_info(name)
    if info.state == "bundled":
        raise ValueError(
            f"'{name}' comes with the package and cannot be deleted; expected a model that was downloaded or imported."
        )
    info.path.unlink(missing_ok=True)
    discard_download(name)
