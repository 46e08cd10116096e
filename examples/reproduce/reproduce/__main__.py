"""Command ``python -m reproduce``: draws, trains, dissects, and writes tables and figures."""

from reproduce.command import main

main()
