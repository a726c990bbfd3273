"""Importing JAX and Keras without what a process of our own needs nothing of."""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Iterator
from typing import Any

# What JAX and Keras do without where it is absent: for their wrappers, plots, tables and colours.
SPARED = ("sklearn", "matplotlib", "pandas", "pygments")
# What they import always and use for what we hardly ever do: sparse matrices, attention on a TPU, tables of layers,
# files in Keras' older forms, messages to a server. With the names that are taken from each.
SPLASH = "jax.experimental.pallas.ops.tpu.splash_attention"
LATER = {
    "scipy.sparse": ("linalg",),
    SPLASH: ("splash_attention_kernel", "splash_attention_mask"),
    "rich": ("console", "markup", "table"),
    "h5py": (),
    "requests": (),
}


class Later(types.ModuleType):
    """Stands for a module until something of it is used, and for what the module holds from then on."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        # As of a package: its parts may be asked for, and whether it is there.
        self.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        """Return what the module itself has."""
        if "_module" not in self.__dict__:
            _remove_later()
            self.__dict__["_module"] = importlib.import_module(self.__name__)
        return getattr(self.__dict__["_module"], name)


class _PartsOfLater(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports a part of a module that was put off, and the module itself before."""

    def find_spec(self, name: str, _path: Any, _target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """Return how a part is imported, or None for what is part of nothing that was put off."""
        if not isinstance(sys.modules.get(name.rpartition(".")[0]), Later):
            return None
        _remove_later()
        return importlib.machinery.ModuleSpec(name, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """Import the part as it is imported otherwise."""
        module = importlib.import_module(spec.name)
        # Python puts what it was found by in the place of what it really is.
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """Leave the module as it is."""
        if module.__spec__ is not None:
            module.__spec__ = module.__spec__.loader_state


@contextlib.contextmanager
def lean_imports() -> Iterator[None]:
    """Import JAX and Keras inside this in two thirds of the time, for a process of our own.

    What they can do without counts as not installed for them, and what they seldom use is imported when it is used. All
    of it can be imported afterwards as usual. No garbage is collected meanwhile, and never what was imported.

    Examples:
        >>> with lean_imports():
        ...     import keras
        >>> import h5py  # the whole of it
        >>> h5py.File.__name__
        'File'
    """
    modules: dict[str, Any] = sys.modules
    absent = [name for name in SPARED if name not in modules]
    # What Python does with None: importing it fails as if it were not installed.
    modules.update(dict.fromkeys(absent))
    _put_later()
    finder = _PartsOfLater()
    sys.meta_path.insert(0, finder)
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        for name in absent:
            # Someone may have found it in another way meanwhile.
            if modules.get(name, ...) is None:
                del modules[name]
        _remove_later()
        sys.meta_path.remove(finder)
        gc.freeze()
        if collects:
            gc.enable()


def _put_later() -> None:
    """Put something in the place of what is to be imported later, where it is installed and not imported yet."""
    for name, parts in LATER.items():
        if name in sys.modules or importlib.util.find_spec(name.partition(".")[0]) is None:
            continue
        module = sys.modules[name] = Later(name)
        for part in parts:
            inner = sys.modules[f"{name}.{part}"] = Later(f"{name}.{part}")
            setattr(module, part, inner)


def _remove_later() -> None:
    """Let everything be imported as it is."""
    for name, module in list(sys.modules.items()):
        if isinstance(module, Later):
            del sys.modules[name]
