"""The ledger and the run state: their statements, and what their rows mean.

Pure: it makes commands and reads results. Must not send anything, nor decide what to run.
"""
