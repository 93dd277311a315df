"""Kill −9 a process that writes into the cache of embeddings, again and again; nothing that is served may be wrong.

    python benchmarks/cache_kill.py [--kills 50] [--max-mb 40] [--writers 2]

Each round starts writers on one folder, kills them all at a random moment, and then reads every key: an entry is
absent, or equal to the computed one, bit for bit. At the end the folder is within its bound and writable.
"""

from __future__ import annotations

import argparse
import itertools
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from napari_segnext.models.interface import ImageEmbedding
from napari_segnext.session import EmbeddingStore, embedding_store

N_KEYS = 6


def embedding_of(number: int) -> ImageEmbedding:
    """Two levels of random numbers, 9 MB as float16, the same for the same number."""
    generator = torch.Generator().manual_seed(number)
    levels = (torch.randn(1, 64, 192, 192, generator=generator), torch.randn(2, 256, 64, 64, generator=generator))
    return ImageEmbedding(tuple(level.half().float() for level in levels), (90 + number, 80))


def write_for_ever(folder: Path, max_bytes: int) -> None:
    """Write, with evictions, until killed; says when it begins.

    Entries are packed beforehand, so that nearly all the time goes into writing files, where a kill does harm.
    """
    embeddings = {f"key {number}": embedding_of(number) for number in range(N_KEYS)}
    packed = {key: embedding_store.pack_embedding(key, embedding) for key, embedding in embeddings.items()}
    embedding_store.pack_embedding = lambda key, embedding: packed[key]
    store = EmbeddingStore(folder, max_bytes=max_bytes)
    print("ready", flush=True)
    for key in itertools.cycle(embeddings):
        store.write(key, embeddings[key])


def n_wrong(folder: Path, max_bytes: int) -> tuple[int, int]:
    """(entries that were served, those of them that differ from the computed ones)."""
    store = EmbeddingStore(folder, max_bytes=max_bytes)
    found = {number: store.read(f"key {number}") for number in range(N_KEYS)}
    served = {number: one for number, one in found.items() if one is not None}
    wrong = [number for number, one in served.items() if not is_equal(one, embedding_of(number))]
    return len(served), len(wrong)


def is_equal(one: ImageEmbedding, other: ImageEmbedding) -> bool:
    return (
        one.image_shape == other.image_shape
        and len(one.levels) == len(other.levels)
        and all(a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(one.levels, other.levels, strict=True))
    )


def kill_in_a_loop(folder: Path, *, n_kills: int, max_bytes: int, n_writers: int = 2, seed: int = 0) -> dict[str, int]:
    """Counts over all rounds."""
    wait = random.Random(seed)
    counts = {"kills": 0, "served": 0, "wrong": 0, "unfinished files left behind": 0}
    code = [sys.executable, __file__, "--write", str(folder), "--max-bytes", str(max_bytes)]
    while counts["kills"] < n_kills:
        writers = [subprocess.Popen(code, stdout=subprocess.PIPE) for _ in range(n_writers)]
        for writer in writers:
            writer.stdout.readline()
        time.sleep(wait.uniform(0.01, 0.3))
        for writer in writers:
            writer.kill()
            counts["kills"] += 1
        for writer in writers:
            writer.communicate()
        served, wrong = n_wrong(folder, max_bytes)
        counts["served"] += served
        counts["wrong"] += wrong
        counts["unfinished files left behind"] = len([*folder.glob(".*.part")])
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--max-mb", type=float, default=40)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--max-bytes", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        write_for_ever(arguments.write, arguments.max_bytes)
    with tempfile.TemporaryDirectory() as name:
        folder, max_bytes = Path(name) / "cache", int(arguments.max_mb * 1e6)
        counts = kill_in_a_loop(folder, n_kills=arguments.kills, max_bytes=max_bytes, n_writers=arguments.writers)
        store = EmbeddingStore(folder, max_bytes=max_bytes)
        is_writable = store.write("one more", embedding_of(99)) and store.read("one more") is not None
        for what, count in counts.items():
            print(f"{what}: {count}")
        print(f"size: {store.n_bytes / 1e6:.2f} MB of {arguments.max_mb:g}; writable: {is_writable}")
        sys.exit(bool(counts["wrong"]) or not is_writable)


if __name__ == "__main__":
    main()
