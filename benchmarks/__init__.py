"""Measures Manticore beside other tools in one run; `python -m benchmarks` or `make bench`."""
