"""Files ↔ arrays."""

from napari_segnext.io.images import IMAGE_SUFFIXES, LABEL_SUFFIXES, read_image, require_label_suffix, write_labels

__all__ = ["IMAGE_SUFFIXES", "LABEL_SUFFIXES", "read_image", "require_label_suffix", "write_labels"]
