"""The file format of the paper's authors, read and written (their package `uninas` 1.3.0)."""
