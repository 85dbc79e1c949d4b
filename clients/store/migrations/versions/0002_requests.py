"""Requests have rows of their own, also those of runs that were made before.

What is copied out of old plans is redacted as the plans ask, with rules of this file's own: a migration does tomorrow
what it does today. Where it cannot look inside, as in a raw body, it keeps nothing.
"""

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

REDACTED = "[redacted]"
ALWAYS = {"authorization", "cookie", "set-cookie", "x-api-key", "proxy-authorization"}
REFERENCES = re.compile(r"\s*((bearer|basic|token)\s+)?(\$\{env:[A-Za-z_][A-Za-z0-9_]*\})+\s*", re.IGNORECASE)
TYPES = {"JSON": "application/json", "FORM": "application/x-www-form-urlencoded", "RAW": "text/plain; charset=utf-8"}
UNITS = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000}


def upgrade() -> None:
    table = op.create_table(
        "http_req_def",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("url_template", sa.Text(), nullable=False),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("query_params", sa.JSON(), nullable=False),
        sa.Column("body_mode", sa.String(length=8), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=True),
        sa.Column("body_template", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("raw_body", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("api_id", sa.BigInteger(), nullable=True),
        sa.Column("timeout_us", sa.BigInteger(), nullable=False),
        sa.Column("repeatable", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_http_req_def")),
        sa.UniqueConstraint("code", name=op.f("uq_http_req_def_code")),
    )
    work = op.get_bind()
    # The text of one plan at a time: there may be many, and each may be long.
    wanted = "SELECT req_def_id, min(task_id) FROM task_execution GROUP BY req_def_id"
    for req_def_id, task_id in work.execute(sa.text(wanted)).all():
        found = work.execute(sa.text("SELECT canonical_json FROM plan_snapshot WHERE id = :id"), {"id": task_id})
        row = request_row(req_def_id, found.scalar_one())
        if row is not None:
            work.execute(table.insert(), row)


def request_row(req_def_id: int, plan_json: str) -> dict[str, object] | None:
    """The row of a request; None when the plan is not one that this can read."""
    try:
        plan = json.loads(plan_json)
        return _row(req_def_id, plan["request"], ALWAYS | {name.lower() for name in plan.get("redact", [])})
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None


def _row(req_def_id: int, request: dict[str, Any], names: set[str]) -> dict[str, object]:
    content = json.dumps(request, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(content.encode()).hexdigest()
    # A plan that a newer version has written in other words still has its request's first id.
    code = digest if int(digest, 16) >> 203 == req_def_id else hashlib.sha256(str(req_def_id).encode()).hexdigest()
    method, url = request["method"], _url(request["url"], names)
    body = {name: request.get(name) for name in ("json", "form", "raw")}
    given = next((name for name in ("form", "raw", "json") if body[name] is not None), "none")
    headers = _hidden(request["headers"], names)
    types = [value for name, value in headers.items() if name.lower() == "content-type"]
    number, unit = re.findall(r"^([0-9.]+)([a-z]+)$", request["timeout"])[0]
    now = datetime.now(UTC)
    return {
        "id": req_def_id,
        "code": code,
        "name": f"{method} {url}"[:128],
        "method": method,
        "url_template": url,
        "headers": headers,
        "query_params": _hidden(request["query"], names),
        "body_mode": given.upper(),
        "content_type": (types or [TYPES.get(given.upper())])[0],
        "body_template": _hidden(body[given], names) if given in ("json", "form") else None,
        "raw_body": None if given != "raw" else REDACTED,
        "created_at": now,
        "updated_at": now,
        "timeout_us": round(float(number) * UNITS[unit]),
        "repeatable": request["repeatable"],
    }


def _hidden(value: Any, names: set[str]) -> Any:
    """A value without what stands under one of these names, unless it only refers to a secret."""
    if isinstance(value, list):
        return [_hidden(one, names) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: REDACTED if name.lower() in names and not _refers(one) else _hidden(one, names)
        for name, one in value.items()
    }


def _refers(value: object) -> bool:
    if isinstance(value, list):
        return all(_refers(one) for one in value)
    return isinstance(value, str) and REFERENCES.fullmatch(value) is not None


def _url(url: str, names: set[str]) -> str:
    before, mark, query = url.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&")]
    return (
        before
        + mark
        + "&".join(
            name + equals + (REDACTED if unquote_plus(name).lower() in names and not _refers(value) else value)
            for name, equals, value in pairs
        )
    )
