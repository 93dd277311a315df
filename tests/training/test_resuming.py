from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest
import torch

from napari_segnext.errors import ConfigError
from napari_segnext.training import Trainer, read_training_config
from napari_segnext.training.prompt_simulation import PromptMix
from napari_segnext.weights import read_weights_header


@pytest.fixture
def config(run_folder):
    return read_training_config(run_folder / "config.toml")


def with_lengths(config, *lengths):
    stages = [replace(stage, n_steps=n_steps) for stage, n_steps in zip(config.stages, lengths, strict=True)]
    return replace(config, stages=tuple(stages))


def stopped_after(config, step):
    trainer = Trainer(config)
    for _ in trainer.run(is_wanted=lambda: trainer.step < step):
        pass
    return trainer


def lengths_of(entry):
    return [stage["n_steps"] for stage in entry["stages"]]


@pytest.mark.parametrize(
    ("words", "change"),
    [
        (r"seed = 3 \(now 4\)", lambda config: {"seed": 4}),
        (r"optimiser.ema_decay = 0.999 \(now 0.5\)", lambda c: {"optimiser": replace(c.optimiser, ema_decay=0.5)}),
        (r"loss.gamma = 2.0 \(now 1.0\)", lambda config: {"loss": replace(config.loss, gamma=1.0)}),
        (r"prompts.box = 0.12 \(now 0.2\)", lambda config: {"prompts": PromptMix(box=0.2)}),
        (
            r"data.domain_weights.em = 'nothing' \(now 2.0\)",
            lambda config: {"data": replace(config.data, domain_weights={"em": 2.0})},
        ),
        (r"stages = .*crop_px.*now", lambda c: {"stages": (c.stages[0], replace(c.stages[1], crop_px=64))}),
        ("stages = ", lambda config: {"stages": config.stages[:1]}),
        ("stages = ", lambda config: {"stages": with_lengths(config, 4, 2).stages}),
    ],
    ids=["seed", "optimiser", "loss", "prompts", "data", "crop", "fewer stages", "finished stage"],
)
def test_checkpoint_of_another_run_is_refused_with_the_differing_entries(config, words, change):
    stopped_after(config, 4)
    with pytest.raises(ConfigError, match=rf"was made with {words}.*choose a new output folder"):
        Trainer(replace(config, **change(config)))


def test_checkpoint_of_a_version_that_knew_fewer_entries_goes_on_where_these_are_empty(config):
    path = stopped_after(config, 2).checkpoint_path
    state = torch.load(path, weights_only=True)
    stored = json.loads(state["config"])
    del stored["data"]["series_weights"], stored["new_parts"], stored["model"]["encoder"]["uses_fine_skip"]
    for stage in stored["stages"]:
        del stage["domain_weights"]
    torch.save({**state, "config": json.dumps(stored)}, path)
    assert Trainer(config).step == 2
    weighted = replace(config, data=replace(config.data, series_weights={"a": 2.0}))
    with pytest.raises(ConfigError, match="series_weights"):
        Trainer(weighted)
    stages = (config.stages[0], replace(config.stages[1], domain_weights={"a": 2.0}))
    with pytest.raises(ConfigError, match="stages"):
        Trainer(replace(config, stages=stages))


def test_what_does_not_change_the_weights_may_differ(run_folder, config):
    stopped_after(config, 2)
    (run_folder / "moved").mkdir()
    (run_folder / "images_and_labels").rename(run_folder / "moved/images_and_labels")
    data = replace(config.data, roots=(str(run_folder / "moved/images_and_labels"),))
    again = replace(config, data=data, card="text", licence="MIT", save_every_n_steps=1)
    assert Trainer(again).step == 2


@pytest.mark.parametrize(("step", "lengths"), [(2, (2, 1)), (2, (9, 9)), (3, (4, 2)), (4, (3, 1)), (5, (3, 4))])
def test_stages_to_come_may_have_other_lengths_and_the_weights_say_so(config, step, lengths, caplog):
    stopped_after(config, step)
    with caplog.at_level(logging.WARNING):
        trainer = Trainer(with_lengths(config, *lengths))
    assert f"were [3, 2]; from step {step} on they are {list(lengths)}" in caplog.text
    assert [progress.step for progress in trainer.run()] == list(range(step + 1, sum(lengths) + 1))
    history = read_weights_header(trainer.weights_path).provenance["history"]
    assert [(entry["step"], lengths_of(entry)) for entry in history] == [(0, [3, 2]), (step, list(lengths))]


@pytest.mark.parametrize(("step", "lengths"), [(2, (1, 2)), (5, (3, 1))])
def test_stage_does_not_get_shorter_than_what_is_done_of_it(config, step, lengths):
    stopped_after(config, step)
    with pytest.raises(ConfigError, match=f"of the last one begun at step {step}"):
        Trainer(with_lengths(config, *lengths))


def test_history_outlives_a_second_interruption(config, caplog):
    stopped_after(config, 2)
    longer = with_lengths(config, 3, 4)
    stopped_after(longer, 4)
    caplog.clear()
    trainer = Trainer(longer)
    assert not caplog.records
    assert len(read_weights_header(trainer.export()).provenance["history"]) == 2


def test_checkpoint_of_an_unchanged_run_has_the_keys_of_old(config):
    trainer = stopped_after(config, 2)
    state = torch.load(trainer.checkpoint_path, weights_only=True)
    assert set(state) == {"step", "iou", "config", "model", "average", "optimiser"}


def test_unfinished_checkpoints_of_killed_processes_are_deleted(run_folder, config):
    stopped_after(config, 2)
    (run_folder / "run/.checkpoint.pt.123.part").write_bytes(b"half")
    Trainer(config)
    assert not list((run_folder / "run").glob(".*.part"))


def test_log_is_cut_to_the_checkpoint_so_that_each_step_has_one_row(run_folder, config):
    stopped_after(config, 2)
    log = run_folder / "run/log.jsonl"
    with log.open("a") as file:
        file.write(json.dumps({"step": 3, "loss": 1.0}) + "\n" + '{"step": 4, "lo')
    list(Trainer(config).run())
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [1, 2, 3, 4, 5]


def test_refused_run_keeps_its_log(run_folder, config):
    stopped_after(config, 2)
    log = run_folder / "run/log.jsonl"
    log.write_text(log.read_text() + '{"step": 3}\n')
    before = log.read_bytes()
    with pytest.raises(ConfigError):
        Trainer(replace(config, seed=4))
    assert log.read_bytes() == before
