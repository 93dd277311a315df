"""What an evaluation of volumes found: mean Dice of each rule on each group, clicks, leaks, worth of confidence."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from napari_segnext.evaluation.metrics import bootstrap_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_segnext.evaluation.volumes.protocol import FillResult

LEAK_SLICES = 2
"""An object that goes on for more slices beyond its true end has leaked."""

GOOD_DICE = 0.8
"""Slices below it are errors, which a low confidence should find."""


@dataclass(frozen=True, slots=True)
class VolumeReport:
    """All results.

    Attributes
    ----------
    model
        Name of the model.
    results
        Of all objects and rules.
    takes_true_masks
        Whether true masks were annotated, instead of what clicks give.
    """

    model: str
    results: tuple[FillResult, ...]
    takes_true_masks: bool = False

    @property
    def groups(self) -> tuple[str, ...]:
        """In the order in which they come."""
        return tuple(dict.fromkeys(result.group for result in self.results))

    def to_markdown(self) -> str:
        """Tables: one of each number of annotated slices."""
        kind = "true masks" if self.takes_true_masks else "clicks"
        tables = []
        for n_slices in dict.fromkeys(result.n_slices for result in self.results if result.n_slices):
            plural = "" if n_slices == 1 else "s"
            tables.append(
                f"Mean Dice (%) with {kind} on {n_slices} slice{plural}, {self.model}\n\n{self._table(n_slices)}"
            )
        return "\n".join(tables)

    def to_json(self) -> str:
        """All numbers, and each object."""
        rows = [asdict(result) for result in self.results]
        return json.dumps(
            {"model": self.model, "true_masks": self.takes_true_masks, "summary": self.summary(), "objects": rows},
            indent=1,
        )

    def summary(self) -> list[dict[str, Any]]:
        """One entry of each group, rule and number of annotated slices."""
        entries = []
        for group in self.groups:
            for n_slices, rule in dict.fromkeys((one.n_slices, one.rule) for one in self.results):
                found = self._of(group, n_slices, rule)
                if found:
                    entries.append({"group": group, "n_slices": n_slices, "rule": rule, **_numbers(found)})
        return entries

    def _of(self, group: str, n_slices: int, rule: str) -> list[FillResult]:
        return [one for one in self.results if (one.group, one.n_slices, one.rule) == (group, n_slices, rule)]

    def _table(self, n_slices: int) -> str:
        """Rules × groups; the best rule of each group but clicking by hand is bold."""
        rules = list(dict.fromkeys(one.rule for one in self.results if one.n_slices == n_slices))
        by_hand = list(dict.fromkeys(one.rule for one in self.results if one.n_slices == 0))
        cells: dict[tuple[str, str], float] = {}
        for rule, number in [(rule, n_slices) for rule in rules] + [(rule, 0) for rule in by_hand]:
            for group in self.groups:
                found = self._of(group, number, rule)
                cells[rule, group] = 100 * _mean([one.dice for one in found]) if found else float("nan")
        lines = ["| rule | " + " | ".join(self.groups) + " |", "|---" * (len(self.groups) + 1) + "|"]
        best = {group: max((cells[rule, group] for rule in rules), default=0.0) for group in self.groups}
        for rule in [*rules, *by_hand]:
            row = []
            for group in self.groups:
                text = f"{cells[rule, group]:.1f}"
                row.append(f"**{text}**" if rule in rules and cells[rule, group] == best[group] else text)
            lines.append(f"| {rule} | " + " | ".join(row) + " |")
        numbers = [_numbers(self._of(group, n_slices, rules[0])) for group in self.groups]
        for title, key in (
            ("objects", "objects"),
            ("clicks per object", "clicks"),
            ("clicks per object by hand", "clicks_by_hand"),
            (f"objects that leak more than {LEAK_SLICES} slices (%)", "leaks"),
            ("confidence against Dice, Spearman", "spearman"),
            (f"AUC of confidence for slices below Dice {GOOD_DICE}", "auc"),
            ("seconds per slice", "seconds_per_slice"),
        ):
            if key == "clicks_by_hand":
                hand = [self._of(group, 0, by_hand[0]) if by_hand else [] for group in self.groups]
                values = [_mean([one.n_clicks for one in found]) if found else None for found in hand]
            else:
                values = [one[key] for one in numbers]
            lines.append(f"| *{title}* | " + " | ".join(_told(value) for value in values) + " |")
        return "\n".join(lines) + "\n"


def _numbers(found: Sequence[FillResult]) -> dict[str, Any]:
    dices = [one.dice for one in found]
    low, high = bootstrap_interval(dices)
    leaks = [one.leak for one in found if one.leak is not None]
    confidences = np.concatenate([one.confidences for one in found]) if found else np.zeros(0)
    slice_dices = np.concatenate([one.slice_dices for one in found]) if found else np.zeros(0)
    return {
        "objects": len(found),
        "dice": round(_mean(dices), 4),
        "dice_interval": [round(low, 4), round(high, 4)],
        "iou": round(_mean([one.iou for one in found]), 4),
        "clicks": round(_mean([one.n_clicks for one in found]), 1),
        "leaks": round(100 * _mean([leak > LEAK_SLICES for leak in leaks]), 1) if leaks else None,
        "spearman": _spearman(confidences, slice_dices),
        "auc": _auc(confidences, slice_dices < GOOD_DICE),
        "seconds_per_slice": round(_mean([one.seconds_per_slice for one in found]), 3),
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _spearman(one: Any, other: Any) -> float | None:
    """Rank correlation; None where one of them is constant or there are too few."""
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return round(float(stats.spearmanr(one, other).statistic), 3)


def _auc(confidences: Any, is_error: Any) -> float | None:
    """How often an error is less sure than what is right; None without errors, or without anything right."""
    errors, right = confidences[is_error], confidences[~is_error]
    if len(errors) == 0 or len(right) == 0:
        return None
    statistic = stats.mannwhitneyu(right, errors).statistic
    return round(float(statistic) / (len(errors) * len(right)), 3)


def _told(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:g}" if float(value).is_integer() else f"{value:.3g}"
