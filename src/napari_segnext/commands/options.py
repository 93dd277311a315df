"""Options that several commands share."""

from typing import Annotated

import typer

Device = Annotated[
    str, typer.Option("--device", "-d", help="auto (CUDA, else MPS, else the CPU), cpu, cuda, cuda:1, … or mps.")
]
