"""The tour's approvals that prove who gave them: an SSH signature, checked by the plain `ssh-keygen`."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from shipline.tour_place import Place, claim

Document = dict[str, Any]
APPROVER = "alice"


def sign_approval(place: Place, waiting: Document) -> None:
    """Approve with a key of the approver's, and let OpenSSH alone check what it says; without OpenSSH, by the token."""
    if shutil.which("ssh-keygen") is None:
        place.say("skipped the signature: there is no ssh-keygen here (apt-get install openssh-client)")
        place.shipline("approve", waiting["id"])
        return
    key = _key(place)
    place.shipline("people", "add", APPROVER, "--role", "approver")
    enrolled = place.shipline("people", "enroll", APPROVER, "--key", f"{key}.pub")
    decision = place.shipline("approve", waiting["id"], "--key", str(key))
    claim((decision["approver"], decision["evidence"]) == (APPROVER, "ssh-signature"), "the approver has signed it")
    place.say(f"signed by {APPROVER} with {enrolled['fingerprint']}")
    _check(place, waiting)


def _key(place: Place) -> Path:
    """A key pair as a person would have one."""
    key = place.folder / "id_ed25519"
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", APPROVER, "-f", str(key)), check=True)
    return key


def _check(place: Place, waiting: Document) -> None:
    """The statement names the very digests, and OpenSSH says whose it is."""
    proof = place.folder / "proof"
    place.shipline("evidence", waiting["id"], "--save", str(proof))
    [statement] = proof.glob("*.json")
    said = statement.read_text()
    claim(all(digest in said for digest in waiting["digests"].values()), "what was signed names every digest")
    who = ("-f", str(proof / "allowed_signers"), "-I", APPROVER, "-n", "shipline-approval")
    command = ("ssh-keygen", "-Y", "verify", *who, "-s", f"{statement}.sig")
    checked = subprocess.run(command, input=said.encode(), capture_output=True, check=False)
    claim(checked.returncode == 0, f"ssh-keygen checks it: {checked.stderr.decode()}")
    place.say(f"ssh-keygen -Y verify: {checked.stdout.decode().strip()}")
    altered = said.replace('"decision":"approve"', '"decision":"reject"')
    refused = subprocess.run(command, input=altered.encode(), capture_output=True, check=False)
    claim(refused.returncode != 0, "ssh-keygen refuses what was altered")
