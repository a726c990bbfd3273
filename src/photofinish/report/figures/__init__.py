"""Figures as inline SVG: pure functions from numbers to markup, coloured by the style sheet."""
