"""`holdfast watch` in a real terminal, for the whole of a real run, as a person sees it."""

from __future__ import annotations

import asyncio

from temporalio.client import Client

from domain.resilience.kind import KIND
from tests.support.cli.tmux import Tmux
from tests.support.runs.bench import PATIENCE, Bench
from worker import running

WIDTH, HEIGHT = 150, 60


async def _watching(bench: Bench) -> Tmux:
    (bench.folder / "temporal.toml").touch()
    environment = {
        "TEMPORAL_ADDRESS": bench.temporal.service_client.config.target_host,
        "TEMPORAL_CONFIG_FILE": str(bench.folder / "temporal.toml"),
        "HOLDFAST_DATABASE_URL": bench.settings.database_url,
        "HOLDFAST_TASK_QUEUE": bench.settings.task_queue,
    }
    return await Tmux.start("watch", bench.name, folder=bench.folder, env=environment, width=WIDTH, height=HEIGHT)


async def _screens(tmux: Tmux) -> list[str]:
    """Collect every screen that was shown until the command ended."""
    found: list[str] = []
    async with asyncio.timeout(2 * PATIENCE):
        while not await tmux.ended():
            shown = await tmux.screen()
            if await tmux.on_its_own_screen() and shown not in found[-1:]:
                found.append(shown)
            await asyncio.sleep(0.05)
    return found


async def test_a_whole_run_can_be_watched_in_a_terminal(temporal: Client, idle_bench: Bench) -> None:
    """Each stage, each active fault and its result, the load test, the log, and an outcome that stays on the screen."""
    bench = idle_bench
    plan = bench.plan(load={"requests": 20, "concurrency": 2})
    handle = await bench.start(plan, workflow_id=KIND.workflow_id(bench.name))
    tmux = await _watching(bench)
    try:
        await tmux.until("waiting for the run's first answer", PATIENCE)
        async with running(temporal, bench.settings):
            screens = await _screens(tmux)
            await bench.lock_ended(handle)
        code, kept = await tmux.end(), await tmux.screen(history=True)
    finally:
        await tmux.close()
    seen = "\n".join(screens)
    for service in ("reviews", "shipping", "recommendations", "bestsellers"):
        assert f"fault in {service} (hf-" in seen
        assert f"  {service:<24} Running" in seen
        assert f"  {service:<24} Recovered fault hf-" in seen
    for stage in ("INJECTING_AND_REPLAYING", "LOAD_TEST_BASELINE"):
        assert f"▸ {stage}" in seen
    for words in (
        "✓ INJECTING_AND_REPLAYING",
        " of 5 services",
        " of 16 cases",
        "on now: rules",
        "log, from the store",
    ):
        assert words in seen
    assert "INFO   all rules were seen to act" in seen
    for shown in screens:
        assert len(shown.splitlines()) == HEIGHT
        assert shown.startswith(("plan shop", "waiting for the run's first answer")), shown
    assert code == 1
    assert kept.splitlines()[0].startswith(f"{KIND.workflow_id(bench.name)}, run ")
    assert "bestsellers+recommendations  FAILED" in kept
    assert "recovery: verified, nothing is left on" in kept
    assert "▸" not in kept
