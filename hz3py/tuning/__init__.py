"""Tuning: a search for better knobs of hz3 for one workload, and the proof that they are better."""
