"""``python -m nd_plugin``."""

from nd_plugin.cli import main

if __name__ == "__main__":
    main()
