"""The gateway's operations on runs. This package knows no routes."""
