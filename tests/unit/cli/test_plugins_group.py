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


def test_a_plugin_and_what_it_offers_are_listed_by_name(nd: Any) -> None:
    for name in ("pascal", "voc", "concept set voc"):
        (plugin,) = json.loads(nd("plugins", name, "--json").stdout)["plugins"]
        assert plugin["name"] == "pascal"
        assert "concept set voc" in plugin["offers"]


def test_an_unknown_name_has_the_nearest(nd: Any) -> None:
    done = nd("plugins", "sahpes")
    assert done.returncode == 2 and "the nearest is shapes" in done.stderr
