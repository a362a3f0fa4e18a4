"""The engine through its public face, in both flavours, on a real server."""
