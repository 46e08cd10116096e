"""Group of commands that has a default: ``nd concepts shapes`` is ``nd concepts list shapes``."""

from __future__ import annotations

from typing import Any

from nd_plugin.shell.help_pages import HelpGroup

DEFAULT = "list"


class GroupWithDefault(HelpGroup):
    """Group whose command `DEFAULT` runs where no command is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; put `DEFAULT` in front of those that name no command."""
        names = (*self.commands, *ctx.help_option_names)
        if args and args[0] not in names:
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)
