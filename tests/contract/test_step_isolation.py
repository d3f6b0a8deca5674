"""What an isolated command sees, cannot do and cannot undo; as whoever runs the tests, and without privileges."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import delivery
from delivery.adapters.isolating import exposure
from delivery.adapters.process_fixtures import ProcessFixtures
from delivery.adapters.process_runner import ProcessRunner
from delivery.config import CommandFixture, Fixture, PostgresqlFixture, Readiness
from delivery.errors import TransientError
from delivery.isolation import Isolation, IsolationMode, Visible
from delivery.runner import SYSTEM_PATH, Ending, Exit, ProcessSpec, command_arguments
from tests.servers.ordinary_account import ROOT, ordinary_account

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can take rights away from a whole test")


@dataclass(frozen=True, slots=True)
class Place:
    """A home with a credential, a checkout, a tool cache and a mirror; and a way to run commands in the checkout."""

    home: Path

    @property
    def checkout(self) -> Path:
        return self.home / "work" / "run" / "checkout"

    @property
    def credential(self) -> Path:
        return self.home / "credentials" / "api-token"

    @property
    def isolation(self) -> Isolation:
        mirror = Visible(self.home / "sources" / "shop.git")
        return Isolation(self.home, (Visible(self.checkout, writable=True), mirror, Visible(self.home / "not-there")))

    def run(self, command: str | list[str], mode: IsolationMode = IsolationMode.REQUIRED) -> tuple[Exit, str]:
        said: list[bytes] = []
        spec = ProcessSpec(
            command_arguments(command), self.checkout, {"PATH": SYSTEM_PATH}, 20, isolation=self.isolation
        )
        ended = ProcessRunner(mode).run(spec, said.append, threading.Event())
        return ended, b"".join(said).decode()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "home")
    for folder in (made.checkout, made.credential.parent, made.home / "sources" / "shop.git"):
        folder.mkdir(parents=True)
    made.credential.write_text("hunter2")
    (made.home / "sources" / "shop.git" / "HEAD").write_text("ref")
    return made


@pytest.fixture
def neighbour() -> Iterator[int]:
    """A process of ours with a secret in its environment."""
    with subprocess.Popen(["sleep", "60"], env={"PATH": SYSTEM_PATH, "NEIGHBOURS_SECRET": "hunter3"}) as process:
        yield process.pid
        process.kill()


def test_of_what_is_hidden_only_what_was_asked_for_is_there(place: Place) -> None:
    ended, said = place.run(f"cd {place.home} && find . | sort; cat {place.credential} || true")
    there = [".", "./sources", "./sources/shop.git", "./sources/shop.git/HEAD"]
    there += ["./work", "./work/run", "./work/run/checkout"]
    assert said.splitlines() == [*there, f"cat: {place.credential}: No such file or directory"]
    assert (ended.isolated, ended.exposure) == (True, exposure())


def test_what_is_written_stays_where_it_may_be_written(place: Place) -> None:
    _, said = place.run(
        f"echo made > out; echo x > {place.home}/sources/shop.git/HEAD || true; touch {place.home}/x || true"
    )
    assert (place.checkout / "out").read_text() == "made\n"
    assert (place.home / "sources" / "shop.git" / "HEAD").read_text() == "ref"
    assert said.count("Read-only file system") == 2


def test_a_home_that_is_reached_by_a_link_is_hidden_by_every_path(place: Place, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(place.home)
    linked = Place(tmp_path / "link")
    assert linked.run(f"ls {place.home} {linked.home}/; echo made > out")[1].split().count("credentials") == 0
    assert (place.checkout / "out").exists()


def test_no_other_process_is_seen_or_reached(place: Place, neighbour: int) -> None:
    look = "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep NEIGHBOURS || echo none"
    _, said = place.run(f"{look}; kill -0 {neighbour} || true; cat /proc/[0-9]*/comm")
    assert said.splitlines()[0] == "none"
    assert f"kill: ({neighbour}) - No such process" in said
    assert len(said.splitlines()) < 6, "a shell, what is above it, and cat"


@pytest.mark.parametrize(
    "undo",
    [
        "umount {home}",
        "umount -l /proc",
        "unshare --user --map-root-user --mount umount {home}",
        "unshare --user --map-root-user --mount mount --bind / {checkout}/mnt",
        "mount -o remount,rw {home}",
        "nsenter --target 1 --mount true",
        "mknod disk b 254 0",
    ],
)
def test_it_cannot_be_undone(place: Place, undo: str) -> None:
    (place.checkout / "mnt").mkdir()
    ended, said = place.run(undo.format(home=place.home, checkout=place.checkout))
    assert ended.code not in {0, 127}, said
    assert place.run(f"ls {place.home}/credentials")[0].code != 0


def test_shared_memory_is_its_own(place: Place) -> None:
    assert place.run("ls -A /dev/shm; echo x > /dev/shm/x && cat /dev/shm/x")[1] == "x\n"
    assert not Path("/dev/shm/x").exists()


def test_shiplines_own_code_can_be_read_and_not_changed(place: Place) -> None:
    code = delivery.__file__
    ended, said = place.run(f"head -c 3 {code}; echo >> {code}")
    assert (ended.code, said[:3]) == (1, '"""'), said


def test_a_command_that_has_nothing_to_be_hidden_from_sees_everything(place: Place, neighbour: int) -> None:
    said: list[bytes] = []
    spec = ProcessSpec(("cat", str(place.credential), f"/proc/{neighbour}/comm"), place.checkout, {"PATH": SYSTEM_PATH})
    ended = ProcessRunner(IsolationMode.REQUIRED).run(spec, said.append, threading.Event())
    assert (b"".join(said), ended.isolated, ended.exposure) == (b"hunter2sleep\n", False, "")


