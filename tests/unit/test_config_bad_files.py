"""Files that are hardly configurations: each is refused in under a second, with its place, never a traceback.

The time is that of the processor, so that a busy machine does not decide.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import product

import pytest

from delivery import config_overlaps
from delivery.config_reading import problems_as_text, read_configuration
from delivery.errors import ConfigurationError
from delivery.paths import matcher


def refusal(content: bytes) -> ConfigurationError:
    """The refusal, within a second of processor time: of three readings, as others may slow the machine meanwhile."""
    for _ in range(3):
        began = time.process_time()
        with pytest.raises(ConfigurationError) as caught:
            read_configuration(content)
        took = time.process_time() - began
        if took < 1:
            break
    assert took < 1
    return caught.value


def first(content: bytes) -> str:
    problem = refusal(content).problems[0]
    return f"{problem.where}: {problem.message} ({problem.hint})"


MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "1:1: the file is empty (move it away, then write a first one with `shipline init`)"),
        (b"# only words\n", "1:1: the file is empty (move it away, then write a first one with `shipline init`)"),
        (
            b"- a\n- b\n",
            (
                "1:1: expected keys like 'version: 1' at the top, got a list "
                "(move it away, then write a first one with `shipline init`)"
            ),
        ),
        (
            b"hello\n",
            (
                "1:1: expected keys like 'version: 1' at the top, got the text 'hello' "
                "(move it away, then write a first one with `shipline init`)"
            ),
        ),
        (b"version: 1\nname: Caf\xe9\n", "2:10: byte 0xe9 is not UTF-8 (save the file as UTF-8)"),
        ("version: 1\n".encode("utf-16"), "1:1: byte 0xff is not UTF-8 (save the file as UTF-8)"),
        (b"version: 1\nsteps:\n\tunit: 1\n", "3:1: a tab indents this line (indent with spaces)"),
        (b"version: 1\nsteps:\n  unit:\n  \tcommand: x\n", "4:3: a tab indents this line (indent with spaces)"),
        (b"version: 1\nversion: 1\n", "2:1: duplicate key 'version', first given on line 1 (keep one of the two)"),
        (b"version: 1\n1: x\n", "2:1: key 1 must be a text (put it in quotes: '1')"),
        (b"version: 1\ntrue: x\n", "2:1: key true must be a text (put it in quotes: 'true')"),
        (
            b"version: 1\n? [a]\n: x\n",
            "2:3: a key must be a text, not a list or a mapping (write a plain word before the colon)",
        ),
        (
            b"version: 1\n---\nversion: 1\n",
            "2:1: a second document begins here (keep one document in the file)",
        ),
        (b"%YAML 1.2\n---\nversion: 1\n", "1:1: YAML directives are not supported (remove this line)"),
        (b"a: &x 1\nb: *x\n", "2:4: alias '*x' is not supported (write the value out)"),
        (
            b"version: !!python/object:os.system x\n",
            "1:10: tag '!!python/object:os.system' is not supported (remove the tag)",
        ),
        (
            b"version: 123456789012345678901234567890\n",
            "1:10: number 123456789012345678901234567890 is too large (write a smaller one, or quote it for a text)",
        ),
        (
            b"version: 1e999\n",
            "1:10: number 1e999 is too large (write a smaller one, or quote it for a text)",
        ),
        (b'a: "\\0"\n', "1:4: a text may not contain the character NUL (remove the '\\0')"),
        (b"a: \x07\n", "1:4: character U+0007 is not allowed in YAML (remove it)"),
        (b"a: b: c\n", "1:5: a colon stands where no key can be (put a text that contains ': ' in quotes)"),
        (b"a: [1,\nb: 2\n", "1:4: a list or mapping in brackets is not closed (add the missing bracket or comma)"),
        (b'a: "b\nc: 1\n', "1:4: a quoted text is not closed (add the missing quote)"),
        (b"a: 1\nb\nc: 2\n", "2:1: expected ':' after a key (write 'key: value')"),
        (b"a:\n   b: 1\n  c: 2\n", "3:3: expected a key at this indentation (indent keys of one section alike)"),
        (b"a: @b\n", "1:4: this character cannot begin a value (put the text in quotes)"),
        (b'a: "\\q"\n', "1:5: unknown escape in a double-quoted text (use single quotes, or double the backslash)"),
    ],
)
def test_what_cannot_be_read_says_where_and_why(content: bytes, expected: str) -> None:
    problems = (f"{one.where}: {one.message} ({one.hint})" for one in refusal(content).problems)
    assert f"shipline.yaml:{expected}" in problems


def test_ten_megabytes_are_refused_before_they_are_parsed() -> None:
    expected = (
        "shipline.yaml:1:1: the file has 10000000 bytes, more than the 1000000 that are read (keep data out of it)"
    )
    assert first(b"a" * 10 * MEGABYTE) == expected


def test_a_yaml_bomb_is_refused_without_growing() -> None:
    lines = ["a0: &a0 [lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    error = refusal("\n".join(lines).encode())
    assert [one.message for one in error.problems[:3]] == [
        "missing key 'version'",
        "unknown key 'a0'",
        "unknown key 'a1'",
    ]
    assert error.problems[3].message == "alias '*a0' is not supported"
    assert error.message.endswith("(and 91 more)")


def _services(count: int, patterns: Callable[[int], Iterable[str]]) -> str:
    """A file of services, each with these patterns."""
    lines = (
        f"  s{n}: {{paths: [{', '.join(map(repr, patterns(n)))}], build: {{command: x}}, run: {{command: y}}}}\n"
        for n in range(count)
    )
    return "version: 1\nservices:\n" + "".join(lines)


@pytest.mark.parametrize(
    "content",
    [
        "[" * MEGABYTE,
        "{" * MEGABYTE,
        "- " * (MEGABYTE // 2),
        "? " * (MEGABYTE // 2),
        "[a: " * (MEGABYTE // 4),
        "a:\n" * (MEGABYTE // 3),
        "---\n" * (MEGABYTE // 4),
        "- \n" * (MEGABYTE // 3),
        "[" + "[]," * (MEGABYTE // 3 - 1),
        "".join(f"%TAG !a{number}! x\n" for number in range(50_000)) + "---\n",
        "\n".join(" " * depth + "a:" for depth in range(1_400)),
        "version: 1\n" + "".join(f"key{number}: 1\n" for number in range(19_000)),
        "version: 1\nsteps:\n" + "".join(f"  Step {number}: {{command: x}}\n" for number in range(9_000)),
        "version: 1\nsteps: {a: {command: [" + "1," * 19_000 + "]}}",
        "version: 1\nsteps:\n"
        + "".join(f"  s{n}: {{command: x, needs: [s{(n + 1) % 300}, s{(n + 7) % 300}]}}\n" for n in range(300)),
        "version: 1\nfixtures: {p: {postgresql: {port: 5432}}}\nsteps:\n"
        + "".join(f"  s{number}: {{command: x, fixtures: [p]}}\n" for number in range(300)),
        "version: 1\nservices:\n"
        + "".join(
            f"  s{number}: {{paths: ['{'**/a*/' * 40}x'], build: {{command: x}}, run: {{command: y}}}}\n"
            for number in range(100)
        ),
    ],
    ids=lambda content: repr(content[:24]),
)
def test_hostile_files_are_refused_in_time(content: str) -> None:
    error = refusal(content.encode())
    assert len(error.problems) <= 101
    assert len(problems_as_text(error.problems)) < 100_000


STARS = _services(180, lambda n: [f"{'*a' * 140}{n}x{k}" for k in range(18)])
ALIKE = _services(190, lambda n: [f"a*{n}b*{k}c*d*" for k in range(90)])
UNLIKE = _services(190, lambda n: [f"a*{n}b*{k}c*d*{n}" for k in range(90)])
LITERAL = _services(200, lambda n: [f"p{n}/q{k}" for k in range(85)])
CLASSES = _services(190, lambda n: [f"a[b-{chr(100 + k % 20)}]{n}*{k}" for k in range(90)])
BESIDE = _services(200, lambda n: [f"**/{'a/**/' * 7}x{n}y{k}" for k in range(20)])


@pytest.mark.parametrize(
    ("content", "compared"),
    [(STARS, 0), (ALIKE, 50), (UNLIKE, 20_000), (LITERAL, 0), (CLASSES, 0), (BESIDE, 1_500)],
    ids=["stars", "alike", "unlike", "literal", "classes", "beside"],
)
def test_judging_patterns_is_bounded_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch, content: str, compared: int
) -> None:
    pairs, meet = [], config_overlaps._can_meet

    def counted(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
        pairs.append((one, other))
        return meet(one, other)

    monkeypatch.setattr(config_overlaps, "_can_meet", counted)
    began = time.process_time()
    with suppress(ConfigurationError):
        read_configuration(content.encode())
    assert time.process_time() - began < 1
    assert len(pairs) <= compared


def test_patterns_that_are_too_wild_are_told_instead_of_being_tried() -> None:
    assert first(STARS.encode()) == (
        "shipline.yaml:3:16: services.s0.paths[0] has 140 wildcards, more than the 16 that are read "
        "(write several simpler patterns)"
    )
    assert first(CLASSES.encode()) == (
        "shipline.yaml:6:426: 17100 patterns use '?', '[' or a backslash, more than the 300 that are read "
        "(use '*' or name folders)"
    )


def test_a_section_with_too_many_entries_is_one_problem_and_the_others_are_told_too() -> None:
    steps = "".join(f"  s{n}: {{comand: x, neds: y}}\n" for n in range(4_500))
    error = refusal(f"version: 1\nsteps:\n{steps}fail_fast: maybe\n".encode())
    assert [(one.where, one.message) for one in error.problems] == [
        ("shipline.yaml:2:1", "steps must not be longer than 300, and has 4500 entries"),
        ("shipline.yaml:4503:12", "fail_fast must be true or false, got the text 'maybe'"),
    ]


def test_a_pattern_is_wrong_only_where_it_is_peculiar() -> None:
    """Those without `?`, `[` and backslash are not tried, because each of them is a pattern."""
    letters = ("a", "*", "**", "/", ".", "!", "#", " ", "-", "~")
    for pattern in map("".join, product(letters, repeat=3)):
        matcher((pattern,))


def test_a_large_honest_file_is_read_in_time() -> None:
    service = "  s{0}:\n    paths: [s{0}]\n    build: {{command: make s{0}}}\n    run: {{command: ./s{0}}}\n"
    text = "version: 1\nservices:\n" + "".join(service.format(number) for number in range(200))
    began = time.process_time()
    assert len(read_configuration((text + "#" * 900_000).encode()).services) == 200
    assert time.process_time() - began < 1
