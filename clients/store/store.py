"""The store: a single facade for all repositories."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Self

from sqlalchemy.ext.asyncio import AsyncEngine

from clients.store.decoding import Damage, DamagedRow, Rows
from clients.store.engine import close, create_engine
from clients.store.migrating import migrate
from clients.store.read_models import (
    CaseResult,
    CheckedPair,
    ExecutionRow,
    Halt,
    LogEntry,
    LogLevel,
    RunFilter,
    StoredCase,
    StoredSamples,
    UnfinishedRun,
)
from clients.store.repositories.calls import Calls
from clients.store.repositories.cases import Cases
from clients.store.repositories.executions import Executions
from clients.store.repositories.halting import Halting
from clients.store.repositories.ledger import LedgerRows
from clients.store.repositories.logs import Logs
from clients.store.repositories.pair_checks import PairChecks
from clients.store.repositories.progress import Progress
from clients.store.repositories.results import Results
from clients.store.repositories.samples import Samples
from clients.store.repositories.stability import StabilityRows
from clients.store.repositories.standings import Standings
from clients.store.repositories.traffic import Traffic
from domain.calls.model import Call, CallRound, FallbackCall, RealCase
from domain.cases.real_verdicts import Settled
from domain.executions.execution import Ending, Execution, ExecutionRecord, NewRecord, StepChange, Verdict
from domain.executions.permit_facts import Standing
from domain.executions.windows import LedgerEntry, LedgerUpdate, ServiceStability, StabilityMoment
from domain.measuring.load import Case, CaseOutcome, CaseType
from domain.measuring.steady_report import SteadyMoment, SteadyReport
from domain.pairs.fidelity import PairChoice
from domain.plans.environments import environment_of
from domain.plans.lenient import LenientPlan
from domain.plans.plan import Plan
from domain.resilience.model import NewExecution, Phase, PhaseChange
from domain.timing import Timing
from domain.traffic.exchange import CapturedAnswer, RecordedExchange


class Store:
    """SQLite or PostgreSQL behind typed methods.

    All writes may be repeated; each repository documents what a repetition does. A write is on disk when its method
    returns.

    Every method may raise `HoldfastError`: STORE_UNAVAILABLE when the database is away or locked (a retry may help),
    STORE_CONFLICT for what the database would refuse again, NOT_FOUND for a missing row.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `open`, which also migrates."""
        self.engine = engine
        self._cleaned: Callable[[str], str] = str
        self._damage = Damage()
        self._executions = Executions(engine, self._damage)
        self._logs = Logs(engine, self._damage)
        self._ledger = LedgerRows(engine, self._damage)
        self._halting = Halting(engine, self._damage)
        self._traffic = Traffic(engine, self._damage)
        self._cases = Cases(engine, self._damage)
        self._results = Results(engine, self._damage)
        self._samples = Samples(engine, self._damage)
        self._pairs = PairChecks(engine, self._damage)
        self._calls = Calls(engine, self._damage)
        self._progress = Progress(engine, self._damage)
        self._stability = StabilityRows(engine, self._damage)
        self._standings = Standings(engine, self._damage)

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect to a database, create its folder, and migrate its schema.

        Raises:
            HoldfastError: VALIDATION_ERROR for a URL that cannot be used, STORE_CONFLICT for a schema newer than this
                code, STORE_UNAVAILABLE when the database does not answer.
        """
        engine = create_engine(url)
        try:
            await migrate(engine)
        except BaseException:
            await engine.dispose()
            raise
        return cls(engine)

    def keep_out(self, cleaned: Callable[[str], str]) -> None:
        """Pass every log message and every run's error message through `cleaned` first.

        This applies to what is stored from now on.
        """
        self._cleaned = cleaned

    async def close(self) -> None:
        """Close all connections, once all requested work is done. See `engine.close`."""
        await close(self.engine)

    @property
    def damaged(self) -> list[DamagedRow]:
        """Damaged rows that reads have met so far, once each, for reporting."""
        return self._damage.rows

    async def create_execution(
        self, new: NewExecution, plan: Plan, timing: Timing, environment: str | None = None
    ) -> Execution:
        """Store plan, request and run, once per run id. See `Executions.create`.

        Without an environment, the address of the plan's fault service is used instead.
        """
        return await self._executions.create(new, plan, timing, environment or environment_of(plan, {}))

    async def create_record(self, new: NewRecord, name: str, timing: Timing) -> ExecutionRecord:
        """Store an execution of a kind without a plan, once per run id. See `Executions.create_record`."""
        return await self._executions.create_record(new, name, timing)

    async def change_step(self, change: StepChange) -> None:
        """Move an execution without phases to a step. See `Executions.change_step`."""
        await self._executions.change_step(change)

    async def execution(self, execution_id: int) -> Execution:
        """Return one run, in the form workflows use. See `Executions.get`."""
        return await self._executions.get(execution_id)

    async def plan(self, execution_id: int) -> Plan:
        """Return a run's plan, read strictly, for starting. See `Executions.plan`."""
        return await self._executions.plan(execution_id)

    async def plan_for_closing(self, execution_id: int) -> LenientPlan:
        """Return the readable part of a run's plan. See `Executions.plan_for_closing`."""
        return await self._executions.plan_for_closing(execution_id)

    async def change_phase(self, change: PhaseChange) -> None:
        """Move a run to a phase. See `Executions.change_phase`."""
        await self._executions.change_phase(change)

    async def phases(self, execution_id: int) -> list[tuple[Phase, datetime]]:
        """Return the phases that a run entered. See `Progress.phases`."""
        return await self._progress.phases(execution_id)

    async def save_steady(self, execution_id: int, moment: SteadyMoment, report: SteadyReport) -> None:
        """Store a check of the steady state. See `Progress.save_steady`."""
        cleaned = report.model_copy(update={"detail": self._cleaned(report.detail)})
        await self._progress.save_steady(execution_id, moment, cleaned)

    async def steady(self, execution_id: int) -> dict[SteadyMoment, SteadyReport]:
        """Return the checks of a run's steady state. See `Progress.steady`."""
        return await self._progress.steady(execution_id)

    async def save_pair_choice(self, execution_id: int, choice: PairChoice) -> None:
        """Store which pairs a run verifies. See `Progress.save_pair_choice`."""
        await self._progress.save_pair_choice(execution_id, choice)

    async def pair_choice(self, execution_id: int) -> PairChoice | None:
        """Return which pairs a run verifies. See `Progress.pair_choice`."""
        return await self._progress.pair_choice(execution_id)

    async def finish(self, ending: Ending, run_id: str | None = None) -> None:
        """Record how a run ended; the first end stands. See `Executions.finish`."""
        cleaned = {"error_message": self._cleaned(ending.error_message)}
        await self._executions.finish(ending.model_copy(update=cleaned), run_id)

    async def set_verdict(self, execution_id: int, verdict: Verdict) -> None:
        """Store the verdict of a run. See `Executions.set_verdict`."""
        await self._executions.set_verdict(execution_id, verdict)

    async def execution_row(self, execution_id: int) -> ExecutionRow:
        """Return the record of a run, for people. See `Executions.row`."""
        return await self._executions.row(execution_id)

    async def latest_execution_of(self, workflow_id: str) -> ExecutionRow | None:
        """Return the newest run of a workflow id. See `Executions.latest_of`."""
        return await self._executions.latest_of(workflow_id)

    async def latest_executions(self, limit: int, only: RunFilter | None = None) -> Rows[ExecutionRow]:
        """List the newest runs that match a filter, newest first. See `Executions.newest`."""
        return await self._executions.newest(limit, only or RunFilter())

    async def unfinished_executions(self) -> Rows[UnfinishedRun]:
        """List runs without a recorded end, newest first. See `Executions.unfinished`."""
        return await self._executions.unfinished()

    async def standing(self, execution_id: int) -> Standing:
        """Read what permits an execution to act. See `Standings.of`."""
        return await self._standings.of(execution_id)

    async def halt(self, reason: str, by: str) -> Halt:
        """Refuse new runs from now on. See `Halting.halt`."""
        return await self._halting.halt(reason, by)

    async def unhalt(self) -> Halt | None:
        """Allow new runs again. See `Halting.unhalt`."""
        return await self._halting.unhalt()

    async def halted(self) -> Halt | None:
        """Return why new runs are refused, if they are. See `Halting.halted`."""
        return await self._halting.halted()

    async def log(self, execution_id: int, key: str, level: LogLevel, message: str) -> None:
        """Append a line to a run's log, once per key. See `Logs.add`."""
        await self._logs.add(execution_id, key, level, self._cleaned(message))

    async def log_entries(self, execution_id: int, since: datetime | None = None) -> Rows[LogEntry]:
        """Return a run's log, in order. See `Logs.of`."""
        return await self._logs.of(execution_id, since)

    async def newest_log_entries(self, execution_id: int, limit: int) -> Rows[LogEntry]:
        """Return the newest lines of a run's log, in order. See `Logs.newest`."""
        return await self._logs.newest(execution_id, limit)

    async def ledger_intent(self, entry: LedgerEntry) -> None:
        """Record that a window is about to open. See `LedgerRows.intent`."""
        await self._ledger.intent(entry)

    async def ledger_update(self, update: LedgerUpdate) -> None:
        """Move a window forward; a settled window stays settled. See `LedgerRows.update`."""
        await self._ledger.update(update)

    async def ledger_of(self, execution_id: int) -> Rows[LedgerEntry]:
        """Return all windows of a run, oldest first. See `LedgerRows.of`."""
        return await self._ledger.of(execution_id)

    async def ledger_unsettled(self) -> Rows[LedgerEntry]:
        """Return every window that is or may be active. See `LedgerRows.unsettled`."""
        return await self._ledger.unsettled()

    async def save_exchanges(self, execution_id: int, exchanges: list[RecordedExchange]) -> None:
        """Store recorded requests and their healthy answers. See `Traffic.save_exchanges`."""
        await self._traffic.save_exchanges(execution_id, exchanges)

    async def add_exchanges(self, execution_id: int, service: str, exchanges: Sequence[RecordedExchange]) -> None:
        """Store more requests of a service. See `Traffic.add_exchanges`."""
        await self._traffic.add_exchanges(execution_id, service, exchanges)

    async def recorded_calls(self, execution_id: int) -> Rows[Call]:
        """Return recorded requests without their contents. See `Traffic.recorded_calls`."""
        return await self._traffic.recorded_calls(execution_id)

    async def exchanges(self, execution_id: int, service: str) -> Rows[RecordedExchange]:
        """Return a service's recorded requests, by position. See `Traffic.exchanges`."""
        return await self._traffic.exchanges(execution_id, service)

    async def save_propagation(self, execution_id: int, forwarded: dict[str, bool]) -> None:
        """Store which services the baggage marker reached. See `Traffic.save_propagation`."""
        await self._traffic.save_propagation(execution_id, forwarded)

    async def propagation(self, execution_id: int) -> dict[str, bool]:
        """Return which services the baggage marker reached. See `Traffic.propagation`."""
        return await self._traffic.propagation(execution_id)

    async def save_captured(self, execution_id: int, fault_type: str, answers: list[CapturedAnswer]) -> None:
        """Store how services answered while broken. See `Traffic.save_captured`."""
        await self._traffic.save_captured(execution_id, fault_type, answers)

    async def captured(self, execution_id: int) -> Rows[CapturedAnswer]:
        """Return all captured failures, by service and position. See `Traffic.captured`."""
        return await self._traffic.captured(execution_id)

    async def save_cases(self, execution_id: int, cases: Iterable[StoredCase]) -> None:
        """Store cases in chunks; existing cases stay. See `Cases.save`."""
        await self._cases.save(execution_id, cases)

    async def cases(self, execution_id: int, first: int, end: int) -> Rows[Case]:
        """Return the cases with first <= index < end. See `Cases.range`."""
        return await self._cases.range(execution_id, first, end)

    async def case_counts(self, execution_id: int) -> dict[CaseType, int]:
        """Count the stored cases of each type. See `Cases.counts`."""
        return await self._cases.counts(execution_id)

    async def save_tokens(self, execution_id: int, tokens: dict[str, str]) -> None:
        """Store the baggage token of each service. See `Cases.save_tokens`."""
        await self._cases.save_tokens(execution_id, tokens)

    async def tokens(self, execution_id: int) -> dict[str, str]:
        """Return the baggage token of each service. See `Cases.tokens`."""
        return await self._cases.tokens(execution_id)

    async def save_result(self, execution_id: int, result: CaseResult) -> None:
        """Store a case's result; a measurement is never lost. See `Results.save`."""
        await self._results.save(execution_id, result)

    async def save_group(self, execution_id: int, results: list[CaseResult], samples: list[StoredSamples]) -> None:
        """Store a group's results and samples, all or none. See `Results.save_group`."""
        await self._results.save_group(execution_id, results, samples)

    async def samples_in(self, execution_id: int, first: int, end: int) -> Rows[StoredSamples]:
        """Return the samples for first <= index < end. See `Samples.between`."""
        return await self._samples.between(execution_id, first, end)

    async def save_unmeasured(self, execution_id: int, results: Iterable[CaseResult]) -> None:
        """Store the outcomes of unmeasured cases. See `Results.save_unmeasured`."""
        await self._results.save_unmeasured(execution_id, results)

    async def finished_cases(self, execution_id: int, first: int, end: int) -> dict[int, CaseOutcome]:
        """Return existing outcomes for first <= index < end. See `Results.finished`."""
        return await self._results.finished(execution_id, first, end)

    async def results(self, execution_id: int) -> Rows[CaseResult]:
        """Return every result of a run, by case index. See `Results.all`."""
        return await self._results.all(execution_id)

    async def results_in(self, execution_id: int, first: int, end: int) -> Rows[CaseResult]:
        """Return the results for first <= index < end. See `Results.between`."""
        return await self._results.between(execution_id, first, end)

    async def invalidate(self, execution_id: int, indices: list[int], reason: str) -> None:
        """Invalidate the measurements of these cases. See `Results.invalidate`."""
        await self._results.invalidate(execution_id, indices, reason)

    async def save_case_verdicts(self, execution_id: int, verdicts: dict[int, tuple[Verdict, str]]) -> None:
        """Store verdicts and reasons by case index. See `Results.save_verdicts`."""
        await self._results.save_verdicts(execution_id, verdicts)

    async def settle_cases(self, execution_id: int, settled: Mapping[int, Settled]) -> None:
        """Settle measured cases, by case index. See `Results.settle`."""
        await self._results.settle(execution_id, settled)

    async def save_pair(self, execution_id: int, pair: CheckedPair) -> None:
        """Store the result of a pair with two real faults. See `PairChecks.save`."""
        await self._pairs.save(execution_id, pair)

    async def pairs(self, execution_id: int, case_index: int | None = None) -> Rows[CheckedPair]:
        """Return pairs with two real faults. See `PairChecks.of`."""
        return await self._pairs.of(execution_id, case_index)

    async def save_calls(self, execution_id: int, calls: Sequence[FallbackCall]) -> None:
        """Store fallback calls; a retry replaces them. See `Calls.save_calls`."""
        await self._calls.save_calls(execution_id, calls)

    async def calls(self, execution_id: int) -> Rows[FallbackCall]:
        """Return every fallback call of a run, by case. See `Calls.calls`."""
        return await self._calls.calls(execution_id)

    async def save_real_case(self, execution_id: int, real: RealCase) -> None:
        """Store a case measured with really broken services. See `Calls.save_real_case`."""
        await self._calls.save_real_case(execution_id, real)

    async def real_cases(self, execution_id: int) -> Rows[RealCase]:
        """Return cases measured with really broken services. See `Calls.real_cases`."""
        return await self._calls.real_cases(execution_id)

    async def save_call_round(self, execution_id: int, found: CallRound) -> None:
        """Store the result of a discovery round. See `Calls.save_round`."""
        await self._calls.save_round(execution_id, found)

    async def call_rounds(self, execution_id: int) -> Rows[CallRound]:
        """Return a run's discovery rounds, in order. See `Calls.rounds`."""
        return await self._calls.rounds(execution_id)

    async def save_stability(
        self, execution_id: int, moment: StabilityMoment, found: Sequence[ServiceStability]
    ) -> None:
        """Store how long services took to be stable. See `StabilityRows.save`."""
        await self._stability.save(execution_id, moment, found)

    async def stability(self, execution_id: int) -> dict[StabilityMoment, list[ServiceStability]]:
        """Return how long services took to be stable, per wait. See `StabilityRows.of`."""
        return await self._stability.of(execution_id)
