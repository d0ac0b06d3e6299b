"""A server that lives on: it builds for its clients, and keeps the queue, the logs and backends."""
