"""How long services took to be stable is stored under the moment, and read as it was."""

from __future__ import annotations

from clients.store.store import Store
from domain.executions.windows import ServiceStability, StabilityMoment

STABLE = ServiceStability(service="reviews", stable=True, waited_seconds=0.25)
NOT_STABLE = ServiceStability(service="shipping", stable=False, waited_seconds=120, detail="503")


async def test_what_a_wait_found_comes_back_as_it_was(store: Store, run: int) -> None:
    """Each moment by itself, in its order; of an unknown run there is nothing."""
    await store.save_stability(run, StabilityMoment.AFTER_ANALYSIS, [NOT_STABLE, STABLE])
    await store.save_stability(run, StabilityMoment.WITH_RULES, [STABLE])
    assert await store.stability(run) == {
        StabilityMoment.AFTER_ANALYSIS: [NOT_STABLE, STABLE],
        StabilityMoment.WITH_RULES: [STABLE],
    }
    assert await store.stability(run + 1) == {}


async def test_of_a_repeated_wait_the_last_one_stays(store: Store, run: int) -> None:
    """The run was told what that one found."""
    later = NOT_STABLE.model_copy(update={"stable": True, "detail": ""})
    for found in (NOT_STABLE, later):
        await store.save_stability(run, StabilityMoment.AFTER_FAULT, [found])
    assert await store.stability(run) == {StabilityMoment.AFTER_FAULT: [later]}


async def test_nothing_to_store_is_no_trouble(store: Store, run: int) -> None:
    """A run without services under test to wait for."""
    await store.save_stability(run, StabilityMoment.WITH_RULES, [])
    assert await store.stability(run) == {}
