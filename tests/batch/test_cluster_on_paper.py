"""The model on paper of `benchmarks/cluster_on_paper.py`: its limits, in cases that can be reckoned by head."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "cluster_on_paper.py"


@pytest.fixture(scope="module")
def on_paper() -> Any:
    specification = importlib.util.spec_from_file_location("cluster_on_paper", SCRIPT)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def case(on_paper: Any) -> Any:
    """100 workers that encode 10 slices a second each; nothing else costs much."""
    return on_paper.OnPaper(
        n_workers=100,
        n_volumes=1000,
        slices_per_volume=160,
        chunk_slices=8,
        encode_s=0.1,
        scheduler_s=1e-6,
        file_system_bytes_per_s=1e15,
        embedding_bytes=3e6,
    )


def test_workers_are_the_limit_where_all_else_is_cheap(on_paper: Any, case: Any) -> None:
    predicted = on_paper.predict_throughput(case)
    assert predicted.limited_by == "encoding"
    assert predicted.limits["workers"] == pytest.approx(1000)
    # 160 s of work and the last chunk, 0.8 s
    assert predicted.seconds == pytest.approx(160.8)
    assert predicted.efficiency == pytest.approx(160 / 160.8)


def test_scheduler_is_the_limit_where_tasks_are_small(on_paper: Any, case: Any) -> None:
    slow = replace(case, scheduler_s=0.02)
    predicted = on_paper.predict_throughput(slow)
    # 21 tasks for 160 slices
    assert predicted.limited_by == "scheduler" and predicted.limits["scheduler"] == pytest.approx(160 / 21 / 0.02)
    assert on_paper.predict_throughput(replace(slow, chunk_slices=160)).limited_by == "encoding"


def test_file_system_is_the_limit_where_it_is_slow(on_paper: Any, case: Any) -> None:
    predicted = on_paper.predict_throughput(replace(case, file_system_bytes_per_s=4e8, slice_bytes=1e6))
    assert predicted.limited_by == "file system" and predicted.limits["file system"] == pytest.approx(100)


def test_listing_a_large_cache_folder_costs_more_the_more_there_is(on_paper: Any, case: Any) -> None:
    listed = replace(case, list_s=1e-4)
    predicted = on_paper.predict_throughput(listed)
    assert predicted.limited_by == "listing the cache folder"
    assert on_paper.predict_throughput(replace(listed, n_volumes=10)).limits["workers"] > predicted.limits["workers"]


def test_filling_reads_what_encoding_has_written(on_paper: Any, case: Any) -> None:
    predicted = on_paper.predict_throughput(replace(case, fill_s=0.3))
    assert predicted.limited_by == "filling" and predicted.limits["workers"] == pytest.approx(250)
    assert predicted.limits["file system"] == pytest.approx(1e15 / 6e6)


def test_few_volumes_wait_for_the_start(on_paper: Any, case: Any) -> None:
    predicted = on_paper.predict_throughput(replace(case, n_volumes=1, start_s=60.0))
    # 21 tasks for 100 workers
    assert predicted.limits["workers"] == pytest.approx(210)
    assert predicted.limited_by == "start-up and tail"
