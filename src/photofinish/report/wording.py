"""Figures in words: the same number is written the same way everywhere in the report."""

from __future__ import annotations

import math

MINUS = "\u2212"


def percent(share: float) -> str:
    """Return a share in per cent.

    Examples:
        >>> percent(0.9123)
        '91.2%'
    """
    return f"{100 * share:.1f}%"


def interval_percent(low: float, high: float) -> str:
    """Return the ends of an interval of shares.

    Examples:
        >>> interval_percent(0.901, 0.9234)
        '90.1 to 92.3'
    """
    return f"{100 * low:.1f} to {100 * high:.1f}"


def points(difference: float, *, signed: bool = True) -> str:
    """Return a difference of shares in percentage points.

    Examples:
        >>> points(0.042), points(-0.0004), points(-0.042, signed=False)
        ('+4.2', '\u22120.04', '4.2')
    """
    value = 100 * difference
    digits = 2 if 0 < abs(value) < 0.1 else 1
    sign = ("+" if value > 0 else MINUS if value < 0 else "") if signed else ""
    return f"{sign}{abs(value):.{digits}f}"


def interval_points(low: float, high: float) -> str:
    """Return the ends of an interval of differences in percentage points.

    Examples:
        >>> interval_points(-0.011, 0.02)
        '\u22121.1 to 2.0'
    """
    return " to ".join(points(end).removeprefix("+") for end in (low, high))


def p_value(value: float) -> str:
    """Return a p-value with two significant digits, with one below a thousandth.

    Examples:
        >>> p_value(0.031), p_value(0.00031), p_value(1e-9), p_value(0.998)
        ('0.031', '0.0003', '< 0.0001', '1.00')
    """
    if value < 1e-4:
        return "< 0.0001"
    if value < 1e-3:
        return f"{value:.4f}"
    return f"{value:.2f}" if value >= 0.095 else f"{value:.{1 - math.floor(math.log10(value))}f}"


def equals(shown: str) -> str:
    """Return a shown p-value as it stands in a sentence.

    Examples:
        >>> equals("0.03"), equals("< 0.0001")
        ('p = 0.03', 'p < 0.0001')
    """
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"


def seconds(value: float) -> str:
    """Return a duration with two or three significant digits.

    Examples:
        >>> seconds(0.0123), seconds(5.25), seconds(95), seconds(754), seconds(9000)
        ('12 ms', '5.2 s', '95 s', '12.6 min', '2.5 h')
        >>> seconds(0.0034), seconds(0)
        ('3.4 ms', '0 ms')
    """
    if 0 < value < 0.00995:
        return f"{1000 * value:.1f} ms"
    if value < 1:
        return f"{1000 * value:.0f} ms"
    if value < 10:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    if value < 7200:
        return f"{value / 60:.1f} min"
    return f"{value / 3600:.1f} h"


def seconds_range(shortest: float, longest: float) -> str:
    """Return the ends of a range of durations, nothing where both are written alike.

    Examples:
        >>> seconds_range(0.105, 0.149), seconds_range(0.9, 1.2), seconds_range(0.0101, 0.0102)
        ('105 to 149 ms', '900 ms to 1.2 s', '')
    """
    low, high = seconds(shortest), seconds(longest)
    if low == high:
        return ""
    number, unit = low.split()
    return f"{number if high.endswith(unit) else low} to {high}"


def large(count: float) -> str:
    """Return a large number with three significant digits.

    Examples:
        >>> large(950), large(23_587_712), large(3.9e9)
        ('950', '23.6 M', '3.90 G')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{_three_digits(count / size)} {letter}"
    return f"{count:.0f}"


def rate(per_second: float) -> str:
    """Return a rate with three significant digits and commas.

    Examples:
        >>> rate(1234.5), rate(45.67), rate(1.2)
        ('1,234', '45.7', '1.20')
    """
    return _three_digits(per_second)


def ratio(value: float) -> str:
    """Return a ratio as a number of times.

    Examples:
        >>> ratio(2.345), ratio(0.256), ratio(12.3), ratio(0.000207)
        ('2.3', '0.26', '12', '0.00021')
    """
    if value >= 10:
        return f"{value:.0f}"
    if value >= 1:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def about(count: int) -> str:
    """Return an estimated count with two significant digits.

    Examples:
        >>> about(4), about(12_345)
        ('4', '12,000')
    """
    if count < 100:
        return str(count)
    step: int = 10 ** (int(math.log10(count)) - 1)
    return f"{round(count / step) * step:,}"


def listing(words: list[str]) -> str:
    """Join words as in a sentence.

    Examples:
        >>> listing(["a"]), listing(["a", "b", "c"])
        ('a', 'a, b and c')
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _three_digits(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
