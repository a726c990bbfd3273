"""Numbers of bytes in words."""

from __future__ import annotations


def size(number_of_bytes: float) -> str:
    """Return a number of bytes with three significant digits, in a unit that is a power of 1000.

    Examples:
        >>> size(999), size(12_300_000), size(512_000_000), size(2_340_000_000)
        ('999 B', '12.3 MB', '512 MB', '2.34 GB')
    """
    value, unit = float(number_of_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    digits = 0 if unit == "B" or value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}"
