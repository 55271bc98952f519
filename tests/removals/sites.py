"""What can be taken out of a module, statement by statement, and how.

`Kind` is all of it. What has a value that somebody takes stays: an await whose result is used, a `with ... as`, an
`async for`, a `return`. So does every other call and assignment.

Knows Python's syntax trees. Must not know which tests there are.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

REACHED = "__reached__"  # the function that a marked module calls
_LEAVES = (ast.Raise, ast.Return, ast.Continue, ast.Break)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_WITHS = (ast.With, ast.AsyncWith)


class Kind(Enum):
    """What is taken out."""

    AWAIT = "an awaited call whose result nobody takes"
    GUARD = "an `if` that leaves: what it keeps out comes in"
    CHECK = "another `if`: what depends on it is done always"
    WHILE = "the condition of a `while`: what it repeats is never done"
    RAISE = "a `raise` that no `if` guards: what comes after it goes on"
    ASSERT = "an assertion"
    WITH = "a `with` without a name, as a bound on time: its body is left"
    HANDLER = "an `except`: the error passes"
    FINALLY = "what is done at the end whatever happens"
    PART = "a part of a condition with `and` or `or`"
    FILTER = "the condition of a comprehension: it takes all"
    FIRST = "a choice `x if c else y`: always x"
    SECOND = "a choice `x if c else y`: always y"


@dataclass(frozen=True, slots=True)
class Site:
    """A place in a tree where something can be taken out of it."""

    name: str  # function and text, the same as long as these are
    kind: Kind
    line: int
    node: ast.stmt
    among: list[ast.stmt]  # the statements that it is one of
    part: ast.AST | None = None  # of the statement

    def take_out(self) -> None:
        """Change the tree. What is taken out stays where nothing runs it, for the names that it closes over."""
        match self.node, self.kind:
            case _, Kind.PART | Kind.FILTER | Kind.FIRST | Kind.SECOND:
                self._settle_part()
            case ast.If() as node, Kind.GUARD:
                node.test = _never_so(node.test)
            case ast.If() as node, _:
                node.test = _always_so(node.test)
            case ast.While() as node, _:
                node.test = _never_so(node.test)
            case (ast.With() | ast.AsyncWith()) as node, _:
                self._replace(node.body)
            case ast.Try() as node, Kind.HANDLER:
                node.handlers.remove(self.part)
                self._without_handlers(node)
            case ast.Try() as node, _:
                never, node.finalbody = _never(node.finalbody), []
                self.among.insert(self.among.index(node) + 1, never)
                self._without_handlers(node)
            case node, _:
                self._replace([_never([node])])

    def mark(self, number: int) -> None:
        """Change the tree so that it tells when it comes to what would make a difference."""
        call = ast.Call(ast.Name(REACHED, ast.Load()), [ast.Constant(number)], [])
        told = ast.Expr(call)
        match self.node, self.kind:
            case (ast.If() as node, Kind.GUARD) | (ast.While() as node, Kind.WHILE):
                node.body.insert(0, told)
            case ast.If() as node, Kind.CHECK:
                node.orelse.insert(0, told)
            case ast.Try(), Kind.HANDLER:
                self.part.body.insert(0, told)
            case ast.Try() as node, Kind.FINALLY:
                node.finalbody.insert(0, told)
            case node, _:
                self.among.insert(self.among.index(node), told)

    def _settle_part(self) -> None:
        """What is not asked is still worked out, for the names that it binds."""
        for whole in ast.walk(self.node):
            match whole:
                case ast.BoolOp(op=op, values=values) if self.part in values:
                    settled = _always_so if isinstance(op, ast.And) else _never_so
                    values[values.index(self.part)] = settled(self.part)
                    return
                case ast.comprehension(ifs=ifs) if self.part in ifs:
                    ifs[ifs.index(self.part)] = _always_so(self.part)
                    return
                case ast.IfExp(test=test) if self.part is test:
                    whole.test = _always_so(test) if self.kind is Kind.FIRST else _never_so(test)
                    return

    def _replace(self, by: list[ast.stmt]) -> None:
        at = self.among.index(self.node)
        self.among[at : at + 1] = by

    def _without_handlers(self, node: ast.Try) -> None:
        if not node.handlers:
            node.body += node.orelse
            node.orelse = []
            if not node.finalbody:
                self._replace(node.body)


def sites(tree: ast.Module) -> list[Site]:
    """All of a module, in order; only what is in functions, for a module's own statements have run."""
    found: list[Site] = []
    seen: Counter[str] = Counter()
    guarded = {id(node.body[-1]) for node in ast.walk(tree) if isinstance(node, ast.If)}
    for where, among in _lists(tree, ""):
        for node in among:
            for kind, line, text, part in (*_of(node), *_of_conditions(node)):
                if kind is Kind.RAISE and id(node) in guarded:
                    continue  # it goes with the guard
                name = f"{where}: {kind.name.lower()}: {text.splitlines()[0]}"
                seen[name] += 1
                number = f" ({seen[name]})" if seen[name] > 1 else ""
                found.append(Site(name + number, kind, line, node, among, part))
    return sorted(found, key=lambda site: site.line)


