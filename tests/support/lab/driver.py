"""A client that drives a lab over HTTP, as anybody else would."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import aiohttp

from lab import Lab, LabState

Json = dict[str, Any]


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    text: str
    json: Any
    seconds: float
    headers: Any


async def until(condition: Callable[[], Awaitable[Any]], what: str, deadline: float = 5, interval: float = 0.01) -> Any:
    """Repeat the condition until its result is truthy."""
    end = time.monotonic() + deadline
    while not (result := await condition()):
        assert time.monotonic() < end, f"waited {deadline} s in vain for: {what}"
        await asyncio.sleep(interval)
    return result


class Driver:
    """A client of a lab."""

    def __init__(self, lab: Lab, session: aiohttp.ClientSession) -> None:
        self.lab = lab
        self.at = lab.addresses
        self._session = session

    async def ask(self, method: str, url: str, json: Any = None, **options: Any) -> Answer:
        if json is not None:
            options["json"] = json
        options.setdefault("timeout", aiohttp.ClientTimeout(total=5))
        began = time.monotonic()
        async with self._session.request(method, url, **options) as response:
            text = await response.text()
            is_json = response.content_type == "application/json" and text
            return Answer(
                response.status,
                text,
                await response.json() if is_json else None,
                time.monotonic() - began,
                response.headers,
            )

    async def proxy(self, method: str, path: str, json: Any = None, **options: Any) -> Answer:
        return await self.ask(method, f"{self.at.proxy}{path}", json, **options)

    async def faults(self, method: str, path: str, json: Any = None, **options: Any) -> Answer:
        return await self.ask(method, f"{self.at.faults}/api/faults{path}", json, **options)

    async def admin(self, method: str, path: str, json: Any = None) -> Answer:
        return await self.ask(method, f"{self.at.admin}/lab{path}", json)

    async def service(self, name: str, path: str, baggage: str | None = None, **options: Any) -> Answer:
        headers = {} if baggage is None else {"baggage": baggage}
        return await self.ask("GET", self.at.services[name] + path, headers=headers, **options)

    async def home(self, baggage: str | None = None) -> Answer:
        return await self.service(self.at.entry_service, "/api/home", baggage)

    async def state(self) -> LabState:
        return LabState.model_validate((await self.admin("GET", "/state")).json)

    async def misbehave(self, *instructions: Json, **behaviours: Any) -> None:
        answer = await self.admin("POST", "/misbehave", {"instructions": list(instructions), **behaviours})
        assert answer.status == 200, answer.text

    # Faults

    def experiment(self, service: str, kind: str = "container container remove", **matchers: str) -> Json:
        scope, target, action = kind.split()
        all_matchers = {
            "namespace": self.at.namespace,
            "labels": f"app={service}",
            "container-names": service,
            **matchers,
        }
        named = [{"name": name.replace("_", "-"), "value": [value]} for name, value in all_matchers.items()]
        return {"scope": scope, "target": target, "action": action, "matchers": named}

    async def execute(self, name: str, *experiments: Json, ttl: int | None = None) -> Answer:
        params = {"name": name} | ({} if ttl is None else {"durationSec": str(ttl)})
        return await self.faults("POST", "/execute", {"spec": {"experiments": list(experiments)}}, params=params)

    async def phase(self, name: str) -> str:
        answer = await self.faults("GET", f"/{name}/status")
        return answer.json["data"]["phase"] if answer.status == 200 else "gone"

    async def reaches(self, name: str, phase: str) -> None:
        async def there() -> bool:
            return await self.phase(name) == phase

        await until(there, f"{name} in phase {phase}")

    async def inject(self, name: str, service: str, kind: str = "container container remove", **matchers: str) -> None:
        answer = await self.execute(name, self.experiment(service, kind, **matchers))
        assert answer.status == 200, answer.text
        await self.reaches(name, "Running")

    async def recover(self, name: str) -> None:
        answer = await self.faults("DELETE", f"/{name}")
        assert answer.status == 200, answer.text
        await self.reaches(name, "gone")

    # Proxy

    async def upsert(self, record_id: str, *items: Json, ttl: int = 60) -> Answer:
        body = {"namespace": self.at.namespace, "recordId": record_id, "ttlSec": ttl, "items": list(items)}
        return await self.proxy("POST", "/api/fixtures/upsert", body)

    async def rules_on(self, record_id: str, *items: Json, ttl: int = 60) -> None:
        answer = await self.upsert(record_id, *items, ttl=ttl)
        assert answer.status == 200, answer.text
        await self.ready()

    async def ready(self, timeout: float = 5) -> None:
        async def all_ready() -> bool:
            return all(service.ready for service in (await self.state()).services.values())

        await until(all_ready, "every service ready", timeout)

    async def analyze(self, **fields: Any) -> Json:
        body = {
            "reqDefId": 1,
            "namespace": self.at.namespace,
            "serviceList": list(self.at.services),
            "execution_id": 42,
            **fields,
        }
        answer = await self.proxy("POST", "/api/request-patterns/analyze", body)
        assert answer.status == 200, answer.text
        return answer.json["data"]

    async def task(self, task_id: str) -> Json:
        return (await self.proxy("GET", f"/api/request-patterns/tasks/{task_id}")).json["data"]

    async def task_in(self, task_id: str, *states: str) -> Json:
        async def there() -> Json | None:
            task = await self.task(task_id)
            return task if task["status"] in states else None

        return await until(there, f"task in {states}")

    async def analyzed(self, request: Callable[[], Awaitable[Any]], **fields: Any) -> Json:
        task_id = (await self.analyze(**fields))["taskId"]
        await self.task_in(task_id, "COLLECTING_DATA")
        await request()
        return await self.task_in(task_id, "COMPLETED", "FAILED")

    async def replay(self, service: str, execution_id: int = 42) -> list[Json]:
        body = {"execution_id": execution_id, "namespace": self.at.namespace, "service_name": service}
        answer = await self.proxy("POST", "/api/request-patterns/replay", body)
        assert answer.status == 200, answer.text
        return answer.json["data"]


PATHS = {
    "recommendations": "/api/recommendations",
    "bestsellers": "/api/bestsellers",
    "reviews": "/api/reviews",
    "shipping": "/api/shipping/estimate",
    "inventory": "/api/stock",
}


def rule(service: str, **fields: Any) -> Json:
    """Build a rule that answers 503 if the baggage names the service."""
    return {
        "serviceName": service,
        "method": "GET",
        "path": PATHS[service],
        "baggageTokens": [f"chaos.{service}=1"],
        "respStatus": 503,
        "respHeaders": {},
        "respBody": "",
        **fields,
    }
