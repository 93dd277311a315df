from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    Cli = Callable[..., Result]

CONFIG = """
name = "mine"
output = "run"
n_workers = 0
licence = "BSD-3-Clause"

[data]
roots = ["data"]

[model]
input_shape = [32, 32]
[model.encoder]
kind = "hybrid"
stage_widths = [4, 6, 8]
blocks_per_stage = [1, 1]
width = 16
depth = 1
n_heads = 2
[model.fusion]
depth = 1
n_heads = 2

[[stages]]
n_steps = 3
crop_px = 32
batch_size = 2
"""


@pytest.fixture
def config(folder_dataset: Path, tmp_path: Path) -> Path:
    (tmp_path / "run.toml").write_text(CONFIG)
    return tmp_path / "run.toml"


def test_training_writes_weights_that_can_be_used(cli: Cli, config: Path, tmp_path: Path) -> None:
    done = cli("train", config, "--device", "cpu")
    assert done.exit_code == 0, done.output
    weights = tmp_path / "run" / "mine.safetensors"
    assert f"wrote {weights}" in done.stdout
    assert cli("models", "import", weights).exit_code == 0


def test_existing_run_needs_resume_and_resume_needs_a_run(cli: Cli, config: Path) -> None:
    assert "Leave --resume out" in cli("train", config, "--resume").stderr
    assert cli("train", config, "-d", "cpu").exit_code == 0
    done = cli("train", config)
    assert done.exit_code == 2
    assert "Add --resume to go on" in done.stderr
    assert cli("train", config, "--resume", "-d", "cpu").exit_code == 0


def test_ctrl_c_saves_the_step_and_tells_how_to_go_on(cli: Cli, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import signal

    from napari_segnext.training import Trainer

    run = Trainer.run

    def interrupted_after_a_step(trainer: Trainer, **options: Any) -> Any:
        for state in run(trainer, **options):
            os.kill(os.getpid(), signal.SIGINT)
            yield state

    monkeypatch.setattr(Trainer, "run", interrupted_after_a_step)
    before = signal.getsignal(signal.SIGINT)
    done = cli("train", config, "-d", "cpu")
    assert done.exit_code == 130, done.output
    assert "Step 1 of 3 was saved" in done.stderr and f"train {config} --resume" in done.stderr
    assert signal.getsignal(signal.SIGINT) is before
    monkeypatch.undo()
    assert cli("train", config, "--resume", "-d", "cpu").exit_code == 0


def test_second_ctrl_c_ends_at_once(cli: Cli, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["napari_segnext.commands.train"], "_ran_to_the_end", killed)
    done = cli("train", config, "-d", "cpu")
    assert done.exit_code == 130
    assert "What was saved last" in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [("not = = toml", "is not TOML"), ("name = 'x'", ""), (CONFIG + "colour = 3", "unknown entries ['colour']")],
    ids=["no TOML", "no model", "unknown entry"],
)
def test_wrong_config_is_one_line(text: str, words: str, cli: Cli, config: Path) -> None:
    config.write_text(text)
    done = cli("train", config, "-d", "cpu")
    assert done.exit_code == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_run_before_is_trained_first_and_only_once(cli: Cli, config: Path, tmp_path: Path) -> None:
    second = CONFIG.replace('output = "run"', 'output = "second"\ninitial_weights = "run.toml"')
    (tmp_path / "second.toml").write_text(second.replace('"mine"', '"theirs"'))
    done = cli("train", tmp_path / "second.toml", "-d", "cpu")
    assert done.exit_code == 0, done.output
    first = tmp_path / "run" / "mine.safetensors"
    assert f"wrote {tmp_path / 'second' / 'theirs.safetensors'}" in done.stdout
    written = first.stat().st_mtime_ns
    assert cli("train", tmp_path / "second.toml", "-d", "cpu", "--resume").exit_code == 0
    assert first.stat().st_mtime_ns == written


def test_absent_config_is_told(cli: Cli) -> None:
    done = cli("train", "absent.toml")
    assert done.exit_code == 2
    assert "there is no training file 'absent.toml'" in done.stderr


def test_entries_can_be_set_on_the_command_line(cli: Cli, config: Path, tmp_path: Path) -> None:
    changes = ["--set", "output=other", "--set", "name=theirs", "--set", "model.encoder.uses_skips=false"]
    assert cli("train", config, *changes).exit_code == 0
    from napari_segnext.weights.safetensors_file import read_weights_header

    header = read_weights_header(tmp_path / "other" / "theirs.safetensors")
    assert header.config.encoder.uses_skips is False  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("seed", "expected ENTRY=VALUE"),
        ("=3", "expected ENTRY=VALUE"),
        ("name.first=3", "name, which is no table"),
        ("stages.n_steps=3", "stages=[{n_steps"),
        ("seed=x", "seed is 'x'; expected int"),
        ("sead=3", "unknown entries ['sead']"),
    ],
)
def test_wrong_changes_are_refused(cli: Cli, config: Path, change: str, message: str) -> None:
    refused = cli("train", config, "--set", change)
    assert refused.exit_code == 2
    assert message in refused.stderr
