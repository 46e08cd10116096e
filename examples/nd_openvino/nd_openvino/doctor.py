"""Findings for ``nd doctor``: OpenVINO's version and its devices on this machine."""

from __future__ import annotations

import openvino

from nd_openvino.model_files import shared_core
from nd_plugin import Finding


def examine() -> list[Finding]:
    """Return the version of OpenVINO, and the devices that it can compute on."""
    core = shared_core()
    devices = []
    for device in core.available_devices:
        devices.append(
            f"{device} ({core.get_property(device, 'FULL_DEVICE_NAME')})"
        )
    return [
        Finding("OpenVINO", str(openvino.get_version())),
        Finding("devices of OpenVINO", ", ".join(devices)),
    ]
