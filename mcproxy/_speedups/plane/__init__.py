"""The data plane: native threads that relay, never holding the GIL."""
