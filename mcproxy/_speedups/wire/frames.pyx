"""Splitting a stream of bytes into frames, and joining frames into a stream."""
