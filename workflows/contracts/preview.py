"""What a run of a plan would do, told before anything is done: the answer of `holdfast preview`."""

from __future__ import annotations

from pydantic import computed_field

from workflows.contracts.base import Contract
from workflows.contracts.execution import Phase
from workflows.contracts.timing import TimingPreset
from workflows.contracts.windows import WindowKind


class LeftOut(Contract):
    """A case that the plan excludes."""

    case_id: str
    reason: str


class CasesPreview(Contract):
    """The cases of a run, and how they are cut into batches and pages."""

    baseline: int
    single: int
    dual: int
    excluded: int
    """Those of the single and dual ones that the plan leaves out."""
    left_out: list[LeftOut] = []
    """The excluded cases, the first of them where they are many."""
    batch_size: int
    batches: int
    pages: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def total(self) -> int:
        """All cases."""
        return self.baseline + self.single + self.dual

    @computed_field  # type: ignore[prop-decorator]
    @property
    def measured(self) -> int:
        """Those that are measured, when every service shows how it fails."""
        return self.total - self.excluded


class EntryRequests(Contract):
    """How often the plan's request is really sent to its address."""

    steady_before: int
    """Before anything is switched on."""
    analysis: int
    """While the proxy records. Sent again, up to `analysis_at_most` times, when it fails."""
    analysis_at_most: int
    calls: int = 0
    """While calls are recorded and nothing is broken: before the first fault, and at the end of the first round. Each
    is sent again while it fails, for `timeouts.stability`."""
    calls_in_all_rounds: int = 0
    """The same, when every round finds more."""
    broken: int = 0
    """While each service is really broken, alone."""
    load: int
    """By the load test: the measured cases times the requests of a case."""
    control: int = 0
    """By the load test, among those of the cases: baseline requests beside each group of cases that is compared."""
    warm_up: int = 0
    """Before each group of cases, at most: fewer when two blocks agree earlier. None of them is measured."""
    at_most: bool = False
    """Whether a case, and the baseline beside it, may end with fewer (`load.max_requests`)."""
    steady_after: int
    """When everything is off, by the run. Asked again until the steady state is met or its time is over."""
    steady_at_end: int
    """The same, by the lock: the last thing that a run does."""
    watched_every_seconds: float | None = None
    """While the run works, one so often, by `stop.request`; not in `total`, because it depends on how long that is."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def total(self) -> int:
        """All of them but the watch's, when none has to be repeated and none is saved."""
        load = self.load + self.control + self.warm_up
        before = self.steady_before + self.analysis + self.calls + self.broken
        return before + load + self.steady_after + self.steady_at_end


class DiscoveryPreview(Contract):
    """What a run does to find the calls that services receive only while something is broken.

    How many there are is known when it has looked, so everything here is at most.
    """

    requests_each: int
    """Sent while a service is broken alone."""
    rounds: int
    """The first has the services' own faults; in each later one those that received new calls are broken once more."""
    more_faults: int
    """Further faults, of services that received calls which healthy traffic never makes."""
    two_faults: bool = False
    """Whether pairs are really broken, with two faults at once: by HOLDFAST_MAX_ACTIVE_FAULTS of this environment,
    which must be the worker's."""
    pairs_calling: int = 0
    """Pairs of which one failure makes the other service receive more calls."""
    pairs_in_doubt: int = 0
    """Pairs that are run after the load test, because what rules say of them is in doubt."""
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
    """The fault service removes it after this, whatever becomes of us."""
    token: str
    """The baggage token that stands for this failure from then on."""
    substitute_status: int
    """Status of the rule when the failing service gives no HTTP answer at all."""


class RulesPreview(Contract):
    """The rules that are put at the proxy."""

    services: int
    per_service_at_least: int
    """The canary, and one for each recorded method and path whose answer the fault changed: at least one."""
    ttl_seconds: int
    """The proxy drops them after this, whatever becomes of us."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def at_least(self) -> int:
        """Of all services. How many more is known once the requests are recorded."""
        return self.services * self.per_service_at_least


class WorkloadStep(Contract):
    """Something that is done to the workload of each service under test."""

    phase: Phase
    change: str
    rollouts: int
    """Rollouts of its Deployment, each of which replaces every pod of it."""


class StagePreview(Contract):
    """How long one part of a run takes."""

    phase: Phase
    what: str
    at_least_seconds: float
    at_most_seconds: float


class OnPreview(Contract):
    """How long something can remain on when the worker dies at the worst moment, which is just after it came on."""

    kind: WindowKind
    ttl_seconds: int
    """Without any worker: the peer switches it off itself."""
    window_seconds: float
    """With a worker that is back: its window has closed it, or has said that it could not."""
    swept_seconds: float
    """When the peer has forgotten its own limit and the window does not act: the sweeper has stepped in."""


class Preview(Contract):
    """What a run would do. Nothing of it was asked of anybody: it follows from the plan alone."""

    plan: str
    namespace: str
    environment: str
    method: str
    url: str
    """Without query, which may hold what is not to be shown."""
    login: str = ""
    """Method and address of the plan's `request.login`, shown in the same way. Empty when there is none."""
    timing: TimingPreset
    """Whose intervals are meant: a worker with other ones takes another time."""
    requests_per_case: int
    """At most, with `load.max_requests`."""
    cases: CasesPreview
    requests: EntryRequests
    replays: list[str]
    """Services whose recorded requests the proxy sends once more, to the service itself, while it is broken."""
    faults: list[FaultPreview]
    faults_at_once: int = 1
    """So many of them may be on at once, by `safety.max_active_faults`, never two on one call path. Above 1 it depends
    on the services' `calls` and on how long each takes how many really are."""
    discovery: DiscoveryPreview | None = None
    rules: RulesPreview
    workload_steps: list[WorkloadStep]
    assumed_request_seconds: float
    """What each request is assumed to take, for the least time."""
    deadline_seconds: float | None = None
    """After this the run closes everything and ends, by `stop.deadline`."""
    stages: list[StagePreview]
    remains_on: list[OnPreview]
    worst_recovery_seconds: float
    """The longest that anything remains on when no worker comes back, and one interval of the sweeper."""
    worst_failing_seconds: float = 0
    """The same of what makes services fail: faults and rules. Recordings only listen."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def at_least_seconds(self) -> float:
        """Of the whole run; what the peers themselves need comes on top."""
        return round(sum(stage.at_least_seconds for stage in self.stages), 3)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def at_most_seconds(self) -> float:
        """Of the whole run, its recovery included, when every timeout is reached."""
        return round(sum(stage.at_most_seconds for stage in self.stages), 3)
