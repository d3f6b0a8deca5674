"""The stages of the tour: each does something as a person would, and claims only what it has looked at."""

import time
from collections.abc import Callable
from typing import Any

from shipline.tour_evidence import answer_page, sign_approval
from shipline.tour_place import Hammer, Place, ask, claim

Document = dict[str, Any]
_ENDED = {"Succeeded", "Failed", "Errored", "Refused", "Superseded", "Aborted"}


def start(place: Place) -> None:
    """A repository, and a control plane of its own."""
    place.make_repository()
    components = place.shipline("up")["components"]
    claim(components and all(one["state"] == "ready" for one in components), "every component is ready")
    place.project = place.shipline("project", "add")["slug"]
    place.say("ready: " + ", ".join(f"{one['name']} {one['version'] or ''}".strip() for one in components))


def plan(place: Place) -> None:
    """What a first run would do, and why."""
    planned = place.shipline("plan")
    claim({one["action"] for one in planned["steps"]} == {"run"}, "on the first run every step runs")
    claim([one["environment"] for one in planned["deploys"]] == ["dev", "staging", "production"], "three environments")
    for one in planned["steps"]:
        place.say(f"{_step(one)}: {one['action']}, because {'; '.join(one['because'])}")
    for one in planned["deploys"]:
        place.say(f"then {one['environment']}, waiting for {', '.join(one['waits_for']) or 'nothing'}")


def deliver_to_dev(place: Place) -> None:
    """Test, build once, and go as far as no person is needed."""
    run = place.shipline("run")
    claim(run["state"] == "Waiting", f"the run waits for a person, not {run['state']}")
    claim({one["state"] for one in run["steps"]} == {"Completed"}, "every step completed")
    place.kept["first"] = digests(run)
    serves(place, "dev", place.kept["first"])
    for one in run["steps"]:
        place.say(f"{_step(one)}: {one['state']} in {one['seconds']:.1f} s")
    for service, digest in place.kept["first"].items():
        place.say(f"built {service} {digest}")
    place.say(f"dev answers: {ask(address(place, 'dev', 'greeter'), '/greet?name=Ada')['greeting']}")


def approve_staging(place: Place) -> None:
    """A person says yes; the same digests go on."""
    waiting = approval(place, "staging")
    claim(waiting["digests"] == place.kept["first"], "the approval names the very digests that dev runs")
    place.say(f"waits for {waiting['requires']} approval; in the browser: {waiting['url']}")
    answer_page(place, waiting)
    succeeds(place, waiting["id"])
    [given] = place.shipline("evidence", waiting["id"])["promotions"][0]["approvals"]
    claim(given["evidence"] == "one-time-code", "the ledger knows by which evidence")
    place.say(f"approved by {given['approver']}, known by a {given['evidence']}")
    serves(place, "staging", place.kept["first"])
    place.say("staging runs the same digests, checked by its smoke suite and its watch window")


def approve_production(place: Place) -> None:
    """What is verified in staging may go to production, when a person agrees, and signs that."""
    waiting = approval(place, "production")
    sign_approval(place, waiting)
    succeeds(place, waiting["id"])
    serves(place, "production", place.kept["first"])
    place.say(f"production answers: {ask(address(place, 'production', 'greeter'), '/greet?name=Ada')['greeting']}")


def change_one_service(place: Place) -> None:
    """A change of one service; what it does not touch is not done again, and no request is lost."""
    place.change("greeter/greetings.py", "name=Ada", "name=Grace")
    place.change("shipline.yaml", 'APP_VERSION: "1.0.0"', 'APP_VERSION: "1.1.0"')
    place.commit("feat: invite Grace")
    with Hammer(address(place, "production", "greeter")) as hammer:
        run = place.shipline("run")
        reused = [_step(one) for one in run["steps"] if one["state"] == "Cached"]
        claim(reused, "untouched steps are reused")
        place.kept["second"] = digests(run)
        claim(place.kept["second"]["web"] == place.kept["first"]["web"], "the untouched service keeps its digest")
        claim(place.kept["second"]["greeter"] != place.kept["first"]["greeter"], "the changed service has a new one")
        place.say(f"reused: {', '.join(reused)}; web keeps its digest, greeter has a new one")
        for environment in ("staging", "production"):
            approve_next(place, environment)
    serves(place, "production", place.kept["second"])
    claim(guest(place, "production") == "Grace", "production has the change")
    claim(hammer.asked > 0 and not hammer.failed, f"no request failed: {hammer.failed[:3]} of {hammer.asked}")
    place.say(f"production invites Grace; {hammer.asked} requests while it rolled out, none failed")


def change_that_breaks(place: Place) -> None:
    """A change that passes its tests, fails staging's smoke suite, and is taken back by itself."""
    greeting = '    return {"greeting"'
    strict = '    if not query.get("name", "world").isalpha():\n        raise ValueError("a name has letters only")\n'
    place.change("greeter/greetings.py", greeting, strict + greeting)
    place.commit("feat: names have letters only")
    place.shipline("run")
    bad = approval(place, "staging")["id"]
    place.shipline("approve", bad)
    ended = ends(place, bad)
    claim(ended["state"] == "Failed", f"the promotion failed, not {ended['state']}")
    serves(place, "staging", place.kept["second"])
    serves(place, "production", place.kept["second"])
    claim(guest(place, "staging") == "Grace", "staging answers as before")
    incident = next((one for one in place.shipline("incidents") if one["caused_by"] == bad), None)
    claim(incident is not None, "an incident names the promotion that caused it")
    place.say(f"staging: {'; '.join(ended['reasons'])}")
    place.say(f"rolled back by itself; incident {incident['id'] if incident else ''} names {bad}")


