import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import JsonValue

from delivery.adapters.postgresql.operations import PostgresqlOperations
from delivery.ports import Claim, Lease, Operations, Row
from tests.fakes.operations import InMemoryOperations
from tests.servers.postgresql import Database

LONG = timedelta(minutes=1)
SHORT = timedelta(milliseconds=30)


@pytest.fixture(params=["fake", pytest.param("postgresql", marks=pytest.mark.integration)])
def operations(request: pytest.FixtureRequest) -> Iterator[Operations]:
    if request.param == "fake":
        yield InMemoryOperations()
        return
    database: Database = request.getfixturevalue("database")
    operations = PostgresqlOperations(database.application, 10)
    yield operations
    operations.close()


def _acquire(operations: Operations, name: str, holder: str, ttl: timedelta = LONG) -> Lease:
    lease = operations.acquire(name, holder, ttl)
    assert lease is not None
    return lease


def _until_lapsed(lease: Lease) -> None:
    deadline = time.monotonic() + 10
    while datetime.now(UTC) <= lease.until and time.monotonic() < deadline:
        time.sleep(0.005)


def test_a_lease_is_one_holders(operations: Operations) -> None:
    lease = _acquire(operations, "lane", "one")

    assert (lease.name, lease.holder, lease.fence) == ("lane", "one", 1)
    assert timedelta(seconds=50) < lease.until - datetime.now(UTC) < timedelta(seconds=70)
    assert operations.acquire("lane", "other", LONG) is None
    assert operations.acquire("another lane", "other", LONG) is not None


def test_taking_ones_own_lease_again_keeps_the_fence(operations: Operations) -> None:
    first = _acquire(operations, "lane", "one", timedelta(seconds=20))
    again = _acquire(operations, "lane", "one", timedelta(seconds=40))

    assert again.fence == first.fence
    assert again.until > first.until


def test_a_lapsed_lease_is_anybodys_and_the_fence_grows(operations: Operations) -> None:
    lapsed = _acquire(operations, "lane", "one", SHORT)
    _until_lapsed(lapsed)

    assert not operations.renew(lapsed, LONG)
    assert operations.hand_over(lapsed, "friend", LONG) is None
    assert _acquire(operations, "lane", "other").fence == lapsed.fence + 1


def test_ones_own_lapsed_lease_has_a_higher_fence_too(operations: Operations) -> None:
    lapsed = _acquire(operations, "lane", "one", SHORT)
    _until_lapsed(lapsed)

    assert _acquire(operations, "lane", "one").fence == lapsed.fence + 1


def test_a_released_lease_is_free_and_the_fence_grows(operations: Operations) -> None:
    for fence in (1, 2, 3):
        lease = _acquire(operations, "lane", f"holder-{fence}")
        assert lease.fence == fence
        operations.release(lease)
        operations.release(lease)

    assert operations.leases() == []


def test_renewing_extends(operations: Operations) -> None:
    lease = _acquire(operations, "lane", "one", timedelta(seconds=20))

    assert operations.renew(lease, LONG)
    assert operations.leases()[0].until > lease.until
    assert operations.leases()[0].fence == lease.fence


def test_a_stale_holder_can_do_nothing(operations: Operations) -> None:
    stale = _acquire(operations, "lane", "one", SHORT)
    _until_lapsed(stale)
    taken = _acquire(operations, "lane", "other")

    assert not operations.renew(stale, LONG)
    assert operations.hand_over(stale, "friend", LONG) is None
    operations.release(stale)
    assert operations.leases() == [taken]


def test_an_older_fence_of_the_same_holder_is_stale(operations: Operations) -> None:
    first = _acquire(operations, "lane", "one")
    operations.release(first)
    second = _acquire(operations, "lane", "one")

    assert not operations.renew(first, LONG)
    assert operations.renew(second, LONG)


def test_handing_over_gives_a_higher_fence(operations: Operations) -> None:
    lease = _acquire(operations, "lane", "one")
    given = operations.hand_over(lease, "other", LONG)

    assert given is not None
    assert (given.holder, given.fence) == ("other", lease.fence + 1)
    assert operations.acquire("lane", "one", LONG) is None
    assert not operations.renew(lease, LONG)
    assert operations.renew(given, LONG)


def test_two_never_hold_the_same_lease(operations: Operations) -> None:
    """Many race, each holds for a moment: fences are unique, and the holder is alone while it holds."""
    inside: list[str] = []
    overlaps: list[str] = []

    def work(number: int) -> list[int]:
        fences = []
        for _ in range(15):
            lease = operations.acquire("lane", f"holder-{number}", LONG)
            if lease is None:
                continue
            inside.append(lease.holder)
            if len(inside) > 1:
                overlaps.append(lease.holder)
            fences.append(lease.fence)
            inside.remove(lease.holder)
            operations.release(lease)
        return fences

    with ThreadPoolExecutor(8) as pool:
        fences = [fence for some in pool.map(work, range(8)) for fence in some]

    assert overlaps == []
    assert fences
    assert sorted(fences) == list(range(1, len(fences) + 1))


def test_leases_are_listed_by_prefix(operations: Operations) -> None:
    _acquire(operations, "lane:shop/dev", "one")
    _acquire(operations, "lane:shop%dev", "one")
    _acquire(operations, "janitor", "one")

    assert [lease.name for lease in operations.leases("lane:shop/")] == ["lane:shop/dev"]
    assert [lease.name for lease in operations.leases("lane:shop%")] == ["lane:shop%dev"]
    assert len(operations.leases()) == 3


