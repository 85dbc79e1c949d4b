"""The operator's part: what an experiment hits, and what it does."""

from collections.abc import Callable

from lab.faults.spec import Experiment
from lab.services.cluster import Cluster
from lab.services.host import Effect, EffectKind, Host

_SIDECAR = "envoy"
"""The container that the proxy injects."""


class OperatorError(Exception):
    """The experiment fails, and the message becomes its error text."""


def effect_of(experiment: Experiment) -> Effect:
    """Return the effect of an experiment.

    Raises:
        OperatorError: the experiment is not supported, or a parameter is missing or wrong.
    """
    scope = "container" if experiment.target == "jvm" else experiment.scope
    make = _EFFECTS.get((scope, experiment.target, experiment.action))
    if make is None:
        kind = f"{experiment.scope} {experiment.target} {experiment.action}"
        raise OperatorError(f"the experiment `{kind}` is not supported here")
    return make(experiment)


def targets_of(experiment: Experiment, cluster: Cluster) -> list[Host]:
    """Find the services whose pods an experiment selects.

    Scope container also selects by container.

    Raises:
        OperatorError: a selector is missing, or nothing matches.
    """
    if cluster.namespace not in experiment.values("namespace"):
        raise OperatorError("invalid parameter: `namespace`, can not find pods")
    names = experiment.values("names")
    labels = experiment.values("labels")
    # For a network experiment `percent` means packets; for any other it means pods.
    by_count = ("evict-count", "evict-percent", "count", *(() if experiment.target == "network" else ("percent",)))
    if not (names or labels or experiment.values(*by_count)):
        raise OperatorError("must specify one flag in names, labels, evict-count, evict-percent")
    containers = experiment.values("container-names")
    if experiment.scope == "container" and not (containers or experiment.values("container-ids", "container-index")):
        raise OperatorError("must specify one flag in container-ids, container-names, container-index")
    hosts = list(cluster.hosts.values())
    if names or labels:
        chosen = {_service_of_pod(pod, cluster) for pod in names} | _labelled(labels)
        hosts = [host for host in hosts if host.name in chosen]
    if experiment.scope == "container" and containers:
        hosts = [host for host in hosts if host.name in containers]
    if not hosts:
        raise OperatorError("can not find the target pods or containers")
    return hosts


def _service_of_pod(pod: str, cluster: Cluster) -> str | None:
    """Return the service that owns a pod, by its name.

    The longest matching service name wins: `cart-db-0` is no pod of `cart`.
    """
    owners = [name for name in cluster.hosts if pod.startswith(f"{name}-")]
    return max(owners, key=len, default=None)


def _labelled(labels: list[str]) -> set[str | None]:
    pairs = [label.partition("=") for text in labels for label in text.split(",")]
    return {value for key, _, value in pairs if key in {"app", "app.kubernetes.io/name"}}


def _remove(experiment: Experiment) -> Effect:
    return Effect(kind=EffectKind.REMOVED, sidecar=_SIDECAR in experiment.values("container-names"))


def _delay(experiment: Experiment) -> Effect:
    values = experiment.values("time")
    if len(values) != 1 or not values[0].isdigit():
        raise OperatorError("less parameter: `time`, or it is no number of milliseconds")
    return Effect(kind=EffectKind.DELAY, seconds=int(values[0]) / 1000)


def _loss(experiment: Experiment) -> Effect:
    if experiment.action == "loss" and experiment.values("percent") != ["100"]:
        raise OperatorError("less parameter: `percent`, or it is not 100: no other is supported here")
    return Effect(kind=EffectKind.LOSS)


def _plain(kind: EffectKind) -> Callable[[Experiment], Effect]:
    return lambda _experiment: Effect(kind=kind)


_EFFECTS: dict[tuple[str, str, str], Callable[[Experiment], Effect]] = {
    ("container", "container", "remove"): _remove,
    ("container", "jvm", "throwCustomException"): _plain(EffectKind.EXCEPTION),
    ("pod", "pod", "delete"): _plain(EffectKind.POD_RESTART),
    **{(scope, "process", "kill"): _plain(EffectKind.PROCESS_RESTART) for scope in ("pod", "container")},
    **{(scope, "network", "delay"): _delay for scope in ("pod", "container")},
    **{(scope, "network", action): _loss for scope in ("pod", "container") for action in ("loss", "drop")},
}
