"""The tour's approvals that prove who gave them.

One is a one-time code on Prefect's page, answered as that page does it; one is an SSH signature, checked by the plain
`ssh-keygen`.
"""

import http.client
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyotp

from shipline.tour_place import ClaimError, Place, claim

Document = dict[str, Any]
APPROVER = "alice"
_AT_THE_PAGE = "carol"
_STEP_SECONDS = 30
_PAGE_SECONDS = 60


def answer_page(place: Place, waiting: Document) -> None:
    """Say yes on Prefect's page with the code of an authenticator; the wrong one is refused, and nothing moves."""
    place.shipline("people", "add", _AT_THE_PAGE, "--role", "approver")
    token = place.shipline("people", "token", _AT_THE_PAGE)["token"]
    codes: Any = pyotp.parse_uri(place.shipline("people", "enroll", _AT_THE_PAGE, "--code")["uri"])
    now = int(time.time())
    confirmed = place.shipline("people", "enroll", _AT_THE_PAGE, "--confirm", codes.at(now - _STEP_SECONDS))
    claim(confirmed["enrolled"], "the authenticator is enrolled")
    refused = _answer(waiting, token, "000000")
    claim(refused["status"] == "REJECT", "a wrong code is refused")
    place.say(f"a wrong code on the page: {refused['details']['reason']}")
    claim(_answer(waiting, token, codes.at(int(time.time())))["status"] == "ACCEPT", "the right code is taken")


def _answer(waiting: Document, token: str, code: str) -> Document:
    """What the page at that address sends when its form is submitted."""
    page = urlsplit(waiting["url"])
    given = {"run_input": {"decision": "approve", "comment": "seen in dev", "code": code}}
    connection = http.client.HTTPConnection(str(page.hostname), page.port, timeout=_PAGE_SECONDS)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    flow_run = page.path.rpartition("/")[2]
    try:
        connection.request("POST", f"/api/flow_runs/{flow_run}/resume", json.dumps(given), headers)
        answer = connection.getresponse()
        content = answer.read()
    except OSError as error:
        raise ClaimError(f"does not hold: the page answers ({error})") from error
    finally:
        connection.close()
    claim(answer.status < 400, f"the page takes an answer, not {answer.status}: {content[:200]!r}")  # noqa: PLR2004  # HTTP's errors
    return dict(json.loads(content))


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
