"""Everything that the first release stores."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "plan_snapshot",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("schema_version", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("canonical_json", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_snapshot")),
        sa.UniqueConstraint("sha256", name=op.f("uq_plan_snapshot_sha256")),
    )
    op.create_table(
        "task_execution",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("namespace", sa.String(length=128), nullable=False),
        sa.Column("req_def_id", sa.BigInteger(), nullable=False),
        sa.Column("request_num", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("analyze_task_id", sa.Text(), nullable=True),
        sa.Column("record_id", sa.BigInteger(), nullable=True),
        sa.Column("intercept_record_id", sa.String(length=64), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_msg", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("run_status", sa.String(length=16), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.Column("recovery", sa.String(length=16), nullable=True),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("error_class", sa.String(length=8), nullable=True),
        sa.Column("error_phase", sa.String(length=32), nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("timing_json", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["plan_snapshot.id"], name=op.f("fk_task_execution_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_execution")),
        sa.UniqueConstraint("run_id", name=op.f("uq_task_execution_run_id")),
    )
    op.create_index(op.f("ix_task_execution_status"), "task_execution", ["status"], unique=False)
    op.create_index(op.f("ix_task_execution_task_id"), "task_execution", ["task_id"], unique=False)
    op.create_index(op.f("ix_task_execution_workflow_id"), "task_execution", ["workflow_id"], unique=False)
    op.create_table(
        "baggage_map",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("execution_id", sa.BigInteger(), nullable=False),
        sa.Column("service_name", sa.String(length=200), nullable=False),
        sa.Column("value", sa.String(length=1024), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["task_execution.id"], name=op.f("fk_baggage_map_execution_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_baggage_map")),
        sa.UniqueConstraint("execution_id", "service_name", name=op.f("uq_baggage_map_execution_id_service_name")),
    )
    op.create_table(
        "intercept_replay_result",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("execution_id", sa.BigInteger(), nullable=False),
        sa.Column("service_name", sa.String(length=200), nullable=False),
        sa.Column("fault_type", sa.String(length=128), nullable=False),
        sa.Column("request_url", sa.Text(), nullable=False),
        sa.Column("request_method", sa.Text(), nullable=False),
        sa.Column("request_headers", sa.JSON(), nullable=True),
        sa.Column("request_body", sa.Text(), nullable=True),
        sa.Column("response_status", sa.Integer(), nullable=False),
        sa.Column("response_headers", sa.JSON(), nullable=False),
        sa.Column("response_body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("raw_path", sa.Text(), nullable=False),
        sa.Column("substituted", sa.Boolean(), nullable=False),
        sa.Column("no_effect", sa.Boolean(), nullable=False),
        sa.Column("error_message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"],
            ["task_execution.id"],
            name=op.f("fk_intercept_replay_result_execution_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["task_id"], ["plan_snapshot.id"], name=op.f("fk_intercept_replay_result_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_intercept_replay_result")),
        sa.UniqueConstraint(
            "execution_id",
            "service_name",
            "position",
            name=op.f("uq_intercept_replay_result_execution_id_service_name_position"),
        ),
    )
    op.create_table(
        "ledger",
        sa.Column("window_id", sa.String(length=1000), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("execution_id", sa.BigInteger(), nullable=False),
        sa.Column("parent_workflow_id", sa.Text(), nullable=False),
        sa.Column("parent_run_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("service", sa.String(length=200), nullable=False),
        sa.Column("peer_name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("close_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["task_execution.id"], name=op.f("fk_ledger_execution_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("window_id", "run_id", name=op.f("pk_ledger")),
    )
    op.create_index(op.f("ix_ledger_execution_id"), "ledger", ["execution_id"], unique=False)
    op.create_index(op.f("ix_ledger_state"), "ledger", ["state"], unique=False)
    op.create_table(
        "recorded_service",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("execution_id", sa.BigInteger(), nullable=False),
        sa.Column("service_name", sa.String(length=200), nullable=False),
        sa.Column("baggage_forwarded", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["task_execution.id"], name=op.f("fk_recorded_service_execution_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recorded_service")),
        sa.UniqueConstraint("execution_id", "service_name", name=op.f("uq_recorded_service_execution_id_service_name")),
    )
    op.create_table(
        "request_pattern",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("execution_id", sa.BigInteger(), nullable=False),
        sa.Column("service_name", sa.String(length=200), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("request_url", sa.Text(), nullable=False),
        sa.Column("request_method", sa.Text(), nullable=False),
        sa.Column("raw_path", sa.Text(), nullable=False),
        sa.Column("request_headers", sa.JSON(), nullable=False),
        sa.Column("request_body", sa.Text(), nullable=False),
        sa.Column("response_status", sa.Integer(), nullable=False),
        sa.Column("response_headers", sa.JSON(), nullable=False),
        sa.Column("response_body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["task_execution.id"], name=op.f("fk_request_pattern_execution_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request_pattern")),
        sa.UniqueConstraint(
            "execution_id",
            "service_name",
            "position",
            name=op.f("uq_request_pattern_execution_id_service_name_position"),
        ),
    )
    op.create_table(
        "task_execution_log",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("execution_id", sa.BigInteger(), nullable=False),
        sa.Column("entry_key", sa.Text(), nullable=False),
        sa.Column("ts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["task_execution.id"], name=op.f("fk_task_execution_log_execution_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_execution_log")),
        sa.UniqueConstraint("execution_id", "entry_key", name=op.f("uq_task_execution_log_execution_id_entry_key")),
    )
    op.create_table(
        "test_cases",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("case_type", sa.String(length=8), nullable=False),
        sa.Column("target_count", sa.Integer(), nullable=False),
        sa.Column("faults_json", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("execution_id", sa.BigInteger(), nullable=False),
        sa.Column("case_index", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("services", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["task_execution.id"], name=op.f("fk_test_cases_execution_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["task_id"], ["plan_snapshot.id"], name=op.f("fk_test_cases_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_test_cases")),
        sa.UniqueConstraint("execution_id", "case_index", name=op.f("uq_test_cases_execution_id_case_index")),
    )
    op.create_table(
        "test_result",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("execution_id", sa.BigInteger(), nullable=False),
        sa.Column("test_case_id", sa.BigInteger(), nullable=False),
        sa.Column("p50", sa.Integer(), nullable=True),
        sa.Column("p95", sa.Integer(), nullable=True),
        sa.Column("p99", sa.Integer(), nullable=True),
        sa.Column("err_rate", sa.Numeric(precision=5, scale=2), nullable=True),
        sa.Column("request_url", sa.Text(), nullable=False),
        sa.Column("request_method", sa.String(length=10), nullable=False),
        sa.Column("response_code", sa.Integer(), nullable=True),
        sa.Column("response_body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.Column("success_p50_us", sa.BigInteger(), nullable=True),
        sa.Column("success_p95_us", sa.BigInteger(), nullable=True),
        sa.Column("success_p99_us", sa.BigInteger(), nullable=True),
        sa.Column("success_max_us", sa.BigInteger(), nullable=True),
        sa.Column("requests", sa.Integer(), nullable=True),
        sa.Column("successes", sa.Integer(), nullable=True),
        sa.Column("errors", sa.Integer(), nullable=True),
        sa.Column("errors_by_kind", sa.JSON(), nullable=True),
        sa.Column("duration_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["task_execution.id"], name=op.f("fk_test_result_execution_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["test_case_id"], ["test_cases.id"], name=op.f("fk_test_result_test_case_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_test_result")),
        sa.UniqueConstraint("execution_id", "test_case_id", name=op.f("uq_test_result_execution_id_test_case_id")),
    )
    op.create_index(op.f("ix_test_result_test_case_id"), "test_result", ["test_case_id"], unique=False)
    # ### end Alembic commands ###
