"""Which of the three libraries Keras computes with: chosen before Keras is first imported, and asked about."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from photofinish.backend.memory import keep_freed_memory
from photofinish.errors import SettingsError, nearest

# JAX's own names of the events that a program was found in the persistent cache, and that one was put there.
CACHE_HIT, CACHE_MISS = "/jax/compilation_cache/cache_hits", "/jax/compilation_cache/cache_misses"
EXTRAS = {"jax": "", "tensorflow": "[tensorflow]", "torch": "[torch]"}


def select(name: str | None = None) -> str:
    """Choose the library Keras computes with, before Keras is imported.

    Args:
        name: `jax`, `tensorflow` or `torch`; None keeps what `KERAS_BACKEND` says, or JAX where it says nothing.

    Returns:
        The name of the library in use.

    Raises:
        SettingsError: The name is unknown, the library is not installed, or Keras already runs on another one.
    """
    if "keras" in sys.modules:
        current: str = sys.modules["keras"].config.backend()
        if name not in {None, current}:
            raise SettingsError(f"Keras already runs on {current} in this process; start a new one to use {name}")
        _configure(current)
        return current
    chosen = name or os.environ.get("KERAS_BACKEND") or "jax"
    require_installed(chosen)
    os.environ["KERAS_BACKEND"] = chosen
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    _configure(chosen)
    return chosen


def require_installed(name: str) -> None:
    """Refuse a backend that is unknown or absent, without importing it.

    Raises:
        SettingsError: It is.
    """
    if name not in EXTRAS:
        raise SettingsError(f"unknown backend '{name}': {nearest(name, EXTRAS)}")
    if importlib.util.find_spec(name) is None:
        raise SettingsError(
            f"the backend {name} is not installed: pip install 'photofinish{EXTRAS[name]}', or choose another --backend"
        )


# One entry for each program that was found compiled, or had to be compiled.
_events: list[str] = []
# Where a thread notes them instead.
_of_thread = threading.local()


def watch_programs() -> Callable[[], bool]:
    """Return what says whether, from now on, any programs were needed and all of them were found compiled.

    Models share some small ones, so that one that was found says nothing of the others.
    """
    before = len(_events)

    def all_found() -> bool:
        noted = _events[before:]
        return bool(noted) and CACHE_MISS not in noted

    return all_found


@contextlib.contextmanager
def found_for_another() -> Iterator[Callable[[], None]]:
    """Do not count programs that this thread finds compiled, or compiles, meanwhile.

    Another process has compiled them just now, or this one may never need them.

    Yields:
        What counts them after all.
    """
    noted: list[str] = []
    before, _of_thread.events = _noted_here(), noted
    try:
        yield lambda: _noted_here().extend(noted)
    finally:
        _of_thread.events = before


def count_as_compiled() -> None:
    """Count a program that another process has compiled for this one just now."""
    _noted_here().append(CACHE_MISS)


def _noted_here() -> list[str]:
    """Return where this thread notes what becomes of programs."""
    noted: list[str] = getattr(_of_thread, "events", _events)
    return noted


def _note_event(event: str, **_: Any) -> None:
    if event in {CACHE_HIT, CACHE_MISS}:
        _noted_here().append(event)


def keeps_programs(name: str) -> bool:
    """Return whether what a process compiles is kept for later ones: under JAX, unless that is switched off."""
    return name == "jax" and os.environ.get("PHOTOFINISH_COMPILATION_CACHE", "on") != "off"


def _configure(name: str) -> None:
    """Set what must be set before the first computation."""
    keep_freed_memory()
    if keeps_programs(name):
        import jax

        from photofinish.storage import cache_folder

        # A program compiled once serves every later seed and start. One gigabyte holds some twenty large networks.
        if jax.config.jax_compilation_cache_dir is None:
            jax.monitoring.register_event_listener(_note_event)
            jax.config.update("jax_compilation_cache_dir", str(cache_folder("compiled")))
            jax.config.update("jax_compilation_cache_max_size", 1 << 30)
            # A chain is of many small programs, each of them quick to compile and quicker to read.
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def active() -> str:
    """Return the library in use, choosing the default where none has been chosen."""
    return select()


def on_cpu() -> bool:
    """Return whether the computations run on the processor rather than on an accelerator."""
    name = active()
    if name == "jax":
        import jax

        return bool(jax.default_backend() == "cpu")
    if name == "tensorflow":
        import tensorflow

        return not tensorflow.config.list_physical_devices("GPU")
    import torch

    return not torch.cuda.is_available()


def environment_of_neighbours() -> dict[str, str]:
    """Return what must be in the environment of several processes that hold the same accelerator at once.

    Otherwise the first of them takes most of its memory for itself.
    """
    return {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
