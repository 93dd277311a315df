from __future__ import annotations

import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import typer

from napari_segnext.commands.exits import Interrupted, exit_status, is_of_the_user
from napari_segnext.io import require_label_suffix

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "napari_segnext", *arguments], capture_output=True, text=True, check=False, **options
    )


def lines_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


class TestAsAProcess:
    def test_help_names_every_command(self) -> None:
        done = process("--help")
        assert done.returncode == 0
        for command in ("demo", "predict", "evaluate", "train", "models"):
            assert f"  {command} " in done.stdout

    def test_version_is_told(self) -> None:
        done = process("--version")
        assert (done.returncode, done.stdout.split()[0]) == (0, "napari-segnext")

    def test_wrong_input_is_one_line_on_stderr_and_status_2(self) -> None:
        done = process("models", "info", "resnet")
        assert done.returncode == 2
        assert done.stdout == ""
        assert len(lines_of(done.stderr)) == 1
        assert done.stderr.startswith("error: there is no model 'resnet'; expected one of segnext-tiny")

    def test_output_that_nobody_reads_is_no_fault(self) -> None:
        command = f"{sys.executable} -m napari_segnext models list | true"
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize("module", ["napari_segnext", "napari_segnext.commands", "napari_segnext.weights"])
    def test_start_loads_neither_torch_nor_napari(self, module: str) -> None:
        code = f"import {module}, sys; sys.exit(bool({{'torch', 'napari', 'qtpy', 'skimage'}} & set(sys.modules)))"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

    @pytest.mark.parametrize("arguments", [["--help"], ["models", "list"], ["predict", "--help"]], ids=" ".join)
    def test_light_commands_load_no_torch(self, arguments: list[str]) -> None:
        code = (
            "import sys\nfrom napari_segnext.commands import app\n"
            f"try:\n    app({arguments!r})\nexcept SystemExit as end:\n    status = end.code\n"
            "sys.exit(status or 10 * ('torch' in sys.modules))"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["segment"], "No such command 'segment'"),
            (["predict"], "Missing"),
            (["predict", "a.png", "-p", "b.json"], "Missing option '--output'"),
            (["evaluate", "--max-clicks", "0", "--dataset", "folder", "--root", "."], "max-clicks"),
            (["models", "--wrong"], "No such option"),
        ],
    )
    def test_wrong_usage_is_one_line_with_the_help_to_read(
        self, arguments: list[str], words: str, cli: Callable[..., Result]
    ) -> None:
        done = cli(*arguments)
        assert done.exit_code == 2
        assert len(lines_of(done.output)) == 1
        assert words in done.output
        assert "--help'." in done.output

    @pytest.mark.parametrize("arguments", [[], ["models"]], ids=["no command", "no command of models"])
    def test_nothing_at_all_shows_the_help(self, arguments: list[str], cli: Callable[..., Result]) -> None:
        done = cli(*arguments)
        assert done.exit_code in (0, 2)
        assert "Usage:" in done.output
        assert len(lines_of(done.output)) > 5

    @pytest.mark.parametrize(
        "arguments", [["-v", "models", "info", "x"], ["models", "info", "x", "-v"]], ids=["in front", "behind"]
    )
    def test_verbose_may_stand_anywhere_and_shows_the_traceback(
        self, arguments: list[str], cli: Callable[..., Result]
    ) -> None:
        done = cli(*arguments)
        assert done.exit_code == 2
        assert "Traceback" in done.output
        assert lines_of(done.output)[-1].startswith("error: there is no model 'x'")


class TestExitStatus:
    @staticmethod
    def raising(error: BaseException) -> Callable[[], None]:
        def command() -> None:
            raise error

        return command

    @pytest.mark.parametrize(
        ("error", "status", "words"),
        [
            (FileNotFoundError("there is no x."), 2, "error: there is no x."),
            (MemoryError("too much"), 2, "error: too much"),
            (Interrupted("Kept."), 130, "interrupted. Kept."),
            (typer.Abort(), 130, "interrupted."),
            (RuntimeError("odd\nvery odd"), 1, "fault of napari-segnext: RuntimeError: odd very odd"),
            (TypeError("odd"), 1, "-v"),
            (AssertionError(), 1, "AssertionError"),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
    )
    def test_of_each_kind_of_failure(
        self, error: BaseException, status: int, words: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert exit_status(self.raising(error), is_verbose=False) == status
        said = capsys.readouterr().err
        assert words in said
        assert len(lines_of(said)) == 1

    def test_value_error_of_ours_is_wrong_input(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert exit_status(lambda: require_label_suffix("a.jpg"), is_verbose=False) == 2
        assert capsys.readouterr().err.startswith("error: 'a.jpg' ends in '.jpg'; expected")

    def test_value_error_out_of_another_package_is_our_fault(self) -> None:
        try:
            int("x")
        except ValueError as error:
            assert not is_of_the_user(error)

    def test_success_is_0(self) -> None:
        assert exit_status(lambda: None, is_verbose=False) == 0
        assert exit_status(lambda: True, is_verbose=False) == 0


def test_logging_is_quiet_without_verbose(cli: Callable[..., Result]) -> None:
    assert cli("models", "list").exit_code == 0
    assert logging.getLogger("napari_segnext").getEffectiveLevel() >= logging.INFO
