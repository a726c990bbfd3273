"""Names that come from files, made safe to look at."""

from __future__ import annotations

import unicodedata

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


def with_short_names(results: Results) -> Results:
    """Return figures in which a model named by a path has only the file and the function for its name.

    Models that would then have the same name keep their paths.

    Args:
        results: The figures of a study.
    """
    short = {model.name: model.name.rsplit("/", 1)[-1] for model in results.models}
    if len(set(short.values())) < len(short):
        return results
    models = tuple(model.model_copy(update={"name": short[model.name]}) for model in results.models)
    pairs = tuple(pair.model_copy(update={"a": short[pair.a], "b": short[pair.b]}) for pair in results.pairs)
    warnings = list(results.warnings)
    for name in sorted(short, key=len, reverse=True):
        warnings = [warning.replace(name, short[name]) for warning in warnings]
    return results.model_copy(update={"models": models, "pairs": pairs, "warnings": tuple(warnings)})
