"""`shipline init` over small work trees of every kind: what it proposes can be read, and the steps run."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from delivery.config import Configuration
from delivery.config_reading import read_configuration
from delivery.errors import ConfigurationError
from shipline.project_folder import slug
from shipline.project_init import Proposal, propose, write

GO = "module example.com/shop\n\ngo 1.22\n"
MAIN = "package main\n\nfunc main() {}\n"
NODE = '{"name": "front", "scripts": {"start": "node server.js", "test": "node --test", "lint": "eslint ."}}'
UNITTEST = "import unittest\n\n\nclass Test(unittest.TestCase):\n    def test(self):\n        self.assertTrue(True)\n"


def tree(root: Path, files: dict[str, str], name: str = "shop") -> Path:
    folder = root / name
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
    folder.mkdir(exist_ok=True)
    return folder


def proposed(root: Path, files: dict[str, str]) -> tuple[Proposal, Configuration]:
    proposal = propose(tree(root, files))
    return proposal, read_configuration(proposal.text.encode())


def command(configuration: Configuration, step: str) -> str:
    found = configuration.steps[step].command
    assert isinstance(found, str)
    return found


@pytest.mark.parametrize(
    ("files", "services", "steps"),
    [
        ({}, (), ("unit",)),
        ({"README.md": ""}, (), ("unit",)),
        ({"pyproject.toml": "[build-system]\n", "tests/conftest.py": ""}, (), ("lint", "unit")),
        ({"requirements.txt": "flask\npytest\n", "app.py": ""}, ("shop",), ("lint", "unit")),
        (
            {"setup.py": "", "tests/test_a.py": UNITTEST, "Procfile": "web: gunicorn app:app\n"},
            ("shop",),
            ("lint", "unit"),
        ),
        ({"setup.cfg": ""}, (), ("lint",)),
        ({"go.mod": GO, "main.go": MAIN}, ("shop",), ("lint", "unit")),
        ({"go.mod": GO, "shop.go": "package shop\n"}, (), ("lint", "unit")),
        (
            {"go.mod": GO, "cmd/api/main.go": MAIN, "cmd/worker/main.go": MAIN, "internal/a.go": "package internal\n"},
            ("api", "worker"),
            ("lint", "unit"),
        ),
        ({"package.json": NODE, "server.js": ""}, ("shop",), ("lint", "unit")),
        ({"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'}, (), ("unit",)),
        ({"package.json": "not json"}, (), ("unit",)),
        ({"package.json": "[]"}, (), ("unit",)),
        (
            {"pyproject.toml": "", "app.py": "", "tests/test_a.py": UNITTEST, "package.json": NODE},
            ("shop",),
            ("lint-shop", "unit-shop", "lint-shop-node", "unit-shop-node"),
        ),
        (
            {
                "web/requirements.txt": "",
                "web/app.py": "",
                "api/go.mod": GO,
                "api/main.go": MAIN,
                "front/package.json": NODE,
            },
            ("api", "front", "web"),
            ("lint-api", "unit-api", "lint-front", "unit-front", "lint-web"),
        ),
        (
            {"app.py": "", "requirements.txt": "", "services/app/go.mod": GO, "services/app/main.go": MAIN},
            ("shop", "app"),
            ("lint-shop", "lint-app", "unit-app"),
        ),
        (
            {"a/web/go.mod": GO, "a/web/main.go": MAIN, "b/web/package.json": NODE, "b/web/cmd/x.js": ""},
            ("web", "web-node"),
            ("lint-web", "unit-web", "lint-web-node", "unit-web-node"),
        ),
        ({"node_modules/x/package.json": NODE, ".tox/go.mod": GO, "vendor/a/go.mod": GO}, (), ("unit",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)
def test_what_is_proposed_can_be_read(
    tmp_path: Path, files: dict[str, str], services: tuple[str, ...], steps: tuple[str, ...]
) -> None:
    proposal, configuration = proposed(tmp_path, files)
    assert (proposal.services, proposal.steps) == (services, steps)
    assert tuple(configuration.environments) == (("dev", "staging", "production") if services else ())


def test_the_same_tree_gives_the_same_text(tmp_path: Path) -> None:
    files = {"web/requirements.txt": "pytest", "web/app.py": "", "api/go.mod": GO, "api/main.go": MAIN}
    one = propose(tree(tmp_path / "one", files))
    other = propose(tree(tmp_path / "other", dict(reversed(files.items()))))
    assert one == other


def test_the_file_is_commented(tmp_path: Path) -> None:
    proposal, _ = proposed(tmp_path, {"go.mod": GO, "main.go": MAIN})
    assert sum(line.lstrip().startswith("#") for line in proposal.text.splitlines()) >= 10


def test_a_python_project_is_tested_by_pytest_in_an_environment_of_its_own(tmp_path: Path) -> None:
    _, configuration = proposed(tmp_path, {"requirements.txt": "flask\n", "conftest.py": "", "app.py": ""})
    assert command(configuration, "unit").splitlines() == [
        "python3 -m venv .venv",
        ".venv/bin/pip install --quiet -r requirements.txt pytest",
        ".venv/bin/python -m pytest --junitxml=report.xml",
    ]
    assert configuration.steps["unit"].reports.junit == ["report.xml"]


def test_a_procfile_says_how_to_start(tmp_path: Path) -> None:
    files = {"requirements.txt": "", "Procfile": "release: x\nweb: gunicorn app:app --bind 127.0.0.1:$PORT\n"}
    _, configuration = proposed(tmp_path, files)
    assert configuration.services["shop"].run.command == "python3 -m gunicorn app:app --bind 127.0.0.1:$PORT"


def test_go_programs_share_a_library(tmp_path: Path) -> None:
    files = {"go.mod": GO, "cmd/api/main.go": MAIN, "cmd/job/main.go": MAIN, "internal/a.go": "package internal\n"}
    _, configuration = proposed(tmp_path, files)
    assert configuration.libraries["shop-shared"].paths == ["go.mod", "internal"]
    assert configuration.services["api"].paths == ["cmd/api"]
    assert configuration.services["api"].depends_on == ["shop-shared"]
    assert configuration.services["api"].build.inputs == ["cmd/api", "go.mod", "internal"]


def test_a_service_at_the_root_leaves_the_folders_of_others_alone(tmp_path: Path) -> None:
    files = {
        "app.py": "",
        "requirements.txt": "",
        "lib/a.py": "",
        "services/api/go.mod": GO,
        "services/api/main.go": MAIN,
    }
    _, configuration = proposed(tmp_path, files)
    assert configuration.services["shop"].paths == ["app.py", "lib", "requirements.txt"]
    assert configuration.services["api"].paths == ["services/api"]


def test_a_makefile_says_how_an_unknown_repository_is_tested(tmp_path: Path) -> None:
    _, configuration = proposed(tmp_path, {"Makefile": "all:\n\techo\ncheck: all\n\techo ok\n"})
    assert command(configuration, "unit") == "make check"


def test_a_repository_without_tests_does_not_pass_as_tested(tmp_path: Path) -> None:
    _, configuration = proposed(tmp_path, {})
    done = subprocess.run(["bash", "-c", command(configuration, "unit")], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "shipline.yaml does not say yet how to test this repository\n")


def test_the_proposed_build_of_a_python_service_makes_an_artifact_that_runs(tmp_path: Path) -> None:
    files = {"pyproject.toml": "", "app.py": "from lib.a import WORD\nprint(WORD)\n", "lib/a.py": "WORD = 'up'\n"}
    folder = tree(tmp_path, files)
    assert ran(folder) == "up\n"


def test_the_proposed_tests_of_a_python_project_run(tmp_path: Path) -> None:
    folder = tree(tmp_path, {"pyproject.toml": "", "tests/__init__.py": "", "tests/test_a.py": UNITTEST})
    steps = read_configuration(propose(folder).text.encode()).steps
    assert command_of(steps["unit"].command) == "python3 -m unittest discover -s tests -t ."
    for step in steps.values():
        subprocess.run(["bash", "-c", command_of(step.command)], cwd=folder, check=True, capture_output=True)


def command_of(found: str | list[str]) -> str:
    assert isinstance(found, str)
    return found


PYTEST = "def test_it():\n    assert True\n"
FASTAPI = "from fastapi import FastAPI\n\napp = FastAPI()\n"
FLASK = "import flask\n\nsite: flask.Flask = flask.Flask(__name__)\n"
DJANGO = "from django.core.wsgi import get_wsgi_application\n\napplication = get_wsgi_application()\n"
WSGI = "def application(environ, start_response):\n    return []\n"


@pytest.mark.parametrize(
    ("files", "last_line"),
    [
        ({"tests/test_a.py": UNITTEST}, "python3 -m unittest discover -s tests"),
        ({"test/__init__.py": "", "test/test_a.py": UNITTEST}, "python3 -m unittest discover -s test -t ."),
        ({"test_a.py": UNITTEST}, "python3 -m unittest discover"),
        ({"src/shop/a.py": "", "tests/test_a.py": UNITTEST}, "PYTHONPATH=src python3 -m unittest discover -s tests"),
        ({"tests/test_a.py": PYTEST}, ".venv/bin/python -m pytest --junitxml=report.xml"),
        ({"tests/test_a.py": f"import pytest\n{UNITTEST}"}, ".venv/bin/python -m pytest --junitxml=report.xml"),
        ({"tests/deep/test_a.py": UNITTEST}, ".venv/bin/python -m pytest --junitxml=report.xml"),
        ({"tests/a_test.py": UNITTEST}, ".venv/bin/python -m pytest --junitxml=report.xml"),
    ],
)
def test_python_tests_run_as_they_are_written(tmp_path: Path, files: dict[str, str], last_line: str) -> None:
    _, configuration = proposed(tmp_path, {"setup.cfg": "", **files})
    assert command(configuration, "unit").splitlines()[-1] == last_line


@pytest.mark.parametrize("package", [True, False])
def test_the_proposed_unit_tests_run_as_a_package_and_without(tmp_path: Path, package: bool) -> None:  # noqa: FBT001  # a case
    test = UNITTEST.replace("import unittest\n", "import unittest\n\nimport app\n").replace("True)", "app.UP)")
    files = {"setup.cfg": "", "app.py": "UP = 1\n", "tests/test_a.py": test}
    folder = tree(tmp_path, files | ({"tests/__init__.py": ""} if package else {}))
    unit = command_of(read_configuration(propose(folder).text.encode()).steps["unit"].command)
    done = subprocess.run(["bash", "-c", unit], cwd=folder, check=True, capture_output=True, text=True)
    assert "Ran 1 test" in done.stderr


@pytest.mark.parametrize(
    ("pyproject", "install"),
    [
        ("[build-system]\nrequires = []\n[project]\ndependencies = ['a']\n", "."),
        ("[project]\ndependencies = ['flask>=3', \"x; python_version < '4'\"]\n", None),
        ("[project]\nname = 'x'\n", ""),
        ("[project]\ndependencies = 'flask'\n", ""),
        ("project = 1\n", ""),
        ("[project\n", ""),
    ],
)
def test_what_a_python_project_needs_is_in_its_tests_and_its_artifact(
    tmp_path: Path, pyproject: str, install: str | None
) -> None:
    files = {"pyproject.toml": pyproject, "app.py": "", "tests/test_a.py": PYTEST}
    _, configuration = proposed(tmp_path, files)
    told = """'flask>=3' 'x; python_version < '"'"'4'"'"''""" if install is None else install
    environment = f".venv/bin/pip install --quiet {told} pytest".replace("  ", " ")
    assert command(configuration, "unit").splitlines()[1] == environment
    build = command_of(configuration.services["shop"].build.command).splitlines()
    target = f"python3 -m pip install --quiet --no-compile --target artifact/shop {told}"
    assert build[1:-1] == ([target] if told else [])


@pytest.mark.parametrize(
    ("files", "start"),
    [
        ({"requirements.txt": "fastapi\nuvicorn[standard]", "main.py": FASTAPI}, "uvicorn main:app --host H --port P"),
        ({"requirements.txt": "fastapi[standard]", "app/main.py": FASTAPI}, "uvicorn app.main:app --host H --port P"),
        ({"requirements.txt": "hypercorn", "src/main.py": FASTAPI}, "hypercorn main:app --bind H:P"),
        ({"requirements.txt": "gunicorn\nflask", "src/shop/__init__.py": FLASK}, "gunicorn shop:site --bind H:P"),
        ({"requirements.txt": "Flask", "app.py": FLASK}, "flask --app app:site run --host H --port P"),
        ({"requirements.txt": "waitress", "server.py": WSGI}, "waitress --listen=H:P server:application"),
        (
            {"pyproject.toml": "[tool.poetry.dependencies]\nuvicorn = '1'", "app.py": "async def app(a, b, c): ...\n"},
            "uvicorn app:app --host H --port P",
        ),
        (
            {"requirements.txt": "gunicorn", "manage.py": "", "site_x/asgi.py": "", "site_x/wsgi.py": DJANGO},
            "gunicorn site_x.wsgi:application --bind H:P",
        ),
        ({"shop/__main__.py": "", "setup.cfg": ""}, "shop"),
        ({"src/shop/__main__.py": "", "setup.cfg": ""}, "shop"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)
def test_a_python_service_is_started_as_a_module(tmp_path: Path, files: dict[str, str], start: str) -> None:
    _, configuration = proposed(tmp_path, files)
    expected = start.replace("H", "127.0.0.1").replace("P", "{port}")
    assert configuration.services["shop"].run.command == f"python3 -m {expected}"


@pytest.mark.parametrize(
    ("files", "start"),
    [
        ({"requirements.txt": "fastapi", "main.py": FASTAPI}, "python3 main.py"),
        ({"setup.cfg": "", "src/server.py": ""}, "python3 src/server.py"),
        ({"manage.py": ""}, "python3 manage.py runserver --noreload 127.0.0.1:{port}"),
        (
            {"pyproject.toml": "[project]\nname = 'b'\nscripts = {a = 'x.y:z', b = 'shop.cli:run'}", "shop/cli.py": ""},
            'python3 -c "import sys; from shop.cli import run as main; sys.exit(main())"',
        ),
    ],
)
def test_without_a_server_a_python_service_is_started_by_its_own_program(
    tmp_path: Path, files: dict[str, str], start: str
) -> None:
    _, configuration = proposed(tmp_path, files)
    assert configuration.services["shop"].run.command == start


@pytest.mark.parametrize(
    "files",
    [
        {"setup.cfg": "", "src/shop/a.py": "", "tests/__main__.py": "", "examples/main.py": FASTAPI},
        {"pyproject.toml": "[project]\nscripts = {}\n"},
        {"pyproject.toml": "[project]\nscripts = {a = 'not an entry'}\n"},
        {"pyproject.toml": "[project]\nscripts = ['a']\n"},
    ],
)
def test_a_python_library_is_no_service(tmp_path: Path, files: dict[str, str]) -> None:
    proposal, _ = proposed(tmp_path, files)
    assert proposal.services == ()


def test_a_part_does_not_start_what_is_another_parts(tmp_path: Path) -> None:
    files = {"requirements.txt": "uvicorn", "api/requirements.txt": "uvicorn", "api/main.py": FASTAPI}
    proposal, _ = proposed(tmp_path, files)
    assert proposal.services == ("api",)


def test_a_service_of_an_src_layout_runs_from_its_artifact(tmp_path: Path) -> None:
    files = {"setup.cfg": "", "src/shop/__main__.py": "from shop.words import UP\nprint(UP)\n"}
    folder = tree(tmp_path, {**files, "src/shop/words.py": "UP = 'up'\n", "tests/test_a.py": UNITTEST})
    assert ran(folder) == "up\n"


def ran(folder: Path) -> str:
    """What the proposed service of a folder prints, built and started from its artifact."""
    service = read_configuration(propose(folder).text.encode()).services["shop"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **service.run.environment}
    shell = ["bash", "-euo", "pipefail", "-c"]
    subprocess.run([*shell, command_of(service.build.command)], cwd=folder, check=True, env=environment)
    artifact = folder / service.build.output
    start = [*shell, command_of(service.run.command)]
    return subprocess.run(start, cwd=artifact, check=True, env=environment, capture_output=True, text=True).stdout


@pytest.mark.parametrize("root", ["node", "python"])
def test_a_service_at_the_root_copies_only_what_its_paths_cover(tmp_path: Path, root: str) -> None:
    own = {"package.json": NODE, "server.js": ""} if root == "node" else {"requirements.txt": "", "app.py": ""}
    files = {**own, "lib/a": "", "shipline.yaml": "", "services/api/go.mod": GO, "services/api/main.go": MAIN}
    _, configuration = proposed(tmp_path, files)
    service = configuration.services["shop"]
    copied = next(line for line in command_of(service.build.command).splitlines() if line.startswith("cp -R"))
    sources = {word.strip('"') for word in copied.split()[2:-1]} - {"node_modules"}
    assert sources == set(service.paths) == {"lib", *own}


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_the_proposed_build_of_a_node_service_that_needs_nothing_makes_an_artifact_that_runs(tmp_path: Path) -> None:
    folder = tree(tmp_path, {"package.json": NODE, "server.js": "console.log('up')\n"})
    assert ran(folder).splitlines()[-1] == "up"


def test_a_file_is_written_once_and_never_overwritten(tmp_path: Path) -> None:
    folder = tree(tmp_path, {"go.mod": GO})
    proposal = write(folder)
    assert (folder / "shipline.yaml").read_text(encoding="utf-8") == proposal.text
    (folder / "shipline.yaml").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        write(folder)
    assert caught.value.message == f"writing {folder}/shipline.yaml: it exists already"
    assert caught.value.hint == "edit it, or move it away first"
    assert (folder / "shipline.yaml").read_text(encoding="utf-8") == "mine"


def test_a_folder_that_is_not_there_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        write(tmp_path / "nowhere")
    assert caught.value.message == f"looking into {tmp_path}/nowhere: no such file or directory"


@pytest.mark.parametrize(
    "name", ["Ünïcode shop", "true", "a: b", "#1", "x" * 90, "quo'te", 'quo"te', "-dash", "new\nline", "{brace}", "*"]
)
def test_odd_names_of_folders_and_files_do_no_harm(tmp_path: Path, name: str) -> None:
    files = {f"{name}/go.mod": GO, f"{name}/main.go": MAIN, "app.py": "", "setup.py": "", f"{name}.py": ""}
    configuration = read_configuration(propose(tree(tmp_path, files, name)).text.encode())
    assert slug(name) in configuration.services


def test_a_first_release_asks_a_person_before_staging_and_production_and_watches_longer_each_time(
    tmp_path: Path,
) -> None:
    _, configuration = proposed(tmp_path, {"requirements.txt": "flask\n", "app.py": ""})
    asked = {
        name: (one.approvals.count if one.approvals else 0, one.watch_seconds)
        for name, one in configuration.environments.items()
    }
    assert asked == {"dev": (0, 3), "staging": (1, 10), "production": (1, 90)}
