"""What each operation is held against, and the goal of each comparison."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks import changes, reads
from benchmarks.dataset import Dataset
from benchmarks.operations import Operation, Target
from benchmarks.reads import PAGE


@dataclass(frozen=True, slots=True)
class Comparison:
    """An operation, what it is held against, and the least ratio of their rates that is good enough.

    Without a *goal* it is there to be known.
    """

    operation: Operation
    against: Operation
    goal: float | None = None
    rate_goal: float | None = None
    """The least rate that is good enough, for what is not judged by a ratio."""


AT_MOST_GROWN = 1 / 1.3
"""The least share of its rate that an operation keeps when what it works among grows."""

OF_WRITING = 0.42
"""The least share of floor W's rate for a change of one person."""

OF_UNGATED = 1 / 1.1
"""The least share of its rate that a creation keeps where seats or a lapse are asked about."""

BULK_GOAL = 2_000
"""People a second that one Bulk request after the other creates on two cores."""

DEPARTURE_GOAL = 2.5
"""Milliseconds of processor time that a departure may take, workers included."""


def comparisons(dataset: Dataset) -> list[Comparison]:
    """Everything that is measured on *dataset* beside floors."""
    return [*_reading(dataset), *_writing(dataset), *_gates(dataset), *_groups(dataset)]


def _reading(dataset: Dataset) -> list[Comparison]:
    floor = reads.floor_read(dataset, "floor R", "/things")
    tenants, club = dataset.tenants, (dataset.club,)
    read_one = reads.read_one("read one", tenants)
    read_member = reads.read_one("read one who is in groups", club)
    most = _most(dataset)
    pages = 1 / 5
    return [
        Comparison(reads.floor_read(dataset, "floor R on Rollcall's pool", "/fast-things"), floor),
        Comparison(reads.introspection(dataset), floor, 0.70),
        Comparison(read_one, floor, 0.75),
        Comparison(read_member, floor),
        Comparison(reads.look_up(f"look-up by userName among {most:,}", tenants, reads.by_user_name), floor, 0.60),
        Comparison(reads.look_up("look-up by externalId", tenants, reads.by_external_id), floor),
        Comparison(reads.look_up("look-up by e-mail", tenants, reads.by_email), floor),
        Comparison(reads.look_up("filter with 'and'", tenants, reads.by_both), floor),
        Comparison(reads.search("look-up by .search", tenants), floor),
        Comparison(reads.page(f"page of {PAGE}, the first", tenants, 1), read_one, pages),
        Comparison(reads.page(f"page of {PAGE}, anywhere in {most:,}", tenants, most), read_one, pages),
        Comparison(reads.page_by_cursor(f"page of {PAGE}, by cursor in the middle", tenants), read_one, pages),
        Comparison(reads.page(f"page of {PAGE} who are in groups", club, 1), read_member, pages),
    ]


def _writing(dataset: Dataset) -> list[Comparison]:
    floor, tenants, pair = changes.floor_write(), dataset.tenants, dataset.pair
    both = "two tenants at once"
    leaving = "PATCH active=false"
    return [
        Comparison(changes.create("create", tenants), floor, OF_WRITING),
        Comparison(changes.create(f"create, {both}", pair), floor, OF_WRITING),
        Comparison(changes.patch("PATCH of an attribute", tenants, changes.title), floor, OF_WRITING),
        Comparison(changes.promote("PATCH of a role", dataset, tenants), floor),
        Comparison(changes.patch("PATCH of manager", tenants, changes.manager), floor),
        Comparison(changes.deactivate(leaving, dataset, tenants), floor, 0.35),
        Comparison(changes.deactivate(f"{leaving}, {both}", dataset, pair), floor, 0.35),
        Comparison(changes.reactivate("reactivation", dataset, tenants), floor, OF_WRITING),
        Comparison(changes.remove("DELETE", dataset, tenants), floor, OF_WRITING),
        Comparison(changes.replace("PUT", tenants), floor, OF_WRITING),
        Comparison(changes.replace(f"PUT, {both}", pair), floor, OF_WRITING),
        Comparison(changes.replace("PUT of other names", tenants, renamed=True), floor),
        Comparison(changes.bulk(tenants, 100), floor),
        Comparison(changes.bulk(tenants, 1_000), floor, rate_goal=BULK_GOAL),
        Comparison(changes.sign_in(dataset), floor),
    ]


