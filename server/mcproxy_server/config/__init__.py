"""The configuration: `mcproxy.toml` and its drop-ins, read into `mcproxy.proxy` settings."""

from mcproxy_server.config.load import Configuration, load
from mcproxy_server.config.problems import ConfigurationProblems, Problem

__all__ = ["Configuration", "ConfigurationProblems", "Problem", "load"]
