"""What the tests share: a private PostgreSQL cluster, and the runners of the SQL tests."""
