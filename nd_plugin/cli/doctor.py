"""What ``nd doctor`` does."""

from __future__ import annotations

import platform
from dataclasses import asdict
from importlib import metadata

from rich.text import Text

from nd_plugin.cli import console
from nd_plugin.cli.listings import new_table, print_json
from nd_plugin.contracts.plugin_specs import BackendSpec, Finding
from nd_plugin.plugins.host import host, load_factory
from nd_plugin.plugins.loading import described


def doctor(*, as_json: bool) -> None:
    """Print what this machine offers to each backend, and what to do where something is not well."""
    with console.results_only():
        found = list(findings())
    if as_json:
        print_json([asdict(one) for one in found])
        return
    table = new_table("", "found", "what to do")
    for one in found:
        table.add_row(Text(one.subject), Text(one.found), Text(one.remedy, style="yellow"))
    console.show(table)


def findings() -> list[Finding]:
    """Of Python and of all backends; one that fails to look is a finding itself."""
    found = [
        Finding("Python", f"{platform.python_version()}, {platform.platform()}"),
        Finding("nd_plugin", metadata.version("nd_plugin")),
    ]
    for offer in host().specs(BackendSpec):
        if offer.spec.doctor:
            try:
                found += load_factory(offer, offer.spec.doctor)()
            except Exception as error:  # whatever a broken installation raises
                found.append(
                    Finding(
                        offer.spec.name, f"cannot be used: {described(error)}", "install it anew"
                    )
                )
    return found
