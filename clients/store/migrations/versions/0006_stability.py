"""How long services took to be stable again: whoever reads a run's report later asks that too."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "service_stability",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("execution_id", sa.BigInteger(), nullable=False),
        sa.Column("moment", sa.String(length=32), nullable=False),
        sa.Column("service_name", sa.String(length=200), nullable=False),
        sa.Column("stable", sa.Boolean(), nullable=False),
        sa.Column("waited_ms", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"],
            ["task_execution.id"],
            name=op.f("fk_service_stability_execution_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_stability")),
        sa.UniqueConstraint(
            "execution_id",
            "moment",
            "service_name",
            name=op.f("uq_service_stability_execution_id_moment_service_name"),
        ),
    )
