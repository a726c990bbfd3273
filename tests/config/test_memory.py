"""What may be asked for as `auto`, and which micro-batches there are."""

from __future__ import annotations

import pytest

from photofinish.config import TrainingSettings, resolve
from photofinish.errors import SettingsError


@pytest.mark.parametrize("size", [32, 64, 5])
def test_a_micro_batch_that_does_not_divide_the_batch_is_refused_with_one_that_does(size: int) -> None:
    with pytest.raises(SettingsError, match=rf"micro_batch_size={size} must be a divisor of batch_size=32 .*example"):
        TrainingSettings.of({"batch_size": 32, "micro_batch_size": size})


def test_auto_leaves_the_recipes_value_as_a_beginning_and_says_that_the_recipe_was_changed() -> None:
    found = resolve("quick", changes={"micro_batch_size": "auto", "batch_size": 64})
    assert (found.probed, found.training.batch_size, found.training.micro_batch_size) == ("micro_batch_size", 64, None)
    assert found.recipe == "quick with changes"
    assert resolve("quick", changes={"batch_size": "auto"}).recipe == "quick with changes"
    assert resolve("quick").probed is None


@pytest.mark.parametrize("size", [8, "auto"])
def test_a_batch_as_large_as_fits_in_parts_of_a_given_size_has_no_answer(size: object) -> None:
    with pytest.raises(SettingsError, match="leave micro_batch_size out, or give the batch a number"):
        resolve("quick", changes={"batch_size": "auto", "micro_batch_size": size})
