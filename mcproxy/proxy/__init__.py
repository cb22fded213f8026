"""Parts for servers: DataPlane, Router, StatusCache, hooks."""
