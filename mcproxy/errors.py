"""Every exception of the library, in one tree."""

__all__ = [
    "BackendDown",
    "BackendSilent",
    "ConfigurationError",
    "DataPlaneUnavailable",
    "LocalProtocolError",
    "McproxyError",
    "NameNotResolved",
    "PoolExhausted",
    "ProtocolError",
    "ReleasedError",
    "RemoteProtocolError",
]


class McproxyError(Exception):
    """The base of all errors that mcproxy raises on its own account."""


class ProtocolError(McproxyError):
    """Somebody broke the Minecraft protocol."""


class LocalProtocolError(ProtocolError):
    """The caller asked for something that the protocol does not allow here."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something that the protocol does not allow.

    ``hint`` is a short text fit for a disconnect message.
    """

    def __init__(self, message: str, hint: str = "Invalid data") -> None:
        """See the class."""
        super().__init__(message)
        self.hint = hint


class ConfigurationError(McproxyError):
    """Settings that cannot work; the message says which and what to do."""


class ReleasedError(McproxyError, BufferError):
    """Borrowed memory was used after it had been given back."""


class PoolExhausted(McproxyError, MemoryError):
    """A buffer pool has reached its bound."""


class DataPlaneUnavailable(McproxyError):
    """The data plane cannot run here; the message says what is missing."""


class NameNotResolved(McproxyError, OSError):
    """No name server had an address for a backend's name."""


class BackendDown(McproxyError, OSError):
    """No address of a backend took a connection; the message has the reason of each."""


class BackendSilent(McproxyError, OSError):
    """A backend took the connection and then gave no status."""
