"""The time that services took to become stable is stored by moment and read back unchanged."""

from __future__ import annotations

from clients.store.store import Store
from domain.executions.windows import ServiceStability, StabilityMoment

STABLE = ServiceStability(service="reviews", stable=True, waited_seconds=0.25)
NOT_STABLE = ServiceStability(service="shipping", stable=False, waited_seconds=120, detail="503")


async def test_results_of_a_wait_are_read_back_unchanged_by_moment(store: Store, run: int) -> None:
    """In their order. An unknown run has none."""
    await store.stability.save(run, StabilityMoment.AFTER_ANALYSIS, [NOT_STABLE, STABLE])
    await store.stability.save(run, StabilityMoment.WITH_RULES, [STABLE])
    assert await store.stability.of(run) == {
        StabilityMoment.AFTER_ANALYSIS: [NOT_STABLE, STABLE],
        StabilityMoment.WITH_RULES: [STABLE],
    }
    assert await store.stability.of(run + 1) == {}


async def test_the_last_of_repeated_waits_is_kept(store: Store, run: int) -> None:
    """It is the result that the run received."""
    later = NOT_STABLE.model_copy(update={"stable": True, "detail": ""})
    for found in (NOT_STABLE, later):
        await store.stability.save(run, StabilityMoment.AFTER_FAULT, [found])
    assert await store.stability.of(run) == {StabilityMoment.AFTER_FAULT: [later]}


async def test_a_wait_for_no_services_stores_nothing(store: Store, run: int) -> None:
    """A run may have no services under test to wait for."""
    await store.stability.save(run, StabilityMoment.WITH_RULES, [])
    assert await store.stability.of(run) == {}
