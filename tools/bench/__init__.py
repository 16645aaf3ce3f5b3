"""Benchmarks of whole processes: cold start and throughput, beside what a user would pick instead."""
