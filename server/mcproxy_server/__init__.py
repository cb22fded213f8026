"""The reference server: mcproxy-server."""
