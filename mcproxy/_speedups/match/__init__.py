"""Decisions: which prefix, which pattern, which rule."""
