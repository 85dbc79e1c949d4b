"""Hints for the parts of a full experiment that a plan leaves out, by place in the plan."""

from __future__ import annotations

MISSING = {
    "services[].fault.experiment": "is the ChaosBlade experiment: scope, target, action, matchers; for the short forms "
    "write fault: remove, or fault: error",
    "services[].fault.experiment.scope": "is pod or container",
    "services[].fault.experiment.target": "is what is disturbed, for example network",
    "services[].fault.experiment.action": "is the way it is disturbed, for example delay",
    "services[].fault.experiment.matchers": 'holds the parameters, each a list of texts: {time: ["3000"]}',
}
