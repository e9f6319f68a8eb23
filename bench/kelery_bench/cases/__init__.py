"""The cases: each compares Kelery with a reference in the same run."""
