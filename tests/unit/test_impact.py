import pytest

from delivery.config import Configuration
from delivery.impact import Impact, dependencies, impacts, reaching_paths, shown
from delivery.source import Change, ChangeKind, ChangeSet

BUILD = {"command": "make"}
RUN = {"command": "serve"}
CONFIGURATION = Configuration.model_validate(
    {
        "version": 1,
        "services": {
            "api": {"paths": ["api", "Dockerfile.api"], "depends_on": ["models"], "build": BUILD, "run": RUN},
            "web": {"paths": ["web"], "depends_on": ["api"], "build": BUILD, "run": RUN},
            "mail": {"paths": ["mail"], "build": {**BUILD, "inputs": ["mail", "mail.lock"]}, "run": RUN},
        },
        "libraries": {
            "models": {"paths": ["libs/models"], "depends_on": ["base"]},
            "base": {"paths": ["libs/base"]},
        },
    }
)
UNTOUCHED = ("nothing that it depends on changed since bbbbbbb",)


def changed(*paths: str) -> ChangeSet:
    return ChangeSet(
        "b" * 40, "merge base with main", "h" * 40, tuple(Change(path, ChangeKind.MODIFIED) for path in paths)
    )


def impacted(changes: ChangeSet, *forced: str) -> dict[str, tuple[str, ...]]:
    found = impacts(CONFIGURATION, changes, frozenset(forced))
    assert list(found) == ["api", "web", "mail", "models", "base"]
    return {name: impact.because for name, impact in found.items() if impact.impacted}


def test_a_change_reaches_the_service_that_it_belongs_to_and_says_where() -> None:
    found = impacts(CONFIGURATION, changed("mail/x.py", "README.md"))

    assert found["mail"] == Impact(impacted=True, because=("changed: mail/x.py",))
    assert found["api"] == Impact(impacted=False, because=UNTOUCHED)


@pytest.mark.parametrize("path", ["Dockerfile.api", "mail.lock"])
def test_a_dockerfile_or_lock_file_reaches_what_has_or_builds_from_it(path: str) -> None:
    owner = "api" if "api" in path else "mail"

    assert impacted(changed(path))[owner] == (f"changed: {path}",)


def test_a_library_reaches_its_dependents_and_says_the_way() -> None:
    assert impacted(changed("libs/base/x.py")) == {
        "api": ("library 'base' changed: libs/base/x.py (through 'models')",),
        "web": ("library 'base' changed: libs/base/x.py (through 'models')",),
        "models": ("library 'base' changed: libs/base/x.py",),
        "base": ("changed: libs/base/x.py",),
    }


def test_a_service_reaches_the_services_that_depend_on_it() -> None:
    assert impacted(changed("api/x.py", "web/y.html")) == {
        "api": ("changed: api/x.py",),
        "web": ("changed: web/y.html", "service 'api' changed: api/x.py"),
    }


def test_the_pipeline_file_reaches_everything() -> None:
    found = impacted(changed("shipline.yaml", "mail/x.py"))

    assert set(found) == {"api", "web", "mail", "models", "base"}
    assert set(found.values()) == {("the pipeline changed: shipline.yaml",)}


def test_without_a_base_everything_is_reached_because_of_that() -> None:
    found = impacted(ChangeSet(None, "no earlier revision was tested", "h" * 40, ()))

    assert set(found.values()) == {("no earlier revision was tested",)}
    assert len(found) == 5


def test_force_reaches_what_it_names() -> None:
    assert impacted(changed(), "mail") == {"mail": ("forced with --force",)}
    assert len(impacted(changed(), "all")) == 5


def test_a_file_that_moves_out_reaches_where_it_was_and_where_it_is() -> None:
    moved = Change("mail/x.py", ChangeKind.RENAMED, old_path="web/x.py")

    found = impacted(ChangeSet("b" * 40, "", "h" * 40, (moved,)))

    assert found == {"web": ("changed: web/x.py",), "mail": ("changed: mail/x.py",)}


def test_long_lists_of_paths_are_cut() -> None:
    assert shown([f"{number}.py" for number in range(7)]) == "0.py, 1.py, 2.py and 4 more"
    assert shown(["a", "b", "c"]) == "a, b, c"


def test_dependencies_are_found_once_nearest_first_also_in_a_circle() -> None:
    circle = Configuration.model_validate(
        {
            "version": 1,
            "libraries": {
                "a": {"paths": ["a"], "depends_on": ["b", "c"]},
                "b": {"paths": ["b"], "depends_on": ["c", "a"]},
                "c": {"paths": ["c"], "depends_on": ["a"]},
            },
        }
    )

    assert dependencies(circle, "a") == {"b": None, "c": None}
    assert reaching_paths(circle, "b") == ("b", "c", "a")
