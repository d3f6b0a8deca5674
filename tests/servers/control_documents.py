"""Documents as the control plane's API gives them."""

from typing import Any

Document = dict[str, Any]

COMMIT = "4f3a2b1c" * 5
BASE = "1a2b3c4d" * 5
DIGEST = "sha256:" + "ab" * 32
OLDER = "sha256:" + "cd" * 32
RELEASE = "sha256:" + "ef" * 32
RUN = "0198c1f2-7e0a-7bbb-8f00-2f6a5b1c9d3e"
PROMOTION = "0198c1f2-7e0a-7bbb-8f00-000000000001"
OTHER_PROMOTION = "0198c1f2-7e0a-7bbb-8f00-000000000002"
INCIDENT = "0198c1f2-7e0a-7bbb-8f00-00000000000f"
PROJECT: Document = {"slug": "shop", "source": "https://git.example/shop", "default_branch": "main", "location": "/x"}

HEAD: Document = {"shop": {"sequence": 3, "digest": DIGEST}}
PLAN: Document = {
    "revision": COMMIT,
    "version": "1.2.0",
    "fail_fast": False,
    "base": BASE,
    "base_because": "the last successful revision of main",
    "changed": [{"path": "api/app.py", "change": "modified"}],
    "services": [
        {"name": "api", "impacted": True, "because": ["api/app.py changed"]},
        {"name": "web", "impacted": False, "because": ["nothing of it changed"]},
    ],
    "steps": [
        {"name": "lint", "service": None, "action": "reuse", "because": ["same inputs as before"]},
        {"name": "unit", "service": "api", "action": "run", "because": ["api is impacted"]},
        {"name": "unit", "service": "web", "action": "skip", "because": ["web is not impacted"]},
    ],
    "deploys": [
        {"environment": "dev", "waits_for": []},
        {"environment": "staging", "waits_for": ["1 approval", "verified in dev"]},
    ],
}
WHY: Document = {
    "project": "shop",
    "revision": COMMIT,
    "steps": [
        {
            "id": "unit@api",
            "name": "unit",
            "service": "api",
            "key": DIGEST,
            "action": "run",
            "reusable": False,
            "because": f"its inputs differ: api/app.py (modified), api/new.py (added), compared with run {RUN}",
            "nearest": {
                "run": RUN,
                "revision": BASE,
                "at": "2026-11-22T12:00:00.000000Z",
                "key": OLDER,
                "same_line": True,
            },
            "differs": {
                "component": "inputs",
                "name": None,
                "earlier": OLDER,
                "now": DIGEST,
                "files": [{"path": "api/app.py", "change": "modified"}, {"path": "api/new.py", "change": "added"}],
            },
        }
    ],
}
CACHE_STATS: Document = {
    "project": "shop",
    "steps": {"executed": 3, "reused": 1, "hit_rate": 0.25, "executed_seconds": 4.5, "saved_seconds": 75.0},
    "size": {"bytes": 2_500_000_000, "results": 7, "blobs": 12, "needed_bytes": 1200},
    "shared": {"address": "s3://cache/shop", "problem": None},
}
CACHE_REMOVAL: Document = {
    "keep": "30d",
    "removed": False,
    "results": 2,
    "blobs": 3,
    "bytes": 1_500_000,
    "kept": {
        "results": 5,
        "blobs": 9,
        "bytes": 2_500_000_000,
        "needed_bytes": 1200,
        "recent_results": 1,
        "results_under_way": 0,
    },
    "oldest_used_at": "2026-11-01T12:00:00.000000Z",
}


def step(name: str, state: str, service: str | None = None, **more: object) -> Document:
    """A step of a run."""
    return {
        "name": name,
        "service": service,
        "state": state,
        "attempts": 1,
        "seconds": 1.25,
        "reused": state == "Cached",
        "log": f"{name}.log",
        **more,
    }


def run(state: str, *steps: Document, finished: bool = True, **more: object) -> Document:
    """A run."""
    return {
        "id": RUN,
        "project": "shop",
        "revision": COMMIT,
        "state": state,
        "finished": finished,
        "steps": list(steps),
        "artifacts": [],
        "promotions": [],
        "url": f"http://ui.example/{RUN}",
        **more,
    }


def promotion(state: str, environment: str = "staging", **more: object) -> Document:
    """A promotion."""
    final = state in {"Succeeded", "Refused", "Superseded", "Aborted", "Failed", "Errored"}
    return {
        "id": PROMOTION,
        "environment": environment,
        "state": state,
        "kind": "change",
        "because": "",
        "services": [{"name": "api", "from": OLDER, "to": DIGEST}],
        "reasons": [],
        "url": f"http://ui.example/{PROMOTION}",
        "release": RELEASE,
        "finished": final,
        **more,
    }


