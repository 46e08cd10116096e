"""Changes of files of safetensors: their header in JSON, with a length that fits."""

from __future__ import annotations

import struct
from random import Random

from fuzz.cases import repaired
from fuzz.mutators.json_values import JSON


def change_header(content: bytes, random: Random) -> bytes:
    """Change names, types, shapes or places of tensors."""
    (length,) = struct.unpack("<Q", content[:8])
    mutation = random.choices(JSON, [mutation.weight for mutation in JSON])[0]
    header = mutation.mutate(content[8 : 8 + length], random)
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


SAFETENSORS = repaired({change_header: 1})
