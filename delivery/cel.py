"""Conditions in CEL, the Common Expression Language; the only importer of celpy and re2.

Importing this costs 60 ms and its first parser 130 ms, so it is imported where a condition is met. An expression
reads facts and nothing else; what it may cost is bounded before it is evaluated and while it is.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

import re2
from celpy.adapter import json_to_cel
from celpy.celparser import CELParseError, CELParser
from celpy.celtypes import BoolType
from celpy.evaluation import Activation, CELEvalError, Evaluator

from delivery.errors import ConfigurationError

LONGEST = 2_000
"""Characters of an expression."""
MOST_STEPS = 20_000
"""Parts of an expression, counted each time that they are evaluated: half a second at most."""
MOST_NESTED = 2
"""Macros within the argument of a macro: two go through every pair."""
_DEEPEST = 120
"""Levels of the parsed tree: about ten pairs of brackets in each other, or a hundred `&&`."""
_LARGEST = 20_000
"""Characters of a text or members of a list that an expression puts together."""
_LONGEST_REASON = 200
_INTERNAL = re.compile(r"Token\('RULE', '(\w+)'\)|<class 'celpy\.celtypes\.(\w+?)(?:Type)?'>")
_MACROS = frozenset({"all", "exists", "exists_one", "filter", "map"})
_METHODS = frozenset(
    {
        *("contains", "endsWith", "matches", "size", "startsWith"),
        *("getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getHours", "getMilliseconds"),
        *("getMinutes", "getMonth", "getSeconds"),
    }
)
_FUNCTIONS = frozenset(
    {
        *("bool", "bytes", "double", "duration", "dyn", "has", "int", "matches", "size", "string", "timestamp", "type"),
        *("uint",),
    }
)
_TYPES = frozenset({"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint"})


class _TooMuchError(Exception):
    """An expression that costs more than it may."""


def require_expression(expression: str, known: Collection[str]) -> None:
    """ConfigurationError unless it parses, is no more than can be evaluated, and names only what is known."""
    if len(expression) > LONGEST:
        raise ConfigurationError(f"it has {len(expression)} characters, more than {LONGEST}")
    tree = _parsed(expression)
    if _depth(tree) > _DEEPEST:
        raise ConfigurationError("it is nested too deeply", hint="say it in two conditions")
    for problem, column in _unknown(tree, frozenset(known) | _TYPES, 0):
        raise ConfigurationError(f"{problem}, at character {column}", hint=f"known: {', '.join(sorted(known))}")


def holds(expression: str, facts: Mapping[str, Any]) -> bool:
    """Whether a condition is true of facts; ConfigurationError when it is neither true nor false, or costs too much.

    Facts are JSON with `datetime` for timestamps. An expression that `require_expression` refuses is refused here too.
    """
    require_expression(expression, facts.keys())
    budget = [MOST_STEPS]
    activation = Activation(functions={"matches": _matches})
    try:
        found = _Bounded(_parsed(expression), activation, budget).evaluate(_values(facts))
    except CELEvalError as error:
        raise ConfigurationError(_words(error)) from error
    except (_TooMuchError, RecursionError, MemoryError) as error:
        raise ConfigurationError("it takes more to evaluate than an expression may") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{type(error).__name__}: {_words(error)}") from error
    if not isinstance(found, BoolType):
        raise ConfigurationError(f"it gives {_kind(found)}, and must give true or false")
    return bool(found)


class _Bounded(Evaluator):
    """Counts what it evaluates, also within macros, and looks how large what it puts together gets."""

    def __init__(self, ast: Any, activation: Activation, budget: list[int]) -> None:  # noqa: ANN401  # a lark.Tree
        super().__init__(ast, activation)
        self._budget = budget

    def sub_evaluator(self, ast: Any) -> Evaluator:  # noqa: ANN401
        return _Bounded(ast, self.activation, self._budget)

    def visit_children(self, tree: Any) -> list[Any]:  # noqa: ANN401
        self._budget[0] -= 1
        if self._budget[0] < 0:
            raise _TooMuchError
        return list(super().visit_children(tree))

    def addition(self, tree: Any) -> Any:  # noqa: ANN401
        found = super().addition(tree)
        if isinstance(found, str | bytes | list) and len(found) > _LARGEST:
            raise _TooMuchError
        return found


@lru_cache(maxsize=256)
def _parsed(expression: str) -> Any:  # noqa: ANN401  # a lark.Tree
    try:
        return _parser().parse(expression)
    except CELParseError as error:
        place = f" at character {error.column}" if error.column and error.column > 0 and error.line == 1 else ""
        shown = f" of line {error.line}" if error.line and error.line > 1 else ""
        raise ConfigurationError(
            f"it is no CEL expression: something is missing or wrong{place}{shown}",
            hint='for instance: changes.all(c, c.service != "db")',
        ) from error


@cache
def _parser() -> CELParser:
    return CELParser()


@cache
def _quiet() -> Any:  # noqa: ANN401  # re2 has no types
    options = re2.Options()
    options.log_errors = False
    return options


def _matches(text: str, pattern: str) -> Any:  # noqa: ANN401  # a value of CEL
    """As CEL has it: found anywhere, in time that only grows with the text."""
    try:
        return BoolType(re2.search(pattern, text, _quiet()) is not None)
    except re2.error as error:
        return CELEvalError(f"'{pattern[:40]}' is no RE2 expression", type(error), error.args)


def _values(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: json_to_cel(value) for name, value in facts.items()}


def _kind(value: object) -> str:
    return type(value).__name__.removesuffix("Type").lower()


def _words(error: Exception) -> str:
    """The library's sentence without the whole environment that it shows."""
    said = str(error.args[0]) if error.args else type(error).__name__
    line = " ".join(said.partition(" (in activation")[0].split())
    return _INTERNAL.sub(lambda found: (found[1] or found[2]).lower(), line)[:_LONGEST_REASON]


