from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_segnext.errors import CheckpointError, ConfigError
from napari_segnext.training import Trainer, read_training_config, read_training_runs
from napari_segnext.training.corrections import coarsened, n_corrections
from napari_segnext.training.prompt_simulation import PromptMix
from napari_segnext.training.samples import SampleDataset, collate
from napari_segnext.training.sources import find_sources
from napari_segnext.training.trainer import learning_rate
from napari_segnext.weights import load_model, read_weights_header
from tests.training.conftest import CONFIG

NO_PROMPTS = "[prompts]\nclick = 0\nbox = 0\npolygon = 0\nscribble = 0\nmask = 0\n"


def config_in(folder, **replaced):
    text = (folder / "config.toml").read_text()
    for old, new in replaced.values():
        assert old in text
        text = text.replace(old, new)
    (folder / "config.toml").write_text(text)
    return read_training_config(folder / "config.toml")


def weights_after(config):
    trainer = Trainer(config)
    steps = [progress.step for progress in trainer.run()]
    return steps, trainer


def test_run_goes_through_all_stages_and_exports_weights_with_their_history(run_folder):
    config = read_training_config(run_folder / "config.toml")
    steps, trainer = weights_after(config)
    assert steps == [1, 2, 3, 4, 5]
    header = read_weights_header(trainer.weights_path)
    assert "history" not in header.provenance
    assert header.provenance["training"]["seed"] == 3
    assert len(header.provenance["data_sha256"]) == 64
    assert header.provenance["git_revision"]
    model = load_model(trainer.weights_path, device="cpu")
    embedding = model.encode_image(torch.rand(3, 40, 50))
    assert model.predict_logits(embedding, torch.zeros(1, 0, 3), torch.zeros(1, 40, 50)).isfinite().all()


