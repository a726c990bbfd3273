"""Names that come from files, made safe to look at."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from photofinish.study.results import Results

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def printable(name: str) -> str:
    r"""Return a name with everything invisible written out, so that it cannot pretend to be another.

    Control characters, line breaks and the marks that turn the direction of writing appear as escapes. This
    does not replace escaping for HTML, SVG or Markdown.

    Examples:
        >>> printable("cat\n\u202egod")
        'cat\\n\\u202egod'
    """
    return "".join(_written_out(character) for character in name)


def _written_out(character: str) -> str:
    if unicodedata.category(character) not in _INVISIBLE:
        return character
    return character.encode("unicode_escape").decode("ascii")


def shortened(name: str, length: int) -> str:
    """Return a printable name of at most `length` characters, cut in the middle, where names differ least.

    Examples:
        >>> shortened("efficientnetv2-b0", 12)
        'effici…v2-b0'
    """
    shown = printable(name)
    if len(shown) <= length:
        return shown
    tail = (length - 1) // 2
    return f"{shown[: length - 1 - tail]}…{shown[-tail:]}"


def short_names(models: Iterable[str]) -> dict[str, str]:
    """Return what to call each model: of a path only the file and the function, unless two would be called alike.

    Examples:
        >>> short_names(["nets/mine.py:build", "resnet50"])
        {'nets/mine.py:build': 'mine.py:build', 'resnet50': 'resnet50'}
    """
    short = {model: model.rsplit("/", 1)[-1] for model in models}
    return short if len(set(short.values())) == len(short) else {model: model for model in short}


def called(text: str, names: Mapping[str, str]) -> str:
    """Return a text in which every model is called by its short name."""
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, names[name])
    return text


def with_short_names(results: Results) -> Results:
    """Return figures in which every model is called by its short name.

    Args:
        results: The figures of a study.
    """
    short = short_names(model.name for model in results.models)
    models = tuple(model.model_copy(update={"name": short[model.name]}) for model in results.models)
    pairs = tuple(pair.model_copy(update={"a": short[pair.a], "b": short[pair.b]}) for pair in results.pairs)
    warnings = tuple(called(warning, short) for warning in results.warnings)
    return results.model_copy(update={"models": models, "pairs": pairs, "warnings": warnings})