def _depth(tree: Any) -> int:  # noqa: ANN401
    """Levels, without recursion: what is too deep must not be what finds out."""
    deepest, todo = 0, [(tree, 1)]
    while todo:
        node, level = todo.pop()
        deepest = max(deepest, level)
        todo += [(child, level + 1) for child in getattr(node, "children", ())]
    return deepest


def _unknown(tree: Any, known: frozenset[str], macros: int) -> Iterator[tuple[str, int]]:  # noqa: ANN401
    """What an expression names that is not there, and where."""
    match tree.data:
        case "ident" | "dot_ident" if str(tree.children[-1]) not in known:
            yield f"there is no '{tree.children[-1]}'", tree.meta.column
        case "ident_arg" | "dot_ident_arg" if str(tree.children[0]) not in _FUNCTIONS:
            yield f"there is no function '{tree.children[0]}'", tree.meta.column
        case "member_object":
            yield "messages are not supported", tree.meta.column
        case "member_dot_arg":
            yield from _unknown_method(tree, known, macros)
            return
    for child in _trees(tree):
        yield from _unknown(child, known, macros)


def _unknown_method(tree: Any, known: frozenset[str], macros: int) -> Iterator[tuple[str, int]]:  # noqa: ANN401
    receiver, name, *arguments = tree.children
    yield from _unknown(receiver, known, macros)
    if name not in _MACROS:
        if name not in _METHODS:
            yield f"there is no function '{name}'", name.column
        for argument in arguments:
            yield from _unknown(argument, known, macros)
        return
    if macros >= MOST_NESTED:
        yield f"more than {MOST_NESTED} macros stand in each other", name.column
    yield from _unknown_in_macro(name, arguments, known, macros)


def _unknown_in_macro(
    name: Any,  # noqa: ANN401  # a lark.Token
    arguments: list[Any],
    known: frozenset[str],
    macros: int,
) -> Iterator[tuple[str, int]]:
    given = [] if not arguments else _trees(arguments[0])
    variable = _only_identifier(given[0]) if given else None
    if len(given) != 2 or variable is None:  # noqa: PLR2004  # a variable and what is asked of it
        yield f"'{name}' takes a variable and an expression", name.column
        return
    yield from _unknown(given[1], known | {variable}, macros + 1)


def _only_identifier(tree: Any) -> str | None:  # noqa: ANN401
    while tree.data != "ident":
        children = _trees(tree)
        if len(tree.children) != 1 or not children:
            return None
        tree = children[0]
    return str(tree.children[0])


def _trees(tree: Any) -> list[Any]:  # noqa: ANN401
    return [child for child in tree.children if hasattr(child, "data")]
