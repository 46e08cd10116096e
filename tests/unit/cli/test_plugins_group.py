"""``nd plugins``: a group whose default lists the installed plugins."""

from __future__ import annotations

import json
from typing import Any


def test_the_list_needs_no_name_of_a_command(nd: Any) -> None:
    assert nd("plugins").stdout == nd("plugins", "list").stdout
    plugins = json.loads(nd("plugins", "--json").stdout)["plugins"]
    assert "masks" in [plugin["name"] for plugin in plugins]


def test_help_lists_the_commands(nd: Any) -> None:
    assert "List the installed plugins" in nd("plugins", "--help").stdout
