"""Tables of plans and requests, and the base of all tables.

Plans and requests are content-addressed: the same content is stored once and never changed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, MetaData, String
from sqlmodel import Field, SQLModel

from clients.store.schema.columns import AnyJson, given_key, kind_column, text_column, time_column, utc_now


class Row(SQLModel):
    """Base of all tables.

    It gives constraints fixed names, so that later migrations can refer to them.
    """

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )


class PlanSnapshot(Row, table=True):
    """A plan, or another kind's definition, as it was run. Stored once per content."""

    __tablename__ = "plan_snapshot"

    id: int = Field(sa_column=given_key())
    sha256: str = Field(sa_column=Column(String(64), nullable=False, unique=True))
    schema_version: int
    name: str = Field(max_length=63)
    canonical_json: str = Field(sa_column=text_column())
    kind: str = Field(default="resilience-test", sa_column=kind_column())
    created_at: datetime = Field(default_factory=utc_now, sa_column=time_column())


class HttpReqDef(Row, table=True):
    """A request as it was sent, without secrets, in the peers' columns.

    See `clients/http/request_definitions.py`. `task_execution.req_def_id` has no foreign key: SQLite can add one only
    by rewriting that table, which would delete the rows of every table that refers to it.
    """

    __tablename__ = "http_req_def"

    id: int = Field(sa_column=given_key())
    code: str = Field(sa_column=Column(String(64), nullable=False, unique=True))
    name: str = Field(sa_column=text_column())
    method: str = Field(max_length=16)
    url_template: str = Field(sa_column=text_column())
    headers: dict[str, str] = Field(sa_column=Column(AnyJson, nullable=False))
    query_params: dict[str, Any] = Field(sa_column=Column(AnyJson, nullable=False))
    body_mode: str = Field(max_length=8)
    content_type: str | None = Field(default=None, sa_column=text_column(nullable=True))
    body_template: Any = Field(default=None, sa_column=Column(AnyJson(none_as_null=True)))
    raw_body: str | None = Field(default=None, sa_column=text_column(nullable=True))
    created_at: datetime = Field(default_factory=utc_now, sa_column=time_column())
    updated_at: datetime = Field(default_factory=utc_now, sa_column=time_column())
    api_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    # The following columns are ours, not the peers'.
    timeout_us: int = Field(sa_column=Column(BigInteger, nullable=False))
    repeatable: bool
