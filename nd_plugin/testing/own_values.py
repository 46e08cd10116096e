"""Values that both kinds of plugins give: identities, notes, texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nd_plugin.contracts.provenance import Identity
from nd_plugin.testing.conformance import require


def require_identity(identity: Any) -> None:
    """Require that an identity names what it is, its source and its version."""
    require(
        isinstance(identity, Identity),
        f"identity is an Identity, not {_kind(identity)}",
    )
    for field in ("name", "source", "version"):
        value = getattr(identity, field)
        require(
            isinstance(value, str) and value,
            f"identity.{field} is a text that is not empty, not {value!r}",
        )
    value = identity.fingerprint
    require(
        isinstance(value, str), f"identity.fingerprint is a text, not {value!r}"
    )


def require_text(value: Any, subject: str) -> None:
    """Require a text; it may be empty."""
    require(isinstance(value, str), f"{subject} is a text, not {value!r}")


def require_texts(texts: Any, subject: str) -> None:
    """Require a sequence of texts, and not one text, nor what can be read once only."""
    require(
        not isinstance(texts, str),
        f"{subject} is a sequence of texts, not a text: {texts!r}",
    )
    require(
        isinstance(texts, Sequence),
        f"{subject} is a sequence of texts, not {_kind(texts)}",
    )
    for text in texts:
        require(isinstance(text, str), f"{subject} holds texts, not {text!r}")


def require_tuple(values: Any, subject: str) -> None:
    """Require a tuple."""
    require(isinstance(values, tuple), f"{subject} is a tuple, not {_kind(values)}")


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"
