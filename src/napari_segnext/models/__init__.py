"""Networks: tensors in, tensors out."""

from napari_segnext.models.interface import ImageEmbedding, InteractiveModel, ModelIdentity

__all__ = ["ImageEmbedding", "InteractiveModel", "ModelIdentity"]