def test_log_has_a_row_for_each_step(run_folder):
    weights_after(read_training_config(run_folder / "config.toml"))
    rows = [json.loads(line) for line in (run_folder / "run/log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]
    assert all(np.isfinite(row["loss"]) and 0 <= row["iou"] <= 1 for row in rows)


@pytest.mark.parametrize("stop_at", [2, 3, 4])
def test_interrupted_run_ends_with_the_weights_of_an_uninterrupted_one(run_folder, stop_at):
    config = read_training_config(run_folder / "config.toml")
    interrupted = Trainer(config)
    for _ in interrupted.run(is_wanted=lambda: interrupted.step < stop_at):
        pass
    steps, resumed = weights_after(config)
    assert steps[0] == stop_at + 1

    (run_folder / "run").rename(run_folder / "first")
    _, whole = weights_after(config)
    for key, value in whole.averaged_model().state_dict().items():
        torch.testing.assert_close(resumed.averaged_model().state_dict()[key], value, atol=1e-5, rtol=1e-4)


def test_killed_process_leaves_a_checkpoint_that_loads(run_folder):
    often = ("save_every_n_steps = 2", "save_every_n_steps = 1")
    config_in(run_folder, steps=("n_steps = 3", "n_steps = 500"), save=often)
    code = f"""
from napari_segnext.training import Trainer, read_training_config, read_training_runs
for progress in Trainer(read_training_config({str(run_folder / "config.toml")!r})).run():
    pass
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    log = run_folder / "run/log.jsonl"
    deadline = time.monotonic() + 120
    try:
        while not (log.exists() and log.read_text().count("\n") >= 4):
            assert process.poll() is None
            assert time.monotonic() < deadline, "no 4 steps in 120 s"
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    assert Trainer(read_training_config(run_folder / "config.toml")).step >= 3


def test_sample_of_a_number_is_always_the_same(run_folder):
    config = read_training_config(run_folder / "config.toml")
    sources = find_sources(config.data)
    one, other = (SampleDataset(sources, config, config.stages[0], click_spacing_px=3) for _ in range(2))
    torch.testing.assert_close(one[7].image, other[7].image)
    torch.testing.assert_close(one[7].clicks, other[7].clicks)
    assert not torch.equal(one[7].image, one[8].image)


def test_samples_hold_objects_with_prompts(run_folder):
    config = read_training_config(run_folder / "config.toml")
    dataset = SampleDataset(find_sources(config.data), config, config.stages[0], click_spacing_px=3)
    batch = collate([dataset[number] for number in range(12)])
    assert batch.image.shape == (12, 3, 32, 32)
    assert batch.truths.shape == (24, 32, 32)
    assert batch.truths.flatten(1).any(dim=1).all()
    has_clicks = (batch.clicks[..., 2] != 0).any(dim=1)
    assert (has_clicks | batch.previous_masks.flatten(1).any(dim=1)).all()


def test_model_learns_to_follow_clicks(run_folder):
    config = config_in(
        run_folder,
        first=("n_steps = 3", "n_steps = 80"),
        size=("batch_size = 2\n\n[[stages]]", "batch_size = 6\n\n[[stages]]"),
        rate=("learning_rate = 0.003", "learning_rate = 0.01"),
    )
    progress = list(Trainer(config).run())
    assert progress[-1].iou > progress[4].iou + 0.1


def test_validation_reports_the_protocols_metrics(run_folder):
    (run_folder / "config.toml").write_text(
        (run_folder / "config.toml").read_text()
        + '\n[validation]\ndataset = "folder"\nroot = "images_and_labels"\n'
        + "every_n_steps = 0\nmax_objects = 2\nmax_clicks = 3\n"
    )
    *_, last = Trainer(read_training_config(run_folder / "config.toml")).run()
    assert 0 <= last.validation["mIoU@3"] <= 1


def test_learning_rate_warms_up_and_falls_to_nothing(run_folder):
    config = read_training_config(run_folder / "config.toml")
    rates = [learning_rate(config, step) for step in range(config.n_steps)]
    assert rates[0] < rates[1]
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert learning_rate(config, config.n_steps) == pytest.approx(0)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seed = 3", "seed = 3\ncolour = 1", "unknown entries \\['colour'\\]"),
        ("seed = 3", "seed = 'three'", "seed is 'three'; expected int"),
        ('kind = "hybrid"', 'kind = "resnet"', "not a SegNext configuration"),
        ("n_warmup_steps = 2", "schedule = 'zigzag'", "expected 'cosine' or 'step'"),
        ("crop_px = 32", "crop_px = 33", "multiple of 16"),
        ("seed = 3", "seed = ", "is not TOML"),
        ("[[stages]]\nn_steps = 3", "[[stages]]\nn_steps = 0", "n_steps of stage 1 is 0; expected at least 1"),
        ("n_steps = 2\ncrop_px = 48", "n_steps = 2\nn_objects = 0\ncrop_px = 48", "n_objects of stage 2 is 0"),
        ("crop_px = 32\nbatch_size = 2", "crop_px = 32\nbatch_size = -1", "batch_size of stage 1 is -1"),
        ("[optimiser]", "[data.domain_weights]\nem = -1.0\n[optimiser]", "em is -1.0; expected a number of at least 0"),
        ("[optimiser]", "[data.domain_weights]\nem = 'much'\n[optimiser]", "em is 'much'; expected a number"),
        ("[optimiser]", "[prompts]\nbox = -0.1\n[optimiser]", "box is -0.1; expected a number of at least 0"),
        ("[optimiser]", NO_PROMPTS + "[optimiser]", "all of click, box.* are 0; expected a sum above 0"),
    ],
    ids=[
        "unknown entry",
        "wrong kind",
        "unknown encoder",
        "unknown schedule",
        "odd crop",
        "broken file",
        "no steps",
        "no objects",
        "negative batch size",
        "negative weight",
        "weight in words",
        "negative chance",
        "no chance",
    ],
)
def test_mistakes_in_the_config_are_named(run_folder, old, new, words):
    with pytest.raises(ConfigError, match=words):
        Trainer(config_in(run_folder, change=(old, new)))


def test_checkpoint_of_another_model_is_refused_not_overwritten(run_folder):
    weights_after(read_training_config(run_folder / "config.toml"))
    before = (run_folder / "run/checkpoint.pt").read_bytes()
    with pytest.raises(ConfigError, match=r"model\.encoder\.width = 16 \(now 32\)"):
        Trainer(config_in(run_folder, width=("width = 16", "width = 32")))
    assert (run_folder / "run/checkpoint.pt").read_bytes() == before


def test_broken_checkpoint_is_refused_in_words(run_folder):
    (run_folder / "run").mkdir()
    (run_folder / "run/checkpoint.pt").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="Delete it to start anew"):
        Trainer(read_training_config(run_folder / "config.toml"))


def test_domains_that_are_all_left_out_are_refused(run_folder):
    config = read_training_config(run_folder / "config.toml")
    weights = {source.group: 0.0 for source in find_sources(config.data)}
    config = replace(config, data=replace(config.data, domain_weights={**weights, "elsewhere": 1.0}))
    with pytest.raises(ConfigError, match="are 0; expected a sum above 0"):
        Trainer(config)


def test_a_stage_that_leaves_all_domains_out_is_refused(run_folder):
    config = read_training_config(run_folder / "config.toml")
    (domain,) = {source.group for source in find_sources(config.data)}
    (run_folder / "config.toml").write_text(f"{CONFIG}domain_weights = {{ {domain} = 0.0 }}\n")
    with pytest.raises(ConfigError, match=r"domain_weights of stage 2: all of .* are 0"):
        Trainer(read_training_config(run_folder / "config.toml"))


@pytest.mark.parametrize("stages", ["stages = 3", "[stages]\nn_steps = 3"])
def test_stages_that_are_no_list_of_tables_are_refused(run_folder, stages):
    text, _ = CONFIG.split("[[stages]]", 1)
    top, tables = text.split("[model]", 1)
    whole = f"{top}[model]{tables}{stages}" if stages.startswith("[") else f"{top}{stages}\n[model]{tables}"
    (run_folder / "config.toml").write_text(whole)
    with pytest.raises(ConfigError, match="expected a list of tables"):
        read_training_config(run_folder / "config.toml")


def test_initial_weights_of_another_size_are_refused_in_words(run_folder):
    weights_after(read_training_config(run_folder / "config.toml"))
    config = config_in(
        run_folder,
        output=('output = "run"', 'output = "second"\ninitial_weights = "run/thimble.safetensors"'),
        width=("width = 16", "width = 32"),
    )
    with pytest.raises(ConfigError, match=r"of another size: \d+ tensors differ, such as .*; expected"):
        Trainer(config)


def second_run(folder, entries=""):
    """A run that begins with the weights of `config.toml`, and has a fine skip besides."""
    text = (folder / "config.toml").read_text()
    text = text.replace('output = "run"', f'output = "second"\ninitial_weights = "config.toml"\n{entries}')
    text = text.replace("n_heads = 2\n\n[model.fusion]", "n_heads = 2\nuses_fine_skip = true\n\n[model.fusion]")
    (folder / "second.toml").write_text(text)
    return read_training_runs(folder / "second.toml")


NEW_PARTS = 'new_parts = ["prompt_embedding.to_2", "decoder.fine"]'


def test_run_begins_with_the_weights_of_another_and_new_parts_at_random(run_folder):
    first, second = second_run(run_folder, NEW_PARTS)
    _, trainer = weights_after(first)
    begun = Trainer(second).model.state_dict()
    known = load_model(trainer.weights_path, device="cpu").state_dict()
    new = [key for key in begun if key not in known]
    assert new
    assert all(key.startswith(("prompt_embedding.to_2", "decoder.fine")) for key in new)
    assert all(torch.equal(begun[key], value) for key, value in known.items())


def test_weights_that_lack_a_part_are_refused_unless_it_is_called_new(run_folder):
    first, second = second_run(run_folder)
    weights_after(first)
    with pytest.raises(ConfigError, match="name new tensors in new_parts"):
        Trainer(second)


def test_trainer_wants_weights_not_the_run_that_makes_them(run_folder):
    second_run(run_folder)
    with pytest.raises(ConfigError, match="Use read_training_runs"):
        Trainer(read_training_config(run_folder / "second.toml"))


def test_runs_that_begin_with_each_other_are_refused(run_folder):
    second_run(run_folder)
    text = (run_folder / "config.toml").read_text()
    (run_folder / "config.toml").write_text(f'initial_weights = "second.toml"\n{text}')
    with pytest.raises(ConfigError, match="begins with weights of its own"):
        read_training_runs(run_folder / "second.toml")


def test_absent_run_to_begin_with_is_told(run_folder):
    second_run(run_folder)
    (run_folder / "config.toml").unlink()
    with pytest.raises(FileNotFoundError, match="Correct initial_weights"):
        read_training_runs(run_folder / "second.toml")


def test_provenance_holds_no_local_folders(run_folder):
    _, trainer = weights_after(read_training_config(run_folder / "config.toml"))
    provenance = read_weights_header(trainer.weights_path).provenance
    assert str(run_folder) not in json.dumps(provenance)
    assert provenance["training"]["output"] == "run"
    assert provenance["training"]["data"]["roots"] == ["images_and_labels"]


def test_training_in_bfloat16_stays_near_float32(run_folder):
    losses = {}
    for precision in ("fp32", "bf16"):
        config = replace(read_training_config(run_folder / "config.toml"), precision=precision)
        config = replace(config, output=str(run_folder / precision))
        losses[precision] = next(iter(Trainer(config).run())).loss
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.05)
    assert losses["bf16"] != losses["fp32"]


def test_an_unknown_precision_is_refused(run_folder):
    with pytest.raises(ConfigError, match="precision is 'half'; expected"):
        config_in(run_folder, precision=("seed = 3", 'seed = 3\nprecision = "half"'))


def test_coarsened_answers_keep_their_mean_and_lose_detail():
    probability = torch.rand(2, 60, 60, generator=torch.Generator().manual_seed(0))
    coarse = coarsened(probability, factor=5)
    assert coarse.shape == probability.shape
    torch.testing.assert_close(coarse.mean(), probability.mean(), atol=0.01, rtol=0)
    assert coarse.std() < 0.5 * probability.std()
    torch.testing.assert_close(coarsened(probability, factor=1), probability)


def test_the_first_answer_is_learned_from_as_often_as_asked():
    mix = PromptMix(first_answer=0.4, max_corrections=3)
    numbers = [n_corrections(np.random.default_rng(seed), mix) for seed in range(500)]
    assert set(numbers) == {0, 1, 2, 3}
    assert np.mean(np.array(numbers) == 0) == pytest.approx(0.4, abs=0.07)
    assert {n_corrections(np.random.default_rng(seed), PromptMix(max_corrections=0)) for seed in range(20)} == {0}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("[prompts]\nsingle_click = 1.5\n", "single_click is 1.5; expected 0 to 1"),
        ("[prompts]\nmax_corrections = -1\n", "max_corrections is -1; expected 0 or more"),
    ],
    ids=["chance above 1", "negative number"],
)
def test_prompts_out_of_range_are_refused_before_anything_is_trained(run_folder, entry, words):
    (run_folder / "config.toml").write_text(CONFIG + entry)
    with pytest.raises(ConfigError, match=words):
        Trainer(read_training_config(run_folder / "config.toml"))


@pytest.mark.parametrize("values", [{"n_procedural": -1}, {"n_procedural": 3, "procedural_px": 32}])
def test_procedural_images_that_cannot_be_drawn_are_refused_with_the_entrys_name(run_folder, values):
    config = read_training_config(run_folder / "config.toml")
    with pytest.raises(ConfigError, match=r"\[data\]: n_procedural is"):
        Trainer(replace(config, data=replace(config.data, **values)))


def test_coarsened_answers_stay_in_place():
    probability = torch.zeros(1, 128, 128)
    probability[:, :, 100:] = 1
    for factor in (3, 5):
        coarse = coarsened(probability, factor=factor)
        edge = int((coarse[0, 60] > 0.5).nonzero()[0])
        assert abs(edge - 100) <= factor / 2
