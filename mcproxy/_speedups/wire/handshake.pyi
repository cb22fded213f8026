from typing_extensions import Buffer

__all__ = [
    "MAX_BODY",
    "MAX_CLEAN_HOST",
    "MAX_HOST_UNITS",
    "MAX_NAME_UNITS",
    "NEWEST_LOGIN_START",
    "clean_host",
    "max_login_start_body",
    "parse_handshake",
    "parse_login_start",
]

MAX_BODY: int
MAX_HOST_UNITS: int
MAX_CLEAN_HOST: int
MAX_NAME_UNITS: int
NEWEST_LOGIN_START: int

def parse_handshake(body: Buffer, /) -> tuple[int, str, int, int]: ...
def parse_login_start(body: Buffer, protocol: int, /) -> tuple[str, bytes | None]: ...
def max_login_start_body(protocol: int, /) -> int: ...
def clean_host(raw: Buffer | str, /) -> str: ...
