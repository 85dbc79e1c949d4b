"""What was recorded of healthy services, and how they answered while broken."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from clients.store.engine import session
from clients.store.tables import InterceptReplayResult, RequestPattern, TaskExecution, utc_now
from clients.store.upsert import insert_or_replace
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.exchange import CapturedAnswer, RecordedExchange

_KEY = ("execution_id", "service_name", "position")


class Traffic:
    """Repository of exchanges. Everything is redacted before it comes here."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def save_exchanges(self, execution_id: int, exchanges: list[RecordedExchange]) -> None:
        """Store recorded requests; a repetition replaces them."""
        rows = [
            {
                "execution_id": execution_id,
                "service_name": one.service,
                "position": one.position,
                "request_url": one.url,
                "request_method": one.method,
                "raw_path": one.path,
                "request_headers": one.request_headers,
                "request_body": one.request_body,
                "response_status": one.response_status,
                "response_headers": one.response_headers,
                "response_body": one.response_body,
                "created_at": utc_now(),
            }
            for one in exchanges
        ]
        async with session(self._engine) as work:
            await insert_or_replace(work, RequestPattern, rows, *_KEY)

    async def exchanges(self, execution_id: int, service: str) -> list[RecordedExchange]:
        """A service's recorded requests, in the proxy's order."""
        execution, name, position = _columns(RequestPattern)
        wanted = select(RequestPattern).where(execution == execution_id, name == service).order_by(position)
        async with session(self._engine) as work:
            rows = (await work.execute(wanted)).scalars()
            return [
                RecordedExchange(
                    service=row.service_name,
                    position=row.position,
                    method=row.request_method,
                    url=row.request_url,
                    path=row.raw_path,
                    request_headers=row.request_headers,
                    request_body=row.request_body,
                    response_status=row.response_status,
                    response_headers=row.response_headers,
                    response_body=row.response_body,
                )
                for row in rows
            ]

    async def save_captured(self, execution_id: int, fault_type: str, answers: list[CapturedAnswer]) -> None:
        """Store captured failures; a repetition replaces them."""
        async with session(self._engine) as work:
            execution = await work.get(TaskExecution, execution_id)
            if execution is None:
                raise HoldfastError(ErrorCode.NOT_FOUND, f"the store has no execution {execution_id}")
            rows = [_captured_row(execution_id, execution.task_id, fault_type, answer) for answer in answers]
            await insert_or_replace(work, InterceptReplayResult, rows, *_KEY)

    async def captured(self, execution_id: int) -> list[CapturedAnswer]:
        """All captured failures of a run, by service and position."""
        execution, name, position = _columns(InterceptReplayResult)
        wanted = select(InterceptReplayResult).where(execution == execution_id).order_by(name, position)
        async with session(self._engine) as work:
            rows = (await work.execute(wanted)).scalars()
            return [
                CapturedAnswer(
                    service=row.service_name,
                    position=row.position,
                    method=row.request_method,
                    url=row.request_url,
                    path=row.raw_path,
                    status=row.response_status,
                    headers=row.response_headers,
                    body=row.response_body,
                    substituted=row.substituted,
                    no_effect=row.no_effect,
                    error_message=row.error_message,
                )
                for row in rows
            ]


def _captured_row(execution_id: int, task_id: int, fault_type: str, answer: CapturedAnswer) -> dict[str, Any]:
    return {
        "execution_id": execution_id,
        "task_id": task_id,
        "fault_type": fault_type,
        "service_name": answer.service,
        "position": answer.position,
        "request_url": answer.url,
        "request_method": answer.method,
        "raw_path": answer.path,
        "request_headers": {},
        "request_body": "",
        "response_status": answer.status,
        "response_headers": answer.headers,
        "response_body": answer.body,
        "substituted": answer.substituted,
        "no_effect": answer.no_effect,
        "error_message": answer.error_message,
        "created_at": utc_now(),
    }


def _columns(table: type[RequestPattern] | type[InterceptReplayResult]) -> tuple[Any, Any, Any]:
    return table.execution_id, table.service_name, table.position
