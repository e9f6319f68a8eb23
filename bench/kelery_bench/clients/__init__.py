"""Clients of what is measured, cheap enough not to be measured themselves."""
