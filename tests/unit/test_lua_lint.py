"""The lint of the ledger's Lua finds what it is for, and says where it is."""

import pytest

from tests.lua_lint import indented, lint

FINE = """\
local one, two = 1, 2
local function double(number) return number * two end

local function all(numbers)
  local found = { first = one }
  for i, number in ipairs(numbers) do
    if number > 1 then
      found[i] = double(number)
    elseif number == one then
      found[#found + 1] = redis.call('GET', "it's",
        'and more')
    end
  end
  return found
end

redis.register_function({
  callback = function(keys, args) return all(keys, args) end,
})
"""


def test_what_is_fine_has_no_findings() -> None:
    assert lint({"fine.lua": FINE}) == []
    assert indented(FINE) == FINE


@pytest.mark.parametrize(
    ("replaced", "by", "finding"),
    [
        ("i, number in", "i, number, more in", "6: `more` is not used"),
        ("all(keys, args)", "all(keys)", "18: `args` is not used"),
        ("for i, number in ipairs(numbers)", "for number in ipairs(numbers)", "8: `i` is not known here"),
        ("number * two", "number * three", "1: `two` is not used"),
        ("number * two", "number * two * three", "2: `three` is not known here"),
        ("return found", "kept = 1\n  return found", "14: `kept` is not local"),
        ("local function all", "function all", "4: `all` is not local"),
        ("= double(number)", "= all(number)", "2: `double` is not used"),
        ("local found =", "local one =", "5: `one` is the name of something else here already"),
        ("function(keys, args)", "function(keys, args, two)", "18: `two` is the name of something else"),
        ("return found", "return found )", "14: this is no Lua"),
        ("  return found", "return found", "14: indented by 0, not by 2"),
        ("    elseif", "      elseif", "9: indented by 6, not by 4"),
        ("        'and more'", "          'and more'", "11: indented by 10, not by 8"),
        ("'GET'", '"GET"', "10: double quotes where single ones do"),
        ("return found", "return found ", "14: there is a tab, or a space at the end"),
        ("return found", f"return found -- {'x' * 103}", "14: the line is longer than 120 columns"),
    ],
)
def test_a_fault_is_found_on_its_line(replaced: str, by: str, finding: str) -> None:
    faulty = FINE.replace(replaced, by, 1)
    assert faulty != FINE
    assert any(found.startswith(f"faulty.lua:{finding}") for found in lint({"faulty.lua": faulty}))


def test_a_part_knows_the_names_of_the_parts_before_it_and_of_no_others() -> None:
    first, second = "local one = 1\n", "local two = one\nredis.call(two)\n"
    assert lint({"first.lua": first, "second.lua": second}) == []
    assert lint({"second.lua": second, "first.lua": first}) == [
        "second.lua:1: `one` is not known here",
        "first.lua:1: `one` is not used",
    ]


def test_indentation_is_put_right_and_nothing_else() -> None:
    untidy = "\n".join(line.strip() + "  " for line in FINE.splitlines())
    assert indented(untidy) == FINE