def approval(identity: str = PROMOTION, environment: str = "staging", at: str = "2026-03-01T12:00:00Z") -> Document:
    """A promotion that waits for a person."""
    return {
        "id": identity,
        "environment": environment,
        "release": RELEASE,
        "digests": {"api": DIGEST},
        "requested_at": at,
        "expires_at": "2026-03-02T12:00:00Z",
        "requires": 1,
        "roles": {},
        "evidence": ["none", "api-token", "one-time-code", "ssh-signature"],
        "not_by": [],
        "comment_required": False,
        "given": [],
        "can_approve": [],
        "changes": {
            "version": "1.2.0",
            "services": [{"name": "api", "from": OLDER, "to": DIGEST}],
            "gone": ["worker"],
            "commits": {"api": ["4f3a2b1c4f feat: sell more (Ada)"]},
            "configuration": ["api: environment LEVEL: low -> high"],
        },
        "url": f"http://ui.example/{identity}",
    }


QUEUE: Document = {
    "waiting": [
        {
            "place": 2,
            "id": PROMOTION,
            "project": "shop",
            "environment": "staging",
            "asked_at": "2026-03-01T12:00:00.000000Z",
            "waits_seconds": 1.5,
        },
        {
            "place": 7,
            "id": RUN,
            "project": "shop",
            "environment": None,
            "asked_at": "2026-03-01T11:58:41.000000Z",
            "waits_seconds": 80.2,
        },
    ],
    "all_waiting": 9,
    "all_working": 4,
    "started_last_hour": 31,
    "p50_seconds": 0.12,
    "p95_seconds": 0.41,
}
STATUS: Document = {
    "environments": [
        {
            "name": "staging",
            "services": [
                {
                    "name": "api",
                    "digest": DIGEST,
                    "previous": OLDER,
                    "revision": COMMIT,
                    "version": "1.2.0",
                    "live_from": "2026-03-01T12:00:00.123456Z",
                    "health": "healthy",
                    "address": "http://127.0.0.1:8081",
                }
            ],
            "waiting": [],
            "hold": None,
            "drift": ["api: serves cdcd, the ledger says abab"],
            "incidents": [INCIDENT],
        },
        {
            "name": "production",
            "services": [],
            "waiting": [{"id": PROMOTION, "because": "waits for 1 approval"}],
            "hold": {"reason": "the sale is on"},
        },
    ],
    "control_plane": {"memory_bytes": 345_000_000},
}

HISTORY: list[Document] = [
    {
        "id": PROMOTION,
        "environment": "staging",
        "kind": "rollback",
        "state": "Succeeded",
        "release": RELEASE,
        "started_at": "2026-03-01T12:00:00Z",
        "live_from": "2026-03-01T12:00:05Z",
        "finished_at": "2026-03-01T12:01:35Z",
        "requested_at": "2026-03-01T11:59:00Z",
        "by": "ada",
        "approvals": ["grace"],
        "rollback_of": OTHER_PROMOTION,
        "caused_by_incident": INCIDENT,
    }
]

INCIDENTS: list[Document] = [
    {
        "id": INCIDENT,
        "environment": "staging",
        "caused_by": OTHER_PROMOTION,
        "opened_at": "2026-03-01T12:00:00Z",
        "mitigated_at": None,
        "resolved_at": None,
        "state": "open",
    }
]

DORA: Document = {
    "window": {"from": "2026-02-01T00:00:00Z", "to": "2026-03-01T00:00:00Z", "days": 28.0},
    "edition": "2024",
    "variant": "default",
    "n": 12,
    "metrics": {
        "change_lead_time": {"value": 5400.0, "unit": "seconds", "n": 12, "band": "elite", "rows": [], "flags": []},
        "change_fail_rate": {
            "value": 0.25,
            "unit": "ratio",
            "n": 12,
            "band": "low",
            "rows": [],
            "flags": ["not monotone"],
        },
        "failed_deployment_recovery_time": {
            "value": None,
            "unit": "seconds",
            "n": 0,
            "band": "insufficient data",
            "rows": [],
            "flags": [],
        },
    },
    "rows": [],
    "beside": {
        "variant": "seed-a",
        "metrics": {
            "change_lead_time": {"value": 7200.0, "unit": "seconds", "n": 3, "band": "elite", "rows": [], "flags": []},
            "change_fail_rate": {"value": None, "unit": "ratio", "n": 12, "band": "unknown", "rows": [], "flags": []},
        },
    },
}

SECRETS: list[Document] = [
    {
        "name": "TOKEN",
        "scope": "shop/staging",
        "owner": "ada",
        "expires_at": None,
        "last_used_at": "2026-03-01T12:00:00Z",
    }
]

POLICY: Document = {
    "version": 2,
    "environments": {"staging": {"version": 2, "after": "dev", "approvals": 1}},
    "proposed": [{"environment": "staging", "field": "approvals", "from": 1, "to": 0, "loosens": True}],
}

STARTING: Document = {
    "error": {
        "code": "transient",
        "message": "answering /it: the control plane is starting",
        "hint": "try again in a moment",
        "where": "",
    }
}
HEALTH: Document = {
    "components": [
        {
            "name": "api",
            "state": "ready",
            "version": "0.1.0",
            "url": "http://127.0.0.1:4711",
            "pid": 42,
            "memory_bytes": 90_000_000,
        }
    ],
    "ready": True,
}
