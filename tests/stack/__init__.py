"""What tests stand on: a private PostgreSQL and Valkey, the real processes on demand, and a browser."""
