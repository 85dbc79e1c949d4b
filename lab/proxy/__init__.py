"""The traffic proxy: records, replays and answers for the services of the lab."""