def _gates(dataset: Dataset) -> list[Comparison]:
    """Creations that are asked about seats, or whose tenant has lapsed, beside those of tenants without a number."""
    gated, free = dataset.gated, changes.create("creation without seats", dataset.gated["free"])
    alone = changes.create("creation without seats, one tenant", gated["free"][:1])
    return [
        Comparison(changes.create("creation with seats", gated["seats"]), free, OF_UNGATED),
        Comparison(changes.create("creation at the last seats", gated["last"]), free, OF_UNGATED),
        Comparison(changes.create("creation at the last seats, one tenant", gated["last"][:1]), alone, OF_UNGATED),
        Comparison(changes.create("creation in grace", gated["grace"]), free, OF_UNGATED),
    ]


def _groups(dataset: Dataset) -> list[Comparison]:
    floor, groups = changes.floor_write(), dataset.groups
    return [
        Comparison(changes.create_group(dataset.tenants), floor),
        *(Comparison(changes.join(dataset, (group,)), floor, 0.40) for group in groups),
        Comparison(changes.join(dataset, (groups[1], dataset.neighbours_groups)), floor, 0.40),
        Comparison(changes.join(dataset, groups[-1:]), changes.join(dataset, groups[:1]), AT_MOST_GROWN),
    ]


def growth(dataset: Dataset, smaller: Dataset) -> list[Comparison]:
    """What is measured on *dataset* held against the same on a *smaller* one."""
    return [
        Comparison(large, replace(small, target=Target.SMALLER, name=f"{small.name} (smaller)"), AT_MOST_GROWN)
        for large, small in zip(_everything(dataset), _everything(smaller), strict=True)
    ]


def _everything(dataset: Dataset) -> list[Operation]:
    tenants = dataset.tenants
    return [
        reads.introspection(dataset),
        reads.read_one("read one", tenants),
        reads.look_up(f"look-up by userName among {_most(dataset):,}", tenants, reads.by_user_name),
        reads.page(f"page of {PAGE}, the first", tenants, 1),
        reads.page_by_cursor(f"page of {PAGE}, by cursor in the middle", tenants),
        changes.create("create", tenants),
        changes.patch("PATCH of an attribute", tenants, changes.title),
        changes.deactivate("PATCH active=false", dataset, tenants),
        changes.reactivate("reactivation", dataset, tenants),
        changes.remove("DELETE", dataset, tenants),
        changes.replace("PUT", tenants),
        changes.join(dataset, dataset.groups[:1]),
    ]


def beside_peer(dataset: Dataset, peer: Sequence[Operation]) -> list[Comparison]:
    """The same operations of both, and how many times the peer's rate is the goal."""
    tenants = dataset.tenants
    ours = [
        (reads.read_one("read one", tenants), 2.0),
        (reads.look_up("look-up by userName", tenants, reads.by_user_name), 2.0),
        (reads.page(f"page of {PAGE}, the first", tenants, 1), 5.0),
        (changes.patch("PATCH of an attribute", tenants, changes.title), 1.3),
        (changes.deactivate("PATCH active=false", dataset, tenants), 1.0),
        (changes.create("create", tenants), 1.3),
    ]
    return [
        Comparison(replace(own, name=f"{own.name}, beside the peer"), its, goal)
        for (own, goal), its in zip(ours, peer, strict=True)
    ]


def _most(dataset: Dataset) -> int:
    return max(tenant.people for tenant in dataset.tenants)
