"""The library: import mcproxy."""

from mcproxy._version import __version__

__all__ = ["__version__"]
