"""Group of commands that has a default: ``nd concepts shapes`` is ``nd concepts list shapes``."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from nd_plugin.shell.help_pages import HelpGroup

DEFAULT = "list"


class GroupWithDefault(HelpGroup):
    """Group whose command `DEFAULT` runs where no command is named.

    Without any argument it has its help, or `DEFAULT` where ``no_args_is_help`` is False.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; put `DEFAULT` in front of those that name no command.

        The name of a command with a typing error, with arguments behind it, is left to the group,
        which names the command that is meant.
        """
        if self._is_for_default(ctx, args):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)

    def _is_for_default(self, ctx: Any, args: list[str]) -> bool:
        if not args:
            # a shell that completes an empty word asks for the names of commands
            return not (self.no_args_is_help or ctx.resilient_parsing)
        names = (*self.commands, *ctx.help_option_names)
        return args[0] not in names and not self._is_mistyped(args)

    def _is_mistyped(self, args: list[str]) -> bool:
        """Return whether arguments, of which `DEFAULT` takes one, begin like a command."""
        arguments = [argument for argument in args if not argument.startswith("-")]
        is_similar = bool(get_close_matches(args[0], self.commands))
        return is_similar and len(arguments) > 1

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Complete names of commands, and options and first argument of `DEFAULT`."""
        items = super().shell_complete(ctx, incomplete)
        default = self.commands[DEFAULT]
        arguments = [
            parameter
            for parameter in default.params
            if parameter.param_type_name == "argument"
        ]
        with default.make_context(DEFAULT, [], ctx, resilient_parsing=True) as own:
            if incomplete.startswith("-"):
                return default.shell_complete(own, incomplete)
            for argument in arguments[:1]:
                items += argument.shell_complete(own, incomplete)
        return items
