"""Executions of several kinds: which kind, by what name, and which execution started it.

Until now every execution was a resilience test, named after its plan.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_KIND = "resilience-test"


def upgrade() -> None:
    op.add_column("plan_snapshot", sa.Column("kind", sa.String(length=32), nullable=False, server_default=_KIND))
    op.add_column("task_execution", sa.Column("kind", sa.String(length=32), nullable=False, server_default=_KIND))
    op.add_column("task_execution", sa.Column("name", sa.Text(), nullable=False, server_default=""))
    op.add_column("task_execution", sa.Column("parent_execution_id", sa.BigInteger(), nullable=True))
    op.execute(
        "UPDATE task_execution SET name = "
        "coalesce((SELECT name FROM plan_snapshot WHERE plan_snapshot.id = task_execution.task_id), '')"
    )
