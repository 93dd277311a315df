"""What the README shows works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from napari_segnext.commands import app
from napari_segnext.training import read_training_config, read_training_runs

TOP = Path(__file__).parents[1]
README = TOP / "README.md"


def blocks(path, language):
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(encoding="utf8"), re.DOTALL)


def test_python_example_runs_and_finds_an_object():
    (code,) = blocks(README, "python")
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["prediction"].mask.shape == names["image"].shape == (660, 550)
    assert names["prediction"].mask.any()
    assert len(names["session"].prompts) == 1


@pytest.mark.parametrize("path", [README, TOP / "docs/how_to/command_line.md"], ids=lambda path: path.name)
def test_commands_and_options_that_are_shown_exist(path):
    lines = re.findall(r"napari-segnext ([a-z]+(?: [a-z]+)?)([^`\n#]*)", path.read_text(encoding="utf8"))
    assert lines
    for words, rest in lines:
        command = words.split() if words.startswith("models") else words.split()[:1]
        if command == ["models"]:
            continue
        answer = CliRunner().invoke(app, [*command, "--help"])
        assert answer.exit_code == 0, f"there is no command {command}"
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in answer.output or option == "--help", f"{command} has no option {option}"


def test_training_example_is_a_valid_configuration(tmp_path):
    (text,) = blocks(TOP / "docs/how_to/train.md", "toml")
    (tmp_path / "config.toml").write_text(text, encoding="utf8")
    config = read_training_config(tmp_path / "config.toml")
    assert config.name == "my-cells"
    assert config.n_steps == 1600


@pytest.mark.parametrize("name", ["segnext-tiny", "segnext-tiny-light", "ois-tiny"])
def test_configuration_of_a_bundled_model_is_valid_and_brings_its_card(name):
    config = read_training_config(TOP / f"training_configs/{name}.toml")
    assert config.name == name
    assert "Training images and attribution" in config.card


def test_the_second_round_goes_on_from_the_bundled_model():
    first, second = read_training_runs(TOP / "training_configs/segnext-tiny-second-round.toml")
    assert first == read_training_config(TOP / "training_configs/segnext-tiny.toml")
    assert second.initial_weights == str(first.weights_path)
    assert second.n_steps == 3200


def test_pictures_and_pages_that_are_linked_are_there():
    for page in [README, TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(((?!http)[^)#]+)\)", page.read_text(encoding="utf8")):
            assert (page.parent / target).exists(), f"{page.name} links {target}"
