"""How a run went, as rows: its phases, its steady state, which pairs it verified. Until now only its log had them."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_STEADY = "steady state "
_CHOICE = re.compile(r"([0-9]{1,9}) of ([0-9]{1,9}) measured pairs run with two real faults(, because .*)?")


def upgrade() -> None:
    _create("execution_phase", "phase", sa.Column("phase", sa.String(length=32), nullable=False), at="entered_at")
    _create(
        "steady_check",
        "moment",
        sa.Column("moment", sa.String(length=16), nullable=False),
        sa.Column("met", sa.Boolean(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
    )
    _create(
        "pair_choice",
        "",
        sa.Column("asked_for", sa.Boolean(), nullable=False),
        sa.Column("share", sa.Float(), nullable=True),
        sa.Column("measured", sa.Integer(), nullable=False),
        sa.Column("chosen", sa.Integer(), nullable=False),
    )
    _copy_from_logs()


def _create(name: str, key: str, *columns: "sa.Column[object]", at: str = "created_at") -> None:
    unique = ["execution_id", key] if key else ["execution_id"]
    op.create_table(
        name,
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("execution_id", sa.BigInteger(), nullable=False),
        *columns,
        sa.Column(at, sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["task_execution.id"], name=op.f(f"fk_{name}_execution_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        sa.UniqueConstraint(*unique, name=op.f(f"uq_{name}_{'_'.join(unique)}")),
    )


def _copy_from_logs() -> None:
    """Take over what the logs of earlier runs say. A line that says something else is left alone."""
    log = sa.table("task_execution_log", *map(sa.column, ("execution_id", "entry_key", "ts", "message", "id")))
    wanted = sa.or_(
        log.c.entry_key.like("phase:%"), log.c.entry_key.like("steady:%"), log.c.entry_key == "pairs:chosen"
    )
    ordered = sa.select(log).where(wanted).order_by(log.c.ts, log.c.id)
    tables: dict[str, list[dict[str, object]]] = {"execution_phase": [], "steady_check": [], "pair_choice": []}
    for row in op.get_bind().execute(ordered).mappings():
        found = _row_of(row["entry_key"], row["message"])
        if found is not None:
            table, facts, at = found
            tables[table].append({"execution_id": row["execution_id"], **facts, at: row["ts"]})
    for name, rows in tables.items():
        if rows:
            target = sa.table(name, *map(sa.column, rows[0]))
            op.get_bind().execute(sa.insert(target), rows)


def _row_of(key: str, message: str) -> tuple[str, dict[str, object], str] | None:
    kind, _, what = key.partition(":")
    if kind == "phase" and len(what) <= 32:
        return "execution_phase", {"phase": what}, "entered_at"
    if kind == "steady" and what in ("before", "after") and message.startswith(_STEADY):
        words = message.removeprefix(_STEADY)
        facts = {"moment": what, "met": words == "met", "detail": words.removeprefix("not met: ")}
        return "steady_check", facts | ({"detail": ""} if words == "met" else {}), "created_at"
    choice = _CHOICE.fullmatch(message) if kind == "pairs" else None
    if choice is None:
        return None
    facts = {"asked_for": choice[3] is None, "measured": int(choice[2]), "chosen": int(choice[1])}
    return "pair_choice", facts, "created_at"
