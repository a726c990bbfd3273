"""Line charts: models against each other, and one cell's training beside its validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from photofinish.report.figures.svg import (
    Points,
    Scale,
    dash,
    drawing,
    element,
    hover_points,
    label,
    line,
    marker,
    model_class,
    path,
    tick_label,
    ticks,
)
from photofinish.report.names import printable, shortened

LABEL_HEIGHT = 14.0


@dataclass(frozen=True)
class Series:
    """One model's curves.

    Attributes:
        index: The model's place, which decides colour, dash and marker.
        name: The model.
        mean: The curve over all seeds, drawn thick.
        seeds: Each seed's curve, drawn thin; empty for a single seed.
    """

    index: int
    name: str
    mean: Points
    seeds: tuple[Points, ...] = ()


@dataclass(frozen=True)
class Axis:
    """An axis with round ticks.

    Attributes:
        title: What it measures, with its unit.
        ticks: Positions of the ticks; the first and the last are the ends of the axis.
        written: How a value between the ticks is written when it is pointed at.
    """

    title: str
    ticks: Sequence[float]
    written: Callable[[float], str]

    @property
    def domain(self) -> tuple[float, float]:
        """The ends of the axis."""
        return self.ticks[0], self.ticks[-1]

    @property
    def labels(self) -> list[str]:
        """The numbers at the ticks."""
        return [tick_label(tick, self.ticks[1] - self.ticks[0]) for tick in self.ticks]


def comparison(series: Sequence[Series], x_axis: Axis, y_axis: Axis, *, wide: bool) -> Markup:
    """Draw several models in one chart.

    Args:
        series: The models.
        x_axis: Horizontal axis.
        y_axis: Vertical axis.
        wide: Leave room on the right for the models' names at the ends of their lines.
    """
    width, height = (556.0, 340.0) if wide else (358.0, 280.0)
    left, top, bottom = 44.0, 30.0, height - 44.0
    right = width - (134.0 if wide else 16.0)
    x, y = Scale(x_axis.domain, (left, right)), Scale(y_axis.domain, (bottom, top))
    drawn = [_frame(x_axis, y_axis, x, y)]
    for one in series:
        thin = [path(seed, x, y, f"thin {model_class(one.index)}") for seed in one.seeds]
        drawn.append(element("g", *thin, data_models=one.index))
    for one in series:
        mean = path(one.mean, x, y, f"mean {model_class(one.index)}", **dash(one.index))
        end = marker(one.index, x(one.mean[-1][0]), y(one.mean[-1][1]), 4.5)
        drawn.append(element("g", mean, end, data_models=one.index))
    if wide:
        drawn += _end_labels(series, x, y, (top, bottom))
    shown = [
        (x(across), y(up), f"{printable(one.name)}\n{x_axis.written(across)}: {y_axis.written(up)}", one.index)
        for one in series
        for across, up in one.mean
    ]
    ends = "; ".join(f"{one.name} ends at {y_axis.written(one.mean[-1][1])}" for one in series)
    title = f"{y_axis.title} against {x_axis.title}"
    return drawing(width, height, title, ends, *drawn, class_="chart", hover=hover_points(shown))


def training_panels(
    index: int,
    name: str,
    loss: tuple[Points, Points],
    accuracy: tuple[Points, Points],
    axes: tuple[Axis, Axis, Axis],
) -> Markup:
    """Draw loss and accuracy of one cell side by side, training thin and dotted, validation thick.

    Args:
        index: The model's place, which decides the colour.
        name: The cell in words.
        loss: Training and validation loss after each epoch.
        accuracy: Training and validation accuracy in per cent.
        axes: Epochs, loss and accuracy; shared by all cells so that they can be compared.
    """
    epochs, losses, accuracies = axes
    panels = []
    for (training, validation), y_axis, left in ((loss, losses, 34.0), (accuracy, accuracies, 218.0)):
        x, y = Scale(epochs.domain, (left, left + 132)), Scale(y_axis.domain, (128.0, 24.0))
        panels.append(_frame(epochs, y_axis, x, y, sparse=True))
        # The inner drawing cuts off what lies beyond the axis: one diverging epoch must not flatten the rest.
        inside_x, inside_y = Scale(epochs.domain, (0.0, 132.0)), Scale(y_axis.domain, (106.0, 2.0))
        curves = (
            path(training, inside_x, inside_y, "training"),
            path(validation, inside_x, inside_y, f"mean {model_class(index)}"),
        )
        panels.append(element("svg", *curves, x=left, y=22, width=136, height=110))
    last = f"after the last epoch: training loss {loss[0][-1][1]:.3f}, validation loss {loss[1][-1][1]:.3f}, "
    last += f"training accuracy {accuracy[0][-1][1]:.1f}%, validation accuracy {accuracy[1][-1][1]:.1f}%"
    shown = [
        (
            Scale(epochs.domain, (left, left + 132))(epoch),
            None,
            f"epoch {epoch:g}\ntraining {a:{form}}\nvalidation {b:{form}}{unit}",
        )
        for (training, validation), left, form, unit in (
            (loss, 34.0, ".3f", ""),
            (accuracy, 218.0, ".1f", " %"),
        )
        for (epoch, a), (_, b) in zip(training, validation, strict=True)
    ]
    return drawing(358, 164, f"Training of {name}", last, *panels, class_="panels", hover=hover_points(shown))


def number_axis(title: str, values: Sequence[float], count: int = 5, most: float = float("inf")) -> Axis:
    """Return an axis with round ticks that encloses all values.

    Args:
        title: What it measures.
        values: What it must enclose.
        count: Roughly how many ticks.
        most: An upper end that the axis does not go beyond.
    """
    placed = [tick for tick in ticks(min(values), max(values), count) if tick <= most]
    return Axis(title, placed, lambda value: f"{value:.1f}")


def epoch_axis(epochs: int) -> Axis:
    """Return the axis of epochs, with whole numbers only.

    Examples:
        >>> epoch_axis(10).ticks, epoch_axis(1).ticks
        ([0, 2, 4, 6, 8, 10], [0, 1])
    """
    step = max(1, next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 10**6) if epochs / step <= 6))
    return Axis("epoch", list(range(0, epochs + step, step)), lambda value: f"epoch {value:g}")


def time_axis(longest: float, what: str = "training time") -> tuple[Axis, float]:
    """Return an axis of durations in a fitting unit, and the seconds in that unit.

    Args:
        longest: Seconds that it must reach.
        what: What takes so long.

    Examples:
        >>> axis, unit = time_axis(600)
        >>> axis.title, axis.ticks, unit
        ('training time, minutes', [0, 2, 4, 6, 8, 10], 60.0)
    """
    unit, name = next(
        (size, name)
        for size, name in ((3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))
        if longest > 2 * size or size == 1
    )
    axis = Axis(f"{what}, {name}", ticks(0, longest / unit, 6), lambda value: f"{value:.1f} {name}")
    return axis, unit


def _frame(x_axis: Axis, y_axis: Axis, x: Scale, y: Scale, *, sparse: bool = False) -> Markup:
    """Draw grid, ticks and titles; `sparse` labels only the ends of the horizontal axis."""
    left, right = x.pixels
    bottom, top = y.pixels
    parts = [label(left - 34 if not sparse else left - 30, top - 12, y_axis.title, "axis-title")]
    for tick, text in zip(y_axis.ticks, y_axis.labels, strict=True):
        parts.append(line(left, y(tick), right, y(tick), "grid"))
        parts.append(label(left - 6, y(tick) + 4, text, anchor="end"))
    for tick, text in zip(x_axis.ticks, x_axis.labels, strict=True):
        parts.append(line(x(tick), bottom, x(tick), bottom + 4, "axis"))
        if not sparse or tick in x_axis.domain:
            parts.append(label(x(tick), bottom + 18, text, anchor="middle"))
    parts.append(line(left, bottom, right, bottom, "axis"))
    if sparse:
        parts.append(label((left + right) / 2, bottom + 18, x_axis.title, "axis-title", "middle"))
    else:
        parts.append(label(right, bottom + 36, x_axis.title, "axis-title", "end"))
    return element("g", *parts)


def _end_labels(series: Sequence[Series], x: Scale, y: Scale, limits: tuple[float, float]) -> list[Markup]:
    """Write each name beside the end of its line, moved apart where names would overlap."""
    wanted = sorted((y(one.mean[-1][1]), one.index, one) for one in series)
    places = spread([place for place, _, _ in wanted], LABEL_HEIGHT, limits)
    right = x.pixels[1]
    parts = []
    for (place, _, one), moved in zip(wanted, places, strict=True):
        end = x(one.mean[-1][0])
        name = [label(right + 12, moved + 4, shortened(one.name, 18), f"name {model_class(one.index)}")]
        if right - end > 40 or abs(moved - place) > 6:
            name.append(line(end + 7, place, right + 8, moved, "leader"))
        parts.append(element("g", *name, data_models=one.index))
    return parts


def spread(places: Sequence[float], distance: float, limits: tuple[float, float]) -> list[float]:
    """Return ascending places moved as little as needed to be `distance` apart within the limits.

    Examples:
        >>> spread([10, 12, 50], 10, (0, 100))
        [6.0, 16.0, 50.0]
    """

    def within(middle: float, members: int) -> float:
        reach = distance * (members - 1) / 2
        return max(limits[0] + reach, min(limits[1] - reach, middle))

    groups: list[tuple[float, int]] = []  # (middle, members) of labels that touch
    for place in places:
        middle, members = within(place, 1), 1
        while groups and middle - groups[-1][0] < distance * (members + groups[-1][1]) / 2:
            other, count = groups.pop()
            middle, members = (middle * members + other * count) / (members + count), members + count
            middle = within(middle, members)
        groups.append((middle, members))
    return [middle + distance * (i - (members - 1) / 2) for middle, members in groups for i in range(members)]
