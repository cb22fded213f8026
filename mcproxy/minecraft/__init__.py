"""The Minecraft protocol, sans-I/O."""
