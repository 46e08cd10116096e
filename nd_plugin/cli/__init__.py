"""Command line ``nd``."""

from nd_plugin.cli.app import main

__all__ = ["main"]
