"""The traffic proxy: records, replays, and answers for services."""