def test_a_document_comes_back_as_it_was_saved(operations: Operations) -> None:
    document: dict[str, JsonValue] = {
        "id": "r1",
        "state": "Running",
        "steps": [{"name": "unit", "seconds": 1.5, "log": None}],
        "n": 2**60,
    }
    operations.save("runs", "r1", "shop", document)

    assert operations.load("runs", "r1") == document
    assert operations.load("runs", "r2") is None
    assert operations.load("steps", "r1") is None


def test_saving_again_replaces_the_document(operations: Operations) -> None:
    operations.save("runs", "r1", "shop", {"id": "r1", "state": "Running"})
    operations.save("runs", "r1", "shop", {"id": "r1", "ended": True})

    assert operations.load("runs", "r1") == {"id": "r1", "ended": True}
    assert len(operations.find("runs")) == 1


def test_documents_are_found_newest_first(operations: Operations) -> None:
    for number, project in enumerate(["shop", "blog", "shop", "shop"]):
        operations.save("runs", f"r{number}", project, {"id": f"r{number}", "even": number % 2 == 0})
    operations.save("runs", "r0", "shop", {"id": "r0", "even": True})
    operations.save("steps", "s1", "shop", {"id": "s1", "even": True})

    def ids(project: str | None = None, limit: int = 1000, *, even: bool | None = None) -> list[object]:
        if even is None:
            return [one["id"] for one in operations.find("runs", project, limit)]
        return [one["id"] for one in operations.find("runs", project, limit, even=even)]

    assert ids() == ["r3", "r2", "r1", "r0"]
    assert ids("shop") == ["r3", "r2", "r0"]
    assert ids("shop", 1) == ["r3"]
    assert ids("shop", even=True) == ["r2", "r0"]
    assert ids("nobody") == []


def test_text_that_the_database_has_no_sign_for_can_be_saved(operations: Operations) -> None:
    operations.save("runs", "r1", "shop", {"message": "a\0b \udcff ä"})

    found = operations.load("runs", "r1")
    assert found is not None
    assert str(found["message"]).startswith("a")
    assert str(found["message"]).endswith("ä")


def test_a_lease_made_up_is_not_held(operations: Operations) -> None:
    lease = _acquire(operations, "lane", "one")

    assert not operations.renew(replace(lease, fence=lease.fence + 1), LONG)
    assert not operations.renew(replace(lease, holder="other"), LONG)


def test_a_scheduled_state_is_claimed_once(operations: Operations) -> None:
    first, other = (Claim("run", "state", {"pid": pid, "started_at": 1.5, "boot": "b"}) for pid in (1, 2))
    assert operations.claim(first)
    assert not operations.claim(other)
    assert not operations.claim(replace(first))
    assert operations.claim(replace(other, state="resumed"))
    assert {one.state for one in operations.claims()} == {"state", "resumed"}


def test_only_the_process_that_claimed_drops_its_claim(operations: Operations) -> None:
    mine, other = (Claim("run", "state", {"pid": pid}) for pid in (1, 2))
    operations.claim(mine)
    assert not operations.drop_claim(other)
    assert operations.drop_claim(mine)
    assert not operations.drop_claim(mine)
    assert operations.claims() == []


def test_of_many_at_once_one_claims(operations: Operations) -> None:
    asked = [Claim("run", "state", {"pid": pid}) for pid in range(16)]
    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(operations.claim, asked)) == 1


def test_documents_are_found_below_a_key(operations: Operations) -> None:
    for key in ("run-1", "run-1/unit", "run-1/unit@api", "run-10/unit", "run-2/unit"):
        operations.save("steps", key, "shop", {"key": key})

    found = operations.find("steps", below="run-1")

    assert [one["key"] for one in found] == ["run-1/unit@api", "run-1/unit"]


def test_keys_are_told_in_order_up_to_one(operations: Operations) -> None:
    for key in ("b", "a", "d", "c"):
        operations.save("runs", key, "shop", {})
    operations.save("plans", "a", "shop", {})

    assert operations.keys("runs", before="d") == ["a", "b", "c"]
    assert operations.keys("runs", before="d", limit=2) == ["a", "b"]
    assert operations.keys("runs", before="a") == []


def test_what_is_forgotten_leaves_nothing_and_takes_nothing_else_along(operations: Operations) -> None:
    for run in ("run-1", "run-10", "run-2"):
        for table in ("runs", "plans"):
            operations.save(table, run, "shop", {"of": run})
        operations.save("steps", f"{run}/unit", "shop", {"of": run})
    operations.save("projects", "run-1", "shop", {"of": "another table"})
    operations.release(_acquire(operations, "run:run-1", "one"))
    held = _acquire(operations, "run:run-2", "two")

    operations.forget("run-1")
    operations.forget("run-1")

    tables = ("runs", "plans", "steps")
    left = {str(one["of"]) for table in tables for one in operations.find(table)}
    assert left == {"run-10", "run-2"}
    assert operations.load("projects", "run-1") == {"of": "another table"}
    assert _acquire(operations, "run:run-1", "three").fence == 1
    assert operations.renew(held, LONG)


def test_a_lease_that_is_held_is_not_forgotten(operations: Operations) -> None:
    held = _acquire(operations, "run:run-1", "one")

    operations.forget("run-1")

    assert operations.renew(held, LONG)


def test_many_documents_are_saved_at_once_new_ones_and_known_ones(operations: Operations) -> None:
    operations.save("steps", "run/unit", "shop", {"state": "Running"})
    told: dict[str, Row] = {"run/lint": {"state": "Cached"}, "run/unit": {"state": "Completed"}}
    operations.save_all("steps", "shop", told)
    assert {key: operations.load("steps", key) for key in told} == told
    operations.save_all("steps", "shop", {})
    assert [one["state"] for one in operations.find("steps", project="shop")] == ["Cached", "Completed"]
