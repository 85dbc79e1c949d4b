"""The panels of a whole run (`stages` section 3): every field, in the query, `status`, `watch` and the report."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.runs.panel_fields import FIELDS, Field
from tests.support.runs.whole import Seen, Whole, without_times


async def test_every_field_is_shown_in_every_view(whole: Whole) -> None:
    """By the query while it holds, by `status` afterwards, by `watch` as lines and as a view, and by the report."""
    missing = {name: without for name, field in FIELDS.items() if (without := list(_views_without(field, whole.seen)))}
    assert (missing, len(FIELDS) > 40) == ({}, True)


def _views_without(field: Field, seen: Seen) -> Iterator[str]:
    words = field.words(seen.last)
    if not any(field.of(state) for state in seen.snapshots):
        yield "query"
    if words not in seen.status:
        yield "status"
    if (field.in_passing or words) not in seen.watch:
        yield "watch"
    if (field.in_passing or words) not in seen.pictures:
        yield "live view"
    if field.words_of_page(seen.report.run) not in seen.page:
        yield "report"
    if not field.in_passing and not field.of(seen.report.run):
        yield "store"


async def test_status_shows_the_metrics_of_every_case(whole: Whole) -> None:
    """Each case once, with the numbers of the query."""
    seen = whole.seen
    for case in seen.last.load.cases:
        assert case.error_rate is not None
        start = f"  {case.case_id} "
        line = next(line for line in seen.status.splitlines() if line.startswith(start) and " errors " in line)
        assert f"errors {case.error_rate:g}%" in line
        if case.max_ms is not None:
            small = "n too small"
            assert f"p50 {small}, p95 {small}, p99 {small}, max {case.max_ms:.0f} ms" in line


async def test_the_store_shows_the_same_panels_as_the_run(whole: Whole) -> None:
    """It is used when no worker answers, or when the Temporal server has forgotten the run."""
    seen = whole.seen
    assert without_times(seen.stored) == without_times(seen.last)
    assert (seen.stored.started_at, seen.stored.finished_at) > (seen.last.started_at, seen.last.started_at)
