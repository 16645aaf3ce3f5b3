"""Benchmarks of whole processes: cold start and throughput, beside the programs that a user could choose instead."""
