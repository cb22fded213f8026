"""Bytes of a Minecraft connection."""
