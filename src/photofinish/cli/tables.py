"""Tables for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from photofinish.cli.board import duration
from photofinish.report import wording
from photofinish.study.results import Estimate, Results

if TYPE_CHECKING:
    from photofinish.models import Description


def results_table(results: Results) -> Table:
    """Return the models of a study with their main figures, narrow enough for 80 columns."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    has_seeds = any(len(model.train_seconds.per_seed) > 1 for model in results.models)
    training = "mean\ntraining" if has_seeds else "training"
    for number, title in enumerate(("model", "test\naccuracy", "95% interval", training, "parameters", "MACs")):
        table.add_column(title, justify="left" if number == 0 else "right", no_wrap=True)
    for model in results.models:
        table.add_row(
            model.name,
            f"{100 * model.test_accuracy.mean:.2f}%",
            interval(model.test_accuracy),
            duration(model.train_seconds.mean),
            wording.large(model.parameters),
            "unknown" if model.macs is None else wording.large(model.macs),
        )
    return table


def description_table(description: Description) -> Table:
    """Return a network stage by stage; MACs are multiply-accumulates of one picture."""
    table = Table(
        title=f"{description.name} at {description.image_size}x{description.image_size}, {description.classes} classes",
        title_justify="left",
        box=None,
        pad_edge=False,
        show_footer=True,
    )
    layers = sum(stage.layers for stage in description.stages)
    macs = "unknown" if description.macs is None else f"{description.macs:,}"
    footers = {
        "": "", "operator": "total", "stride": "", "channels": "", "layers": str(layers), "output": "",
        "parameters": f"{description.parameters:,}", "MACs": macs,
    }  # fmt: skip
    for title, footer in footers.items():
        # On a narrow screen the operator's name is what gives way.
        is_name = title == "operator"
        table.add_column(title, footer, justify="left" if is_name else "right", no_wrap=not is_name)
    for number, stage in enumerate(description.stages):
        height, width = stage.output_size
        table.add_row(
            str(number), stage.operator, str(stage.stride), str(stage.channels), str(stage.layers),
            f"{height}x{width}", f"{stage.parameters:,}", f"{stage.macs:,}",
        )  # fmt: skip
    return table


def interval(estimate: Estimate) -> str:
    """Return an interval in per cent."""
    return f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f}"
