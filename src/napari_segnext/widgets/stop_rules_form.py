"""When an object ends beyond its last annotated slice: a form for `StopRules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QDoubleSpinBox, QSpinBox, QWidget

from napari_segnext.widgets.parts import form_layout

if TYPE_CHECKING:
    from napari_segnext.propagation import StopRules

_RULES = (
    ("min_area", "Least area", "Ends where its area falls below so many pixels.", 4, 1_000_000, 1),
    ("min_overlap", "Least overlap", "Ends where it overlaps less with the slice before, 0 to 1.", 0.2, 1, 0.05),
    ("max_area_ratio", "Area jump", "Ends where its area grows or shrinks by a greater factor.", 3.0, 100, 0.5),
    ("min_confidence", "Least confidence", "Ends where the model is less sure, 0 to 1.", 0.25, 1, 0.05),
    ("min_likeness", "Least likeness", "Ends where it looks less as on annotated slices, 0 to 1.", 0.3, 1, 0.05),
)  # fmt: skip
"""Name in `StopRules`, title, what it does, value, greatest value, step. 0 switches a rule off."""


class StopRulesForm(QWidget):  # type: ignore[misc]
    """One row for each rule; 0 is off."""

    def __init__(self) -> None:
        super().__init__()
        form = form_layout(left=12)
        self.setLayout(form)
        self.limits: dict[str, QSpinBox | QDoubleSpinBox] = {}
        for name, title, tooltip, value, most, step in _RULES:
            spin: QSpinBox | QDoubleSpinBox = QSpinBox() if isinstance(value, int) else QDoubleSpinBox()
            spin.setRange(0, most)
            spin.setSingleStep(step)
            spin.setValue(value)
            spin.setSpecialValueText("off")
            spin.setToolTip(f"{tooltip} 0: this rule is off.")
            form.addRow(title, spin)
            self.limits[name] = spin
        self.stops_at_border = QCheckBox("border of the image")
        self.stops_at_border.setToolTip("Ends where it reaches the border of the image, unless it does when annotated.")
        form.addRow("", self.stops_at_border)

    @property
    def rules(self) -> StopRules:
        """The rules as they are set."""
        from napari_segnext.propagation import StopRules

        values = {name: spin.value() or None for name, spin in self.limits.items()}
        if values["max_area_ratio"] is not None:
            # a factor of 1 or less would end everything at once
            values["max_area_ratio"] = max(1.01, values["max_area_ratio"])
        return StopRules(**values, stops_at_border=self.stops_at_border.isChecked())
