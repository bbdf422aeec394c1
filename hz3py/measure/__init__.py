"""Measuring: one process under one allocator at a time, and the blocks made of such runs."""
