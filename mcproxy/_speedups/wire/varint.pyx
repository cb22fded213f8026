"""VarInt and VarLong of the Minecraft protocol."""