def roll_back_production(place: Place) -> None:
    """A person goes back to the release before."""
    ended = place.shipline("rollback", "production")
    claim((ended["state"], ended["kind"]) == ("Succeeded", "rollback"), "the rollback is a promotion that succeeded")
    serves(place, "production", place.kept["first"])
    claim(guest(place, "production") == "Ada", "production greets as before the change")
    place.say("production invites Ada again, from the digests it had before")


def stop_control_plane(place: Place) -> None:
    """Without the control plane, what is deployed goes on serving."""
    web = address(place, "production", "web")
    place.shipline("down")
    for _ in range(20):
        claim(ask(web)["open"], "the service goes on serving")
        time.sleep(0.02)
    place.say("control plane stopped; 20 of 20 requests to production answered")
    place.shipline("up")
    serves(place, "production", place.kept["first"])
    place.say("started again; status says what it said before")


def look_back(place: Place) -> None:
    """What runs, what happened, and how well it is delivered."""
    history = place.shipline("history")
    states = [(one["environment"], one["kind"], one["state"]) for one in history]
    claim(states.count(("production", "change", "Succeeded")) == 2, "two changes went to production")  # noqa: PLR2004
    claim(("production", "rollback", "Succeeded") in states, "and one rollback")
    claim(("staging", "change", "Failed") in states, "and one failed in staging")
    verified = place.shipline("ledger", "verify")
    claim(verified["ok"], "the chain of the ledger is whole")
    dora = place.shipline("dora", "--env", "production")
    claim(dora["n"] > 0, "DORA counts the deployments of production")
    empty = [name for name, metric in dora["metrics"].items() if metric["n"] == 0]
    claim(all(dora["metrics"][name]["value"] is None for name in empty), "no data is not zero")
    place.say(f"ledger: {verified['rows']} entries, chain whole, head {verified['head'][place.project]['digest']}")
    for words in (("status",), ("history",), ("dora", "--env", "production")):
        place.show(*words)


def approve_next(place: Place, environment: str) -> str:
    """Approve what waits, or soon will, in an environment; the promotion's id once it succeeded."""
    waiting = approval(place, environment)
    place.shipline("approve", waiting["id"])
    succeeds(place, waiting["id"])
    return str(waiting["id"])


def approval(place: Place, environment: str) -> Document:
    """What waits in an environment for a person."""

    def found() -> Document | None:
        waiting: list[Document] = place.answer("projects", place.project, "approvals")
        return next((one for one in waiting if one["environment"] == environment), None)

    document: Document = place.wait_for(f"something waits for approval in {environment}", found)
    return document


def ends(place: Place, promotion: str) -> Document:
    """A promotion once it has ended."""

    def found() -> Document | None:
        document: Document = place.answer("promotions", promotion)
        return document if document["state"] in _ENDED else None

    document: Document = place.wait_for(f"promotion {promotion} ends", found)
    return document


def succeeds(place: Place, promotion: str) -> None:
    """Claim a promotion's success."""
    ended = ends(place, promotion)
    claim(ended["state"] == "Succeeded", f"{ended['environment']}: {ended['state']}: {'; '.join(ended['reasons'])}")


def serves(place: Place, environment: str, expected: Document) -> None:
    """Claim that exactly these digests run, healthy, by looking."""
    services = environment_of(place, environment)["services"]
    running = {one["name"]: one["digest"] for one in services}
    claim(running == expected, f"{environment} runs {expected}, not {running}")
    claim({one["health"] for one in services} == {"healthy"}, f"{environment} is healthy")


def address(place: Place, environment: str, service: str) -> str:
    """Where a service's router listens."""
    services = environment_of(place, environment)["services"]
    return str(next(one["address"] for one in services if one["name"] == service))


def guest(place: Place, environment: str) -> str:
    """Whom the greeter invites: what the tour's changes change."""
    return str(ask(address(place, environment, "greeter"))["try"]).rpartition("=")[2]


def environment_of(place: Place, environment: str) -> Document:
    """One environment of the status."""
    found = place.answer("projects", place.project, "status", environment=environment)
    return dict(found["environments"][0])


def digests(run: Document) -> dict[str, str]:
    """What a run built or reused."""
    return {one["service"]: one["digest"] for one in run["artifacts"]}


def _step(step: Document) -> str:
    return f"{step['name']}@{step['service']}" if step["service"] else str(step["name"])


STAGES: tuple[tuple[str, Callable[[Place], None]], ...] = (
    ("A repository and a control plane", start),
    ("Plan", plan),
    ("Test, build once, deploy to dev", deliver_to_dev),
    ("A person approves staging, with a code on Prefect's page", approve_staging),
    ("A person signs the approval for production", approve_production),
    ("A change of one service", change_one_service),
    ("A change that breaks in staging", change_that_breaks),
    ("Roll back production", roll_back_production),
    ("Stop the control plane", stop_control_plane),
    ("Look back", look_back),
)
