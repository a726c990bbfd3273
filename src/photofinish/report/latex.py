"""The table of models for a paper, in LaTeX with booktabs."""

from __future__ import annotations

from photofinish.report import wording
from photofinish.report.material import Entrant, Material
from photofinish.report.names import printable
from photofinish.report.verdict import verdict_sentence

_COMMANDS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    wording.MINUS: r"\ensuremath{-}",
}


def render_latex(material: Material) -> str:
    r"""Return a `table` environment with every model's accuracy, training time, parameters and multiply-accumulates.

    It needs `\usepackage{booktabs}` and `\usepackage[T1]{fontenc}`. No model is set in bold: the verdict, with its
    interval, stands in the caption.

    Args:
        material: The study.
    """
    results = material.results
    seeds = max((len(model.seeds) for model in results.models), default=0)
    caption = (
        f"{results.data.name}: {results.data.train:,} training and {results.data.test:,} test pictures, "
        f"{seeds} {'seed' if seeds == 1 else 'seeds'}, at {material.plan.data_settings.image_size} pixels. "
        f"Accuracy with its 95% interval. {verdict_sentence(results)}"
    )
    if any(model.disturbed for model in results.models):
        caption += " Other programs kept the machine busy during some trainings: their times are too long."
    rows = [_row(entrant) for entrant in material.entrants]
    return "\n".join(
        [
            r"% Needs \usepackage{booktabs} and \usepackage[T1]{fontenc}.",
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{escaped(caption)}}}",
            r"  \begin{tabular}{lrrrr}",
            r"    \toprule",
            r"    Model & Test accuracy, \% & Training time & Parameters & Multiply-adds \\",
            r"    \midrule",
            *(f"    {row}" for row in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def escaped(text: str) -> str:
    r"""Return a text that LaTeX prints as it is.

    Examples:
        >>> print(escaped("my_net.py & 50%"))
        my\_net.py \& 50\%
    """
    return "".join(_COMMANDS.get(character, character) for character in printable(text))


def _row(entrant: Entrant) -> str:
    result = entrant.result
    accuracy = result.test_accuracy
    ends = wording.interval_percent(accuracy.low, accuracy.high).replace(" to ", "--")
    cells = (
        escaped(entrant.name),
        f"{100 * accuracy.mean:.1f} ({ends})",
        escaped(wording.seconds(result.train_seconds.mean)),
        escaped(wording.large(result.parameters)),
        "--" if result.macs is None else escaped(wording.large(result.macs)),
    )
    return " & ".join(cells) + r" \\"
