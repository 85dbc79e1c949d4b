"""Recorded requests to healthy services, and their answers while broken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlmodel import col

from clients.store.decoding import Rows
from clients.store.engine import reading, writing
from clients.store.repositories.ended import refuse_ended, unknown_execution
from clients.store.repository import Repository
from clients.store.schema.columns import storable, utc_now
from clients.store.schema.tables import InterceptReplayResult, RecordedService, RequestPattern, TaskExecution
from clients.store.uncancellable import uncancellable
from clients.store.upsert import insert_missing, insert_or_replace
from domain.calls.model import Call
from domain.traffic.exchange import CapturedAnswer, RecordedExchange

_KEY = ("execution_id", "service_name", "position")


class Traffic(Repository):
    """Repository of exchanges. Callers redact everything before it is stored here.

    Writing raises NOT_FOUND for an unknown run and STORE_CONFLICT for a run that has ended. Reading an unknown run
    returns nothing.
    """

    @uncancellable
    async def save_exchanges(self, execution_id: int, exchanges: list[RecordedExchange]) -> None:
        """Store recorded requests; a retry replaces them by service and position."""
        rows = [_recorded_row(execution_id, recorded) for recorded in exchanges]
        async with writing(self._engine) as work:
            await refuse_ended(work, execution_id)
            await insert_or_replace(work, RequestPattern, rows, *_KEY)

    @uncancellable
    async def add_exchanges(self, execution_id: int, service: str, exchanges: Sequence[RecordedExchange]) -> None:
        """Store requests of a service that were recorded later.

        They get the positions after the existing ones. A request that exists by method and path stays as it is, so a
        retry adds nothing.
        """
        table = RequestPattern
        existing = select(col(table.position), col(table.request_method), col(table.raw_path)).where(
            col(table.execution_id) == execution_id, col(table.service_name) == service
        )
        async with writing(self._engine) as work:
            await refuse_ended(work, execution_id)
            found = self._damage.all(
                await work.execute(existing), _place_of, label=lambda row: _label(execution_id, service, row[0])
            )
            known = {(method, path) for _, method, path in found}
            next_position = 1 + max((position for position, _, _ in found), default=-1)
            rows: list[dict[str, Any]] = []
            for exchange in exchanges:
                key = (storable(exchange.method), storable(exchange.path))
                if key in known:
                    continue
                known.add(key)
                place = {"service": service, "position": next_position + len(rows)}
                rows.append(_recorded_row(execution_id, exchange.model_copy(update=place)))
            await insert_missing(work, table, rows, *_KEY)

    @uncancellable
    async def recorded_calls(self, execution_id: int) -> Rows[Call]:
        """Return all services' recorded requests, without their contents.

        They are ordered by service and position.
        """
        table = RequestPattern
        wanted = (
            select(col(table.service_name), col(table.request_method), col(table.raw_path), col(table.position))
            .where(col(table.execution_id) == execution_id)
            .order_by(col(table.service_name), col(table.position))
        )
        async with reading(self._engine) as work:
            return self._damage.all(
                await work.execute(wanted),
                lambda row: Call(service=row[0], method=row[1], path=row[2]),
                label=lambda row: _label(execution_id, row[0], row[3]),
            )

    @uncancellable
    async def exchanges(self, execution_id: int, service: str) -> Rows[RecordedExchange]:
        """Return a service's recorded requests, by position."""
        wanted = (
            select(RequestPattern)
            .where(col(RequestPattern.execution_id) == execution_id, col(RequestPattern.service_name) == service)
            .order_by(col(RequestPattern.position))
        )
        async with reading(self._engine) as work:
            return self._damage.all((await work.execute(wanted)).scalars(), _recorded)

    @uncancellable
    async def save_propagation(self, execution_id: int, forwarded: dict[str, bool]) -> None:
        """Store, by service, whether the baggage marker reached it.

        The marker is in the baggage of the analysis request. A retry replaces the rows.
        """
        rows = [
            {"execution_id": execution_id, "service_name": name, "baggage_forwarded": reached, "created_at": utc_now()}
            for name, reached in forwarded.items()
        ]
        async with writing(self._engine) as work:
            await refuse_ended(work, execution_id)
            await insert_or_replace(work, RecordedService, rows, "execution_id", "service_name")

    @uncancellable
    async def propagation(self, execution_id: int) -> dict[str, bool]:
        """Return whether the baggage marker reached each service, by name."""
        wanted = (
            select(RecordedService)
            .where(col(RecordedService.execution_id) == execution_id)
            .order_by(col(RecordedService.service_name))
        )
        async with reading(self._engine) as work:
            return dict(self._damage.all((await work.execute(wanted)).scalars(), _reached))

    @uncancellable
    async def save_captured(self, execution_id: int, fault_type: str, answers: list[CapturedAnswer]) -> None:
        """Store captured failures; a retry replaces them by service and position.

        Failures of other services stay.
        """
        async with writing(self._engine) as work:
            await refuse_ended(work, execution_id)
            execution = await work.get(TaskExecution, execution_id)
            if execution is None:
                raise unknown_execution(execution_id)
            common = {"execution_id": execution_id, "task_id": execution.task_id, "fault_type": fault_type}
            rows = [common | _captured_row(answer) for answer in answers]
            await insert_or_replace(work, InterceptReplayResult, rows, *_KEY)

    @uncancellable
    async def captured(self, execution_id: int) -> Rows[CapturedAnswer]:
        """Return all captured failures of a run, by service and position."""
        wanted = (
            select(InterceptReplayResult)
            .where(col(InterceptReplayResult.execution_id) == execution_id)
            .order_by(col(InterceptReplayResult.service_name), col(InterceptReplayResult.position))
        )
        async with reading(self._engine) as work:
            return self._damage.all((await work.execute(wanted)).scalars(), _captured)


def _place_of(row: Any) -> tuple[int, str, str]:
    return TypeAdapter(tuple[int, str, str]).validate_python(tuple(row))


def _label(execution_id: int, service: str, position: object) -> str:
    return f"recorded request {position} of {service} of execution {execution_id}"


def _reached(row: RecordedService) -> tuple[str, bool]:
    return TypeAdapter(tuple[str, bool]).validate_python((row.service_name, row.baggage_forwarded))


def _recorded_row(execution_id: int, exchange: RecordedExchange) -> dict[str, Any]:
    return {
        "execution_id": execution_id,
        "service_name": exchange.service,
        "position": exchange.position,
        "request_url": exchange.url,
        "request_method": exchange.method,
        "raw_path": exchange.path,
        "request_headers": exchange.request_headers,
        "request_body": exchange.request_body,
        "response_status": exchange.response_status,
        "response_headers": exchange.response_headers,
        "response_body": exchange.response_body,
        "created_at": utc_now(),
    }


def _recorded(row: RequestPattern) -> RecordedExchange:
    return RecordedExchange(
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


def _captured_row(answer: CapturedAnswer) -> dict[str, Any]:
    return {
        "service_name": answer.service,
        "position": answer.position,
        "request_url": answer.url,
        "request_method": answer.method,
        "raw_path": answer.path,
        "response_status": answer.status,
        "response_headers": answer.headers,
        "response_body": answer.body,
        "substituted": answer.substituted,
        "no_effect": answer.no_effect,
        "error_message": answer.error_message,
        "created_at": utc_now(),
    }


def _captured(row: InterceptReplayResult) -> CapturedAnswer:
    return CapturedAnswer(
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