def test_isolation_can_be_left_off_and_that_is_said(place: Place) -> None:
    ended, said = place.run(["cat", str(place.credential)], IsolationMode.OFF)
    assert (said, ended.isolated, ended.exposure) == ("hunter2", False, "SHIPLINE_STEP_ISOLATION is off")


@dataclass(frozen=True, slots=True)
class Unmountable(Place):
    """Where nothing can be shown under the name that is asked for."""

    @property
    def isolation(self) -> Isolation:
        return Isolation(self.home, (Visible(Path("/" + "x" * 300)),))


def test_what_cannot_be_isolated_runs_all_the_same_and_that_is_said(place: Place) -> None:
    ended, said = Unmountable(place.home).run(["echo", "ran"], IsolationMode.AUTO)
    assert (ended.ending, ended.code, said, ended.isolated) == (Ending.EXITED, 0, "ran\n", False)
    assert ended.exposure == f"this machine does not allow isolation: opening /{'x' * 300}: file name too long"


def test_what_has_to_be_isolated_and_cannot_be_does_not_run(place: Place) -> None:
    with pytest.raises(TransientError, match="isolating a command: this machine does not allow isolation: opening"):
        Unmountable(place.home).run(["touch", "ran"], IsolationMode.REQUIRED)
    assert list(place.checkout.iterdir()) == []


TRIES = """
import sys, threading
from pathlib import Path
from delivery.adapters.process_runner import ProcessRunner
from delivery.isolation import Isolation
from delivery.runner import ProcessSpec
spec = ProcessSpec(("true",), Path("/"), {"PATH": "/usr/bin:/bin"}, 20, isolation=Isolation(Path(sys.argv[1])))
ended = ProcessRunner().run(spec, lambda _chunk: None, threading.Event())
print(ended.ending, ended.code, ended.isolated, ended.exposure)
"""


def tried(*before: str, python: tuple[str, ...], hidden: Path) -> str:
    """What a fresh process says of a command that it isolates."""
    ended = subprocess.run([*before, *python, "-I", "-c", TRIES, hidden], check=True, capture_output=True, text=True)
    return ended.stdout.strip()


@AS_ROOT
def test_a_container_that_allows_no_namespace_is_told_by_its_cause(place: Place) -> None:
    without = ("setpriv", "--bounding-set=-sys_admin")
    told = tried(*without, python=(sys.executable,), hidden=place.home)
    cause = "this machine does not allow isolation: making a process namespace: operation not permitted"
    assert told == f"exited 0 False {cause}"


@AS_ROOT
def test_a_container_that_masks_what_is_in_proc_is_told_by_its_cause() -> None:
    """The user namespace is entered by then, so that the command needs another supervisor."""
    masked = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc/sys && exec "$@"', "sh")
    with ordinary_account() as account:
        told = tried(*masked, python=account.command(), hidden=account.folder)
    assert told == "exited 0 False this machine does not allow isolation: mounting /proc: operation not permitted"


def test_a_fixtures_command_sees_no_more_than_the_step(place: Place, tmp_path: Path) -> None:
    said: list[bytes] = []
    serve = f"cat {place.credential} || true; touch $HOME/mine; exec python3 -m http.server {{port}} --bind 127.0.0.1"
    asked = Fixture(run=CommandFixture(command=serve, ready=Readiness(command=f"! test -e {place.credential}")))
    fixtures = ProcessFixtures(ProcessRunner(IsolationMode.REQUIRED), place.home / "work" / "fixtures", tmp_path)
    with fixtures.start(asked, place.checkout, said.append, place.isolation):
        pass
    assert b"No such file or directory" in b"".join(said)
    assert b"mine" not in b"".join(said)


@pytest.mark.integration
@pytest.mark.skipif(os.geteuid() == 0, reason="root's PostgreSQL runs as another account")
def test_a_fixtures_superuser_sees_no_more_than_the_step(place: Place, tmp_path: Path) -> None:
    import psycopg

    fixtures = ProcessFixtures(ProcessRunner(IsolationMode.REQUIRED), place.home / "work" / "fixtures", tmp_path)
    asked = Fixture(postgresql=PostgresqlFixture())
    with (
        fixtures.start(asked, place.checkout, lambda _chunk: None, place.isolation) as told,
        psycopg.connect(told["DATABASE_URL"], autocommit=True) as connection,
    ):
        with pytest.raises(psycopg.errors.UndefinedFile):
            connection.execute("SELECT pg_read_file(%s)", [str(place.credential)])
        connection.execute("CREATE TABLE said (line text)")
        connection.execute(f"COPY said FROM PROGRAM 'ls -A {place.home}; ls -d /proc/[0-9]* | wc -l'")
        said = [row[0] for row in connection.execute("SELECT line FROM said").fetchall()]
    assert (said[:-1], int(said[-1]) < 20) == (["sources", "work"], True)


@AS_ROOT
def test_the_same_holds_without_privileges() -> None:
    """This file again, and what isolated commands do wrong, as an account that isolation protects from."""
    files = (__file__, str(ROOT / "tests" / "contract" / "test_runner.py"))
    chosen = ("-k", "not open", "-p", "no:cacheprovider", "--timeout=240")
    with ordinary_account() as account:
        ended = subprocess.run(
            account.command("-Im", "pytest", "-q", *chosen, f"--basetemp={account.folder / 'tests'}", *files),
            cwd=ROOT,
            env=account.environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-1000:]
