"""The command line: parse, call one verb, say how it went."""

from photofinish.cli.main import main

__all__ = ["main"]
