"""`python -m mcproxy_server`: the same as `mcproxy-server`."""

from mcproxy_server.cli import main

main()
