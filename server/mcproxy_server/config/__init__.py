"""The configuration: `mcproxy.toml` and its drop-ins, read into `mcproxy.proxy` settings."""

from mcproxy_server.config.load import Configuration, find_control_socket, load
from mcproxy_server.config.problems import ConfigurationProblems, Problem

__all__ = ["Configuration", "ConfigurationProblems", "Problem", "find_control_socket", "load"]
