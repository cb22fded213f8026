STATES: tuple[str, ...]
MOVES: tuple[tuple[str, str, str], ...]
