"""Pairs also run with two real faults, to see whether those that are made of rules stand for them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "pair_check",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("execution_id", sa.BigInteger(), nullable=False),
        sa.Column("test_case_id", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("status_agrees", sa.Boolean(), nullable=True),
        sa.Column("body_agrees", sa.Boolean(), nullable=True),
        sa.Column("verdict_agrees", sa.Boolean(), nullable=True),
        sa.Column("differs", sa.JSON(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.Column("response_code", sa.Integer(), nullable=True),
        sa.Column("response_body", sa.Text(), nullable=False),
        sa.Column("measurement", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"],
            ["task_execution.id"],
            name=op.f("fk_pair_check_execution_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["test_case_id"], ["test_cases.id"], name=op.f("fk_pair_check_test_case_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pair_check")),
        sa.UniqueConstraint("execution_id", "test_case_id", name=op.f("uq_pair_check_execution_id_test_case_id")),
    )
    op.create_index(op.f("ix_pair_check_test_case_id"), "pair_check", ["test_case_id"], unique=False)
