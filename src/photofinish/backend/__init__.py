"""The one package that names jax, tensorflow or torch.

Keras computes with one of three libraries, chosen before Keras is first imported. Everything that Keras does not
offer alike for all three is here: compiling a step, gradients, waiting for the device, asking it for its memory.
A step is written once, in the ordinary style that reads and assigns `keras.Variable`s; under JAX it is turned into a
pure function of their values, which are donated from call to call.
"""

from photofinish.backend.behind import ProgramBehind
from photofinish.backend.chain import Chain, Link, chains
from photofinish.backend.choice import (
    active,
    environment_of_neighbours,
    keeps_programs,
    on_cpu,
    require_installed,
    select,
    watch_programs,
)
from photofinish.backend.device import (
    device_name,
    is_idle,
    is_out_of_memory,
    on_device,
    peak_device_memory,
    resident,
    unset,
    wait,
    zeros,
)
from photofinish.backend.foresight import foreseen
from photofinish.backend.imports import lean_imports
from photofinish.backend.programs import AssigningProgram, compile_beside, expect_compilation
from photofinish.backend.randomness import few_uniform
from photofinish.backend.recipes import worth_keeping
from photofinish.backend.steps import compiled, gradients, no_gradient, only_if, value_now

__all__ = [
    "AssigningProgram",
    "Chain",
    "Link",
    "ProgramBehind",
    "active",
    "chains",
    "compile_beside",
    "compiled",
    "device_name",
    "environment_of_neighbours",
    "expect_compilation",
    "few_uniform",
    "foreseen",
    "gradients",
    "is_idle",
    "is_out_of_memory",
    "keeps_programs",
    "lean_imports",
    "no_gradient",
    "on_cpu",
    "on_device",
    "only_if",
    "peak_device_memory",
    "require_installed",
    "resident",
    "select",
    "unset",
    "value_now",
    "wait",
    "watch_programs",
    "worth_keeping",
    "zeros",
]
