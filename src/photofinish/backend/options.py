"""What JAX and XLA are told beyond their own choices."""

from __future__ import annotations

import functools

from photofinish.backend.choice import found_for_another

ORDER, KERNELS = "xla_cpu_scheduler_type", "xla_cpu_experimental_ynn_fusion_type"
CPU_OPTIONS = {
    ORDER: "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED",
    KERNELS: "LIBRARY_FUSION_TYPE_DOT,LIBRARY_FUSION_TYPE_REDUCE,LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT",
}
# LLVM's first level: EfficientNetV2-L's segments take a seventh less of a core's time to compile, and a step as long
# (`docs/decisions.md`).
SOON = {"xla_backend_optimization_level": "1"}


@functools.cache
def compiler_options(*, soon: bool = False) -> dict[str, str] | None:
    """Return what XLA is told beyond its own choices, or None.

    Args:
        soon: Whether what is compiled is wanted soon, and will not be used for long.

    On a processor a network is quicker

    - when what an operation leaves is used while it is still in the cache: with operations in the order that needs
      least memory, and not in XLA's choice, the order that lets most of them run at once;
    - when its library of kernels (YNNPACK) computes matrix products and sums, and not also convolutions, which it
      splits over the cores by their width and filters, so that small maps are computed by one core, nor chains of
      elementwise operations, which XLA's own compiler joins with what comes before and after.

    What each is worth: `benchmarks/variants.py`.
    """
    import jax

    if jax.default_backend() != "cpu":
        return None
    # A version may know one and not another.
    wanted = {**CPU_OPTIONS, **(SOON if soon else {})}
    known = {name: value for name, value in wanted.items() if _is_known({name: value})}
    return known or None


def _is_known(options: dict[str, str]) -> bool:
    import jax

    try:
        # Not one of the programs that anybody counts.
        with found_for_another():
            jax.jit(lambda x: x, compiler_options=options).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True


def settings_of_jax() -> list[tuple[str, str]]:
    """Return JAX's settings that may decide what a program is, in words."""
    import jax

    return sorted((name, repr(value)) for name, value in jax.config.values.items() if "cache" not in name)
