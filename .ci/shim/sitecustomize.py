"""Lets the CUDA build of torchvision be imported beside the CPU build of torch.

CI machines have a CPU-only torch, and their registry offers torchvision as a CUDA build only: its compiled operators
do not load there, and `import torchvision` (hence `import timm`) fails because their schemas are missing. This file,
put on `PYTHONPATH` by `.ci/run`, declares the two schemas just before torchvision is first imported. Users never need
it: for them pip installs a matching pair.
"""

import importlib.abc
import importlib.machinery
import sys

_KEEP_ALIVE = []


class _DeclareOperators(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path=None, target=None):
        if fullname == "torchvision" and not _KEEP_ALIVE:
            import torch

            library = torch.library.Library("torchvision", "FRAGMENT")
            for name in ("nms", "qnms"):
                library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            _KEEP_ALIVE.append(library)
        return None


sys.meta_path.insert(0, _DeclareOperators())
