"""Measurements beside a control, and their samples."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("test_result", sa.Column("late_starts", sa.Integer(), nullable=True))
    op.add_column("test_result", sa.Column("planned", sa.Integer(), nullable=True))
    op.add_column("test_result", sa.Column("seed", sa.BigInteger(), nullable=True))
    op.add_column("test_result", sa.Column("control", sa.JSON(), nullable=True))
    op.add_column("test_result", sa.Column("comparison", sa.JSON(), nullable=True))
    op.create_table(
        "case_samples",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("execution_id", sa.BigInteger(), nullable=False),
        sa.Column("test_case_id", sa.BigInteger(), nullable=False),
        sa.Column("arm", sa.String(length=8), nullable=False),
        sa.Column("histogram", sa.LargeBinary(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["task_execution.id"], name=op.f("fk_case_samples_execution_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["test_case_id"], ["test_cases.id"], name=op.f("fk_case_samples_test_case_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_samples")),
        sa.UniqueConstraint(
            "execution_id", "test_case_id", "arm", name=op.f("uq_case_samples_execution_id_test_case_id_arm")
        ),
    )
    op.create_index(op.f("ix_case_samples_test_case_id"), "case_samples", ["test_case_id"], unique=False)
