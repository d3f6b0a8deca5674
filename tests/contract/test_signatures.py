"""The contract of `Signatures`: real keys and `ssh-keygen` for the real one, made-up ones for the fake."""

import base64
import hashlib
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from delivery.adapters.ssh_keygen import NAMESPACE, SshKeygen
from delivery.errors import ConfigurationError, PermanentError
from delivery.ports import Signatures
from tests.fakes.signatures import InMemorySignatures

CONTENT = b'{"person":"alice"}'


@dataclass(frozen=True, slots=True)
class Pair:
    """A key pair: the line of its public half, and what signs with the private one."""

    line: str
    sign: Callable[[bytes, str], str]


@dataclass(slots=True)
class World:
    signatures: Signatures
    make: Callable[[str], Pair]


def real(folder: Path, name: str, kind: str = "ed25519", bits: str = "256") -> Pair:
    key = folder / f"{name}-{kind}-{bits}"
    command = ("ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", "", "-C", f"{name} at home", "-f", str(key))
    subprocess.run(command, check=True)

    def sign(content: bytes, namespace: str) -> str:
        signing = ("ssh-keygen", "-Y", "sign", "-q", "-n", namespace, "-f", str(key))
        return subprocess.run(signing, input=content, capture_output=True, check=True).stdout.decode()

    return Pair(key.with_name(f"{key.name}.pub").read_text(), sign)


def faked(name: str) -> Pair:
    line = f"ssh-ed25519 {base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()} {name}"

    def sign(content: bytes, namespace: str) -> str:
        return InMemorySignatures.sign(" ".join(line.split()[:2]), content if namespace == NAMESPACE else b"")

    return Pair(line, sign)


@pytest.fixture(params=["fake", "ssh-keygen"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    if request.param == "fake":
        return World(InMemorySignatures(), faked)
    if shutil.which("ssh-keygen") is None:
        pytest.skip("there is no ssh-keygen here: apt-get install openssh-client")
    return World(SshKeygen(), lambda name: real(tmp_path, name))


def test_a_key_is_known_by_its_fingerprint_and_kept_without_its_comment(world: World) -> None:
    pair = world.make("alice")
    key = world.signatures.read_key(f"  {pair.line}\n")
    assert key.fingerprint.startswith("SHA256:")
    assert key.line == " ".join(pair.line.split()[:2])
    assert world.signatures.read_key(key.line) == key


def test_what_one_of_the_keys_signed_is_known_by_that_key(world: World) -> None:
    alice, bob = world.make("alice"), world.make("bob")
    keys = [world.signatures.read_key(one.line) for one in (bob, alice)]
    found = world.signatures.verify(CONTENT, alice.sign(CONTENT, NAMESPACE), "alice", [one.line for one in keys])
    assert found == keys[1].fingerprint


@pytest.mark.parametrize("wrong", ["content", "key", "namespace", "none", "garbage", "huge"])
def test_nothing_else_is_a_signature(world: World, wrong: str) -> None:
    alice, mallory = world.make("alice"), world.make("mallory")
    signature = {
        "content": alice.sign(CONTENT + b" ", NAMESPACE),
        "key": mallory.sign(CONTENT, NAMESPACE),
        "namespace": alice.sign(CONTENT, "git"),
        "none": "",
        "garbage": "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n",
        "huge": "A" * 100_000,
    }[wrong]
    assert world.signatures.verify(CONTENT, signature, "alice", [world.signatures.read_key(alice.line).line]) is None


def test_without_keys_nobody_signed(world: World) -> None:
    alice = world.make("alice")
    assert world.signatures.verify(CONTENT, alice.sign(CONTENT, NAMESPACE), "alice", []) is None


@pytest.mark.parametrize(
    "line", ["", "ssh-ed25519", "ssh-ed25519 AAAA", "-----BEGIN OPENSSH PRIVATE KEY-----", "x y z"]
)
def test_what_is_no_key_is_refused(world: World, line: str) -> None:
    with pytest.raises(ConfigurationError):
        world.signatures.read_key(line)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen here")
@pytest.mark.parametrize(("kind", "bits"), [("rsa", "2048"), ("ecdsa", "384")])
def test_other_kinds_of_keys_sign_too(tmp_path: Path, kind: str, bits: str) -> None:
    pair, signatures = real(tmp_path, "alice", kind, bits), SshKeygen()
    key = signatures.read_key(pair.line)
    assert signatures.verify(CONTENT, pair.sign(CONTENT, NAMESPACE), "alice", [key.line]) == key.fingerprint


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen here")
def test_weak_keys_and_options_before_a_key_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="2048 bits"):
        SshKeygen().read_key(real(tmp_path, "alice", "rsa", "1024").line)
    with pytest.raises(ConfigurationError):
        SshKeygen().read_key(f"cert-authority {real(tmp_path, 'bob').line}")


def test_without_openssh_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(PermanentError) as caught:
        SshKeygen().read_key("ssh-ed25519 " + "A" * 68)
    assert "openssh-client" in caught.value.hint
