"""Lints the ledger's Lua library: `python -m tests.lua_lint` in `make check`, with `--fix` in `make fmt`.

It stands on a grammar from PyPI, since the linters for Lua do not come from there, and a fresh machine needs
no other registry. It reads the parts as Redis does: as one chunk, in which a part sees the local names of the
parts before it. Invariant: `--fix` changes only white space at the start and the end of lines.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import tree_sitter_lua
from tree_sitter import Language, Node, Parser

from kelery.ledger.library import FOLDER, PARTS

#: What Redis gives to a function of a library, as far as the ledger needs it.
GLOBALS = frozenset(
    {"cjson", "ipairs", "math", "pairs", "redis", "string", "table", "tonumber", "unpack"},
)
LONGEST_LINE = 120
_CLOSERS = frozenset({"end", "else", "elseif", "until", "}", ")"})
_PARSER = Parser(Language(tree_sitter_lua.language()))


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """What is wrong on a line of the chunk; lines count from 0."""

    line: int
    what: str


def lint(parts: Mapping[str, str]) -> list[str]:
    """What is wrong with the parts of a library, given by name and in their order."""
    places = [(name, number) for name, text in parts.items() for number, _ in enumerate(text.splitlines(), 1)]
    source = "".join(parts.values())
    tree = _PARSER.parse(source.encode())
    names = _Names()
    names.visit(tree.root_node)
    found = sorted([*_syntax(tree.root_node), *names.close(), *_layout(tree.root_node, source)])
    return ["{}:{}: {}".format(*places[finding.line], finding.what) for finding in found]


def indented(text: str) -> str:
    """The text as its indentation should be, without spaces at the ends of lines."""
    expected = _indentation(_PARSER.parse(text.encode()).root_node)
    lines = [
        " " * expected[number] + line.strip() if number in expected else line.rstrip()
        for number, line in enumerate(text.splitlines())
    ]
    return "".join(f"{line}\n" for line in lines)


def _syntax(node: Node) -> Iterator[Finding]:
    if node.is_error or node.is_missing:
        yield Finding(line=node.start_point.row, what="this is no Lua")
    elif node.has_error:
        for child in node.children:
            yield from _syntax(child)


def _layout(root: Node, source: str) -> Iterator[Finding]:
    expected = _indentation(root)
    for number, line in enumerate(source.splitlines()):
        if len(line) > LONGEST_LINE:
            yield Finding(line=number, what=f"the line is longer than {LONGEST_LINE} columns")
        if "\t" in line or line != line.rstrip():
            yield Finding(line=number, what="there is a tab, or a space at the end")
        spaces = len(line) - len(line.lstrip(" "))
        if spaces != expected.get(number, spaces):
            yield Finding(line=number, what=f"indented by {spaces}, not by {expected[number]}")
    for leaf in _leaves(root):
        if leaf.type == '"' and "'" not in _text(leaf.parent):
            yield Finding(line=leaf.start_point.row, what="double quotes where single ones do")


def _indentation(root: Node) -> dict[int, int]:
    """How many spaces begin a line, for each line that begins with code or a comment: as many as where the
    construct around it begins, if it closes that; else two more.
    """
    expected: dict[int, int] = {}
    for leaf in _leaves(root):
        row = leaf.start_point.row
        if row in expected:
            continue
        around = leaf.parent
        while around is not None and (around.type == "block" or around.start_point.row == row):
            around = around.parent
        if around is None or around.type == "chunk":
            expected[row] = 0
        else:
            expected[row] = expected[around.start_point.row] + (0 if leaf.type in _CLOSERS else 2)
    return expected


def _leaves(node: Node) -> Iterator[Node]:
    if node.child_count == 0 or node.type == "comment":
        yield node
    else:
        for child in node.children:
            yield from _leaves(child)


def _text(node: Node | None) -> str:
    return "" if node is None or node.text is None else node.text.decode()


@dataclass(slots=True, kw_only=True)
class _Local:
    line: int
    used: bool = False


@dataclass(slots=True)
class _Names:
    """Looks up every name where it is used: unknown, unused and redefined ones are wrong."""

    scopes: list[dict[str, _Local]] = field(default_factory=lambda: [{}])
    found: list[Finding] = field(default_factory=list)

    def visit(self, node: Node) -> None:
        """Go through a construct in the order in which Lua sees its names."""
        match node.type:
            case "identifier":
                self._use(node)
            case "block":
                self._within(node.children)
            case "variable_declaration":
                self._visit_all(node.named_children, but="variable_list", of="assignment_statement")
                self._declare_all(node)
            case "assignment_statement":
                self._visit_all(node.children, but="variable_list")
                for target in node.children[0].named_children:
                    self._assign(target)
            case "function_declaration" | "function_definition":
                self._function(node)
            case "for_statement":
                self._for(node)
            case "dot_index_expression" | "method_index_expression":
                self.visit(node.children[0])
            case "field" if node.children[0].type != "[" and node.child_count > 1:
                self.visit(node.children[-1])
            case _:
                self._visit_all(node.children)

    def close(self) -> list[Finding]:
        """End the innermost scope; all that was found so far."""
        for name, local in self.scopes.pop().items():
            if not local.used and name != "_":
                self.found.append(Finding(line=local.line, what=f"`{name}` is not used"))
        return self.found

    def _visit_all(self, nodes: list[Node], *, but: str = "", of: str = "") -> None:
        for node in nodes:
            if node.type == of:
                self._visit_all(node.children, but=but)
            elif node.type != but:
                self.visit(node)

    def _within(self, nodes: list[Node], *, names: list[Node] | None = None) -> None:
        self.scopes.append({})
        for name in names or []:
            self._declare(name)
        self._visit_all(nodes)
        self.close()

    def _function(self, node: Node) -> None:
        name, parameters = node.child_by_field_name("name"), node.child_by_field_name("parameters")
        if name is not None and node.children[0].type == "local":
            self._declare(name)
        elif name is not None:
            self._assign(name)
        named = parameters.children_by_field_name("name") if parameters is not None else []
        self._within(node.children_by_field_name("body"), names=named)

    def _for(self, node: Node) -> None:
        (clause,) = node.children_by_field_name("clause")
        if clause.type == "for_generic_clause":
            names = clause.children[0].named_children
        else:
            names = clause.children_by_field_name("name")
        self._visit_all([child for child in clause.named_children if child not in names], but="variable_list")
        self._within(node.children_by_field_name("body"), names=names)

    def _declare_all(self, declaration: Node) -> None:
        (declared,) = declaration.named_children
        names = declared if declared.type == "variable_list" else declared.children[0]
        for name in names.children_by_field_name("name"):
            self._declare(name)

    def _declare(self, node: Node) -> None:
        name = _text(node)
        if name != "_" and self._local(name):
            self._find(node, f"`{name}` is the name of something else here already")
        self.scopes[-1][name] = _Local(line=node.start_point.row)

    def _assign(self, target: Node) -> None:
        if target.type != "identifier":
            self.visit(target)
        elif not self._local(_text(target)):
            self._find(target, f"`{_text(target)}` is not local")

    def _use(self, node: Node) -> None:
        local = self._local(_text(node))
        if local:
            local.used = True
        elif _text(node) not in GLOBALS:
            self._find(node, f"`{_text(node)}` is not known here")

    def _local(self, name: str) -> _Local | None:
        return next((scope[name] for scope in reversed(self.scopes) if name in scope), None)

    def _find(self, node: Node, what: str) -> None:
        self.found.append(Finding(line=node.start_point.row, what=what))


def main() -> None:
    """Lint the ledger's library; with `--fix`, indent it first."""
    if "--fix" in sys.argv[1:]:
        for file in (FOLDER / part for part in PARTS):
            file.write_text(indented(file.read_text(encoding="utf-8")), encoding="utf-8")
    found = lint({part: (FOLDER / part).read_text(encoding="utf-8") for part in PARTS})
    if found:
        sys.exit("\n".join(found))
    print(f"{len(PARTS)} Lua parts: all fine")


if __name__ == "__main__":
    main()
