"""Command line ``nd``."""

from nd_plugin.machine import termination

__all__ = ["main"]


def main() -> None:
    """Run ``nd`` with the arguments of this process; signals end it with a line at any moment."""
    with termination.handled_by_program():
        # what takes time to load
        from nd_plugin.cli.app import main as run

        run()
