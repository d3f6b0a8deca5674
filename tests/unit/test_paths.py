import pytest

from delivery.errors import ConfigurationError
from delivery.paths import anchored, matcher, matching


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("api", "api", True),
        ("api", "api/app.py", True),
        ("api", "api/deep/app.py", True),
        ("api/", "api/app.py", True),
        ("api/", "api", False),
        ("api", "apis/app.py", False),
        ("api", "other/api/app.py", False),
        ("./api", "api/app.py", True),
        ("/api", "api/app.py", True),
        ("api//deep", "api/deep/x", True),
        (".", "any/thing", True),
        ("**", "any/thing", True),
        ("**/*/**", "any/thing", True),
        ("**/*/**", "thing", False),
        ("*", "thing", True),
        ("*", "any/thing", False),
        ("docs/*", "docs/a.md", True),
        ("docs/*", "docs/deep/a.md", False),
        ("doc*", "docs/deep/a.md", True),
        ("*.py", "app.py", True),
        ("*.py", "api/app.py", False),
        ("**/*.py", "app.py", True),
        ("**/*.py", "api/deep/app.py", True),
        ("api/**", "api/app.py", True),
        ("api/**", "api", False),
        ("api/**/test.py", "api/test.py", True),
        ("api/**/test.py", "api/a/b/test.py", True),
        ("api/*/test.py", "api/a/b/test.py", False),
        ("file?.txt", "file1.txt", True),
        ("file?.txt", "file/.txt", False),
        ("file[0-9].txt", "file7.txt", True),
        ("file[!0-9].txt", "file7.txt", False),
        ("a\\*b", "a*b", True),
        ("a\\*b", "axb", False),
        ("!api", "!api", True),
        ("!api", "web", False),
        ("#notes", "#notes", True),
        ("API", "api", False),
        ("with space", "with space/x", True),
        ("süß/日本", "süß/日本/x", True),
        ("**/x", "two\nlines/x", True),
        ("a.b", "axb", False),
    ],
)
def test_a_pattern_means_what_git_means(pattern: str, path: str, *, expected: bool) -> None:
    assert matcher((pattern,))(path) is expected


def test_several_patterns_match_what_any_of_them_does() -> None:
    assert matching(["api", "*.toml"], ["web/x", "api/x", "a.toml", "web/a.toml"]) == ("api/x", "a.toml")


def test_no_pattern_matches_nothing() -> None:
    assert not matcher(())("anything")


@pytest.mark.parametrize(("pattern", "expected"), [("", "**"), ("/", "**"), ("./a/./b/", "a/b/"), ("a", "a")])
def test_patterns_are_anchored_at_the_root(pattern: str, expected: str) -> None:
    assert anchored(pattern) == expected


@pytest.mark.parametrize("pattern", ["[z-a]", "trailing\\"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a path pattern") as refusal:
        matcher((pattern,))

    assert "wildmatch" in refusal.value.hint


def test_folders_at_any_depth_are_found_by_stars_alone() -> None:
    assert matching(["**/*/**"], ["a", "a/b", "a/b/c"]) == ("a/b", "a/b/c")