def _lists(node: ast.AST, where: str) -> Iterator[tuple[str, list[ast.stmt]]]:
    """Each list of statements in functions, with the function's name."""
    if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
        where = f"{where}.{node.name}".removeprefix(".")
    for _, value in ast.iter_fields(node):
        if not isinstance(value, list):
            continue
        if where and value and isinstance(value[0], ast.stmt) and not isinstance(node, ast.ClassDef):
            yield where, value
        for child in value:
            if isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):
                yield from _lists(child, where)


def _of(node: ast.stmt) -> Iterator[tuple[Kind, int, str, ast.ExceptHandler | None]]:
    match node:
        case ast.Expr(value=ast.Await()):
            yield Kind.AWAIT, node.lineno, ast.unparse(node), None
        case ast.If(test=test, body=body):
            kind = Kind.GUARD if isinstance(body[-1], _LEAVES) else Kind.CHECK
            yield kind, node.lineno, f"if {ast.unparse(test)}", None
        case ast.While(test=test) if not isinstance(test, ast.Constant):
            yield Kind.WHILE, node.lineno, f"while {ast.unparse(test)}", None
        case ast.Raise():
            yield Kind.RAISE, node.lineno, ast.unparse(node), None
        case ast.Assert():
            yield Kind.ASSERT, node.lineno, ast.unparse(node), None
        case ast.With(items=items) | ast.AsyncWith(items=items) if not any(item.optional_vars for item in items):
            yield Kind.WITH, node.lineno, "with " + ", ".join(map(ast.unparse, items)), None
        case ast.Try(handlers=handlers, finalbody=finalbody):
            for handler in handlers:
                about = "" if handler.type is None else f" {ast.unparse(handler.type)}"
                yield Kind.HANDLER, handler.lineno, f"except{about}: {ast.unparse(handler.body[0])}", handler
            if finalbody:
                yield Kind.FINALLY, finalbody[0].lineno, f"finally: {ast.unparse(finalbody[0])}", None


def _of_conditions(node: ast.stmt) -> Iterator[tuple[Kind, int, str, ast.AST]]:
    for whole in _own(node):
        match whole:
            case ast.BoolOp(values=values):
                for value in (value for value in values if not isinstance(value, ast.Constant)):
                    yield Kind.PART, value.lineno, f"{ast.unparse(value)} in {ast.unparse(whole)}", value
            case ast.comprehension(ifs=ifs):
                for value in ifs:
                    yield Kind.FILTER, value.lineno, ast.unparse(value), value
            case ast.IfExp(test=test):
                for kind in (Kind.FIRST, Kind.SECOND):
                    yield kind, whole.lineno, ast.unparse(whole), test


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """The expressions of a statement, not those of the statements in it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):
            yield child
            yield from _own(child)


def _always_so(test: ast.expr) -> ast.expr:
    return ast.BoolOp(ast.Or(), [test, ast.Constant(True)])


def _never_so(test: ast.expr) -> ast.expr:
    return ast.BoolOp(ast.And(), [test, ast.Constant(False)])


def _never(body: list[ast.stmt]) -> ast.If:
    return ast.If(ast.Constant(False), body, [])
