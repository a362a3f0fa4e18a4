"""The library through its public classes, in both flavors, on a real server."""
