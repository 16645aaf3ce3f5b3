"""Tests of the build tools: `python -m unittest discover --start-directory tools/tests --top-level-directory .`"""
