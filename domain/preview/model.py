"""The answer of `holdfast preview`: what a run would do.

It is given before anything is done, from the plan alone.
"""

from __future__ import annotations

from pydantic import computed_field

from domain.base import Contract
from domain.executions.windows import WindowKind
from domain.resilience.model import Phase
from domain.timing import TimingPreset


class LeftOut(Contract):
    """A case that the plan excludes."""

    case_id: str
    reason: str


class CasesPreview(Contract):
    """Cases of a run, and their batches and pages."""

    baseline: int
    single: int
    dual: int
    excluded: int
    """Single and dual cases that the plan leaves out."""
    left_out: list[LeftOut] = []
    """The excluded cases. Only the first of them if there are many."""
    batch_size: int
    batches: int
    pages: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def total(self) -> int:
        """Number of all cases."""
        return self.baseline + self.single + self.dual

    @computed_field  # type: ignore[prop-decorator]
    @property
    def measured(self) -> int:
        """Number of measured cases, if every service shows how it fails."""
        return self.total - self.excluded


class EntryRequests(Contract):
    """How often the plan's request is really sent to its address."""

    steady_before: int
    """Sent before anything is switched on."""
    analysis: int
    """Sent while the proxy records. Repeated if it fails, up to `analysis_at_most` times in all."""
    analysis_at_most: int
    calls: int = 0
    """Sent while calls are recorded and nothing is broken. That is before the first fault, and at the end of the first
    round. Each is repeated while it fails, for `timeouts.stability`."""
    calls_in_all_rounds: int = 0
    """The same, if every round finds more."""
    broken: int = 0
    """Sent while each service is really broken, alone."""
    load: int
    """Sent by the load test: measured cases times requests of a case."""
    control: int = 0
    """Baseline requests that the load test sends among those of the cases. Each group of cases that is compared has
    them."""
    warm_up: int = 0
    """Sent before each group of cases, at most. Fewer if two blocks agree earlier; none of them is measured."""
    at_most: bool = False
    """Whether `load.max_requests` may end a case, and the baseline beside it, earlier."""
    steady_after: int
    """Sent by the run when everything is off. Repeated until the steady state is met or its time is over."""
    steady_at_end: int
    """The same, sent by the lock as the last act of a run."""
    watched_every_seconds: float | None = None
    """Interval of the requests of `stop.request` while the run works. They are not in `total`, because their number
    depends on how long the run takes."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def total(self) -> int:
        """Number of all requests, if none is repeated and none is saved.

        Without those of the watch (`watched_every_seconds`).
        """
        load = self.load + self.control + self.warm_up
        before = self.steady_before + self.analysis + self.calls + self.broken
        return before + load + self.steady_after + self.steady_at_end


class DiscoveryPreview(Contract):
    """What a run does to find calls that only failures cause.

    The real numbers are known only when the run has looked, so all of these are maximums.
    """

    requests_each: int
    """Requests sent while a service is broken alone."""
    rounds: int
    """Rounds of discovery. The first has the services' own faults. Each later round breaks once more the services that
    received new calls."""
    more_faults: int
    """Further faults, in services that received calls which healthy traffic never makes."""
    two_faults: bool = False
    """Whether pairs are really broken, with two faults at once. HOLDFAST_MAX_ACTIVE_FAULTS of this environment decides.
    It must be the same as the worker's."""
    pairs_calling: int = 0
    """Pairs in which one failure makes the other service receive more calls."""
    pairs_in_doubt: int = 0
    """Pairs that are run after the load test. Their results by rules are in doubt."""
    requests_each_pair: int = 0


class FaultPreview(Contract):
    """One real fault, as it will be injected."""

    service: str
    type: str
    scope: str
    target: str
    action: str
    matchers: dict[str, list[str]]
    ttl_seconds: int
    """After this the fault service removes the fault, whatever happens to us."""
    token: str
    """Baggage token that stands for this failure from then on."""
    substitute_status: int
    """Status of the rule if the failing service gives no HTTP answer."""


class RulesPreview(Contract):
    """Rules that are put at the proxy."""

    services: int
    per_service_at_least: int
    """The canary, and one rule per recorded request that the fault changed. Requests differ in method or path, and at
    least one changes."""
    ttl_seconds: int
    """After this the proxy drops the rules, whatever happens to us."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def at_least(self) -> int:
        """Rules of all services; how many more is known after recording."""
        return self.services * self.per_service_at_least


class WorkloadStep(Contract):
    """A change to the workload of each service under test."""

    phase: Phase
    change: str
    rollouts: int
    """Rollouts of its Deployment. Each replaces every pod."""


class StagePreview(Contract):
    """How long one part of a run takes."""

    phase: Phase
    what: str
    at_least_seconds: float
    at_most_seconds: float


class OnPreview(Contract):
    """How long something can remain on if the worker dies.

    At the worst moment, which is just after it was switched on.
    """

    kind: WindowKind
    ttl_seconds: int
    """Without any worker: after this the peer switches it off itself."""
    window_seconds: float
    """With a returning worker. By then its window has closed it, or has reported that it could not."""
    swept_seconds: float
    """With a peer that forgot its limit, and a window that does not act. By then the sweeper has stepped in."""


class Preview(Contract):
    """What a run would do.

    It follows from the plan alone: nothing was requested from any system.
    """

    plan: str
    namespace: str
    environment: str
    method: str
    url: str
    """Without the query, which may hold something secret."""
    login: str = ""
    """Method and address of the plan's `request.login`, shown in the same way. Empty if there is none."""
    timing: TimingPreset
    """Preset whose intervals are assumed. A worker with another preset takes another time."""
    requests_per_case: int
    """Requests of each case. With `load.max_requests` this is the maximum."""
    cases: CasesPreview
    requests: EntryRequests
    replays: list[str]
    """Services that get their recorded requests once more, while they are broken. The proxy sends them to the service
    itself."""
    faults: list[FaultPreview]
    faults_at_once: int = 1
    """How many of the faults may be active at once, by `safety.max_active_faults`. Never two are on one call path.
    Above 1 the real number depends on the services' `calls`, and on how long each fault takes."""
    discovery: DiscoveryPreview | None = None
    rules: RulesPreview
    workload_steps: list[WorkloadStep]
    assumed_request_seconds: float
    """Time that each request is assumed to take, for the minimum times."""
    deadline_seconds: float | None = None
    """After this the run closes everything and ends, by `stop.deadline`."""
    stages: list[StagePreview]
    remains_on: list[OnPreview]
    worst_recovery_seconds: float
    """The longest that anything remains on without a worker. One interval of the sweeper is included."""
    worst_failing_seconds: float = 0
    """The same for what makes services fail: faults and rules. Recordings only listen."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def at_least_seconds(self) -> float:
        """Minimum for the whole run; the peers' own time comes on top."""
        return round(sum(stage.at_least_seconds for stage in self.stages), 3)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def at_most_seconds(self) -> float:
        """Maximum for the whole run and its recovery: every timeout is reached."""
        return round(sum(stage.at_most_seconds for stage in self.stages), 3)
