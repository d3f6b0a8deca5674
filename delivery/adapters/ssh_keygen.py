"""SSH keys and signatures, by OpenSSH's own `ssh-keygen`: it knows every kind of key, hardware ones too."""

import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from delivery.errors import ConfigurationError, PermanentError, TransientError
from delivery.ports import SigningKey

NAMESPACE = "shipline-approval"
"""What a signature is for: one made for git commits or files does not count, nor does ours count there."""
_KINDS = frozenset(
    {
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    }
)
_LEAST_RSA_BITS = 2048
_BASE64 = re.compile(r"[A-Za-z0-9+/]{20,4000}={0,2}")
_DESCRIBED = re.compile(r"(?P<bits>\d+) (?P<fingerprint>SHA256:[A-Za-z0-9+/]{43}) .*")
_SIGNED = re.compile(r"Good \"[^\"]+\" signature for .* key (?P<fingerprint>SHA256:[A-Za-z0-9+/]{43})")
_MOST_SIGNATURE = 20_000
_SECONDS = 10.0


class SshKeygen:
    """`delivery.ports.Signatures`."""

    def read_key(self, line: str) -> SigningKey:
        kind, _, rest = line.strip().partition(" ")
        blob = rest.strip().partition(" ")[0]
        if kind not in _KINDS or not _BASE64.fullmatch(blob):
            hint = "give the one line of a .pub file: " + ", ".join(sorted(_KINDS))
            raise ConfigurationError("reading a public key: that is none", hint=hint)
        plain = f"{kind} {blob}"
        done = _run(("-l", "-f", "/dev/stdin"), plain.encode())
        described = _DESCRIBED.match(done.stdout.decode(errors="replace"))
        if done.returncode or described is None:
            raise ConfigurationError("reading a public key: ssh-keygen does not know it as one")
        if kind == "ssh-rsa" and int(described["bits"]) < _LEAST_RSA_BITS:
            raise ConfigurationError(f"reading a public key: RSA needs {_LEAST_RSA_BITS} bits at least")
        return SigningKey(plain, described["fingerprint"])

    def verify(self, content: bytes, signature: str, person: str, keys: Sequence[str]) -> str | None:
        if not keys or len(signature) > _MOST_SIGNATURE:
            return None
        with tempfile.TemporaryDirectory(prefix="shipline-signature-") as name:
            signers, signed = Path(name) / "signers", Path(name) / "signature"
            signers.write_text("".join(f'{person} namespaces="{NAMESPACE}" {key}\n' for key in keys))
            signed.write_text(signature)
            wanted = ("-f", str(signers), "-I", person, "-n", NAMESPACE, "-s", str(signed))
            done = _run(("-Y", "verify", *wanted), content)
        found = _SIGNED.match(done.stdout.decode(errors="replace"))
        return found["fingerprint"] if found and not done.returncode else None


def _run(arguments: Sequence[str], content: bytes) -> subprocess.CompletedProcess[bytes]:
    command = ("ssh-keygen", *arguments)
    try:
        return subprocess.run(command, input=content, capture_output=True, check=False, timeout=_SECONDS)
    except FileNotFoundError as error:
        hint = "install OpenSSH's client: apt-get install openssh-client"
        raise PermanentError("asking ssh-keygen: it is not there", hint=hint) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TransientError(f"asking ssh-keygen: {type(error).__name__}", hint="try again") from error
