"""The guide's import names, translated."""
