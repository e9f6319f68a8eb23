"""The groups of cases, found by their names."""

from __future__ import annotations

import inspect

import pytest

from kelery_bench.run import GROUPS, Group, cases_of


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_each_group_has_a_module_with_cases(group: Group) -> None:
    assert list(inspect.signature(cases_of(group)).parameters) == ["stack", "size"]
