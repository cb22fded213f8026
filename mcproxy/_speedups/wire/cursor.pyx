"""Reading and writing the primitives of the Minecraft protocol."""
