"""The store: one door to all repositories."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from clients.store.cases import Cases
from clients.store.engine import create_engine, migrate, session
from clients.store.executions import Executions
from clients.store.ledger import LedgerRows
from clients.store.read_models import CaseResult, ExecutionRow, LogEntry, LogLevel, StoredCase
from clients.store.results import Results
from clients.store.tables import (
    BaggageMap,
    InterceptReplayResult,
    Ledger,
    RequestPattern,
    TaskExecution,
    TaskExecutionLog,
    TestCase,
    TestResult,
)
from clients.store.traffic import Traffic
from workflows.contracts.exchange import CapturedAnswer, RecordedExchange
from workflows.contracts.execution import Ending, Execution, NewExecution, PhaseChange, Verdict
from workflows.contracts.load import Case, CaseOutcome, CaseType
from workflows.contracts.plan import Plan
from workflows.contracts.timing import Timing
from workflows.contracts.windows import LedgerEntry, LedgerUpdate


class Store:
    """SQLite or PostgreSQL behind typed methods. All writes may be repeated; each repository says how.

    Every method raises `HoldfastError`: STORE_UNAVAILABLE when the database is away (a repetition may help),
    STORE_CONFLICT for other data under the same key, NOT_FOUND for a missing row.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `open`, which also migrates."""
        self.engine = engine
        self._executions = Executions(engine)
        self._ledger = LedgerRows(engine)
        self._traffic = Traffic(engine)
        self._cases = Cases(engine)
        self._results = Results(engine)

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect to the database of this URL and bring its schema to the newest version."""
        engine = create_engine(url)
        try:
            await migrate(engine)
        except BaseException:
            await engine.dispose()
            raise
        return cls(engine)

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()

    async def create_execution(self, new: NewExecution, plan: Plan, timing: Timing) -> Execution:
        """See `Executions.create`."""
        return await self._executions.create(new, plan, timing)

    async def execution(self, execution_id: int) -> Execution:
        """See `Executions.get`."""
        return await self._executions.get(execution_id)

    async def plan(self, execution_id: int) -> Plan:
        """See `Executions.plan`."""
        return await self._executions.plan(execution_id)

    async def change_phase(self, change: PhaseChange) -> None:
        """See `Executions.change_phase`."""
        await self._executions.change_phase(change)

    async def finish(self, ending: Ending) -> None:
        """See `Executions.finish`."""
        await self._executions.finish(ending)

    async def set_verdict(self, execution_id: int, verdict: Verdict) -> None:
        """See `Executions.set_verdict`."""
        await self._executions.set_verdict(execution_id, verdict)

    async def execution_row(self, execution_id: int) -> ExecutionRow:
        """See `Executions.row`."""
        return await self._executions.row(execution_id)

    async def latest_execution_of(self, workflow_id: str) -> ExecutionRow | None:
        """See `Executions.latest_of`."""
        return await self._executions.latest_of(workflow_id)

    async def log(self, execution_id: int, key: str, level: LogLevel, message: str) -> None:
        """See `Executions.log`."""
        await self._executions.log(execution_id, key, level, message)

    async def log_entries(self, execution_id: int) -> list[LogEntry]:
        """See `Executions.log_entries`."""
        return await self._executions.log_entries(execution_id)

    async def ledger_intent(self, entry: LedgerEntry) -> None:
        """See `LedgerRows.intent`."""
        await self._ledger.intent(entry)

    async def ledger_update(self, update: LedgerUpdate) -> None:
        """See `LedgerRows.update`."""
        await self._ledger.update(update)

    async def ledger_of(self, execution_id: int) -> list[LedgerEntry]:
        """See `LedgerRows.of`."""
        return await self._ledger.of(execution_id)

    async def ledger_unsettled(self) -> list[LedgerEntry]:
        """See `LedgerRows.unsettled`."""
        return await self._ledger.unsettled()

    async def ledger_entry(self, window_id: str) -> LedgerEntry | None:
        """See `LedgerRows.get`."""
        return await self._ledger.get(window_id)

    async def save_exchanges(self, execution_id: int, exchanges: list[RecordedExchange]) -> None:
        """See `Traffic.save_exchanges`."""
        await self._traffic.save_exchanges(execution_id, exchanges)

    async def exchanges(self, execution_id: int, service: str) -> list[RecordedExchange]:
        """See `Traffic.exchanges`."""
        return await self._traffic.exchanges(execution_id, service)

    async def save_captured(self, execution_id: int, fault_type: str, answers: list[CapturedAnswer]) -> None:
        """See `Traffic.save_captured`."""
        await self._traffic.save_captured(execution_id, fault_type, answers)

    async def captured(self, execution_id: int) -> list[CapturedAnswer]:
        """See `Traffic.captured`."""
        return await self._traffic.captured(execution_id)

    async def save_cases(self, execution_id: int, cases: Iterable[StoredCase]) -> None:
        """See `Cases.save`."""
        await self._cases.save(execution_id, cases)

    async def cases(self, execution_id: int, first: int, end: int) -> list[Case]:
        """See `Cases.range`."""
        return await self._cases.range(execution_id, first, end)

    async def case_counts(self, execution_id: int) -> dict[CaseType, int]:
        """See `Cases.counts`."""
        return await self._cases.counts(execution_id)

    async def save_tokens(self, execution_id: int, tokens: dict[str, str]) -> None:
        """See `Cases.save_tokens`."""
        await self._cases.save_tokens(execution_id, tokens)

    async def tokens(self, execution_id: int) -> dict[str, str]:
        """See `Cases.tokens`."""
        return await self._cases.tokens(execution_id)

    async def save_result(self, execution_id: int, result: CaseResult) -> None:
        """See `Results.save`."""
        await self._results.save(execution_id, result)

    async def finished_cases(self, execution_id: int, first: int, end: int) -> dict[int, CaseOutcome]:
        """See `Results.finished`."""
        return await self._results.finished(execution_id, first, end)

    async def results(self, execution_id: int) -> list[CaseResult]:
        """See `Results.all`."""
        return await self._results.all(execution_id)

    async def invalidate(self, execution_id: int, indices: list[int], reason: str) -> None:
        """See `Results.invalidate`."""
        await self._results.invalidate(execution_id, indices, reason)

    async def save_case_verdicts(self, execution_id: int, verdicts: dict[int, tuple[Verdict, str]]) -> None:
        """See `Results.save_verdicts`."""
        await self._results.save_verdicts(execution_id, verdicts)

    async def row_counts(self, execution_id: int) -> dict[str, int]:
        """Rows of one run, by table."""
        tables: list[Any] = [
            TestCase, BaggageMap, RequestPattern, InterceptReplayResult, TestResult, TaskExecutionLog, Ledger,
        ]  # fmt: skip
        run: Any = TaskExecution.id
        counts = {}
        async with session(self.engine) as work:
            for table in tables:
                wanted = select(func.count()).select_from(table).where(table.execution_id == execution_id)
                counts[table.__tablename__] = (await work.execute(wanted)).scalar_one()
            wanted = select(func.count()).select_from(TaskExecution).where(run == execution_id)
            counts["task_execution"] = (await work.execute(wanted)).scalar_one()
        return counts
