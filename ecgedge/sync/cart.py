"""Which cart this is, for staged rollout. The id is never sent anywhere.

Without a configured one it is drawn from the machine's id as systemd's
`sd_id128_get_machine_app_specific` does, by HMAC-SHA256 with a key of our own: the machine's id
itself is meant to stay on the machine (machine-id(5)), and ours then tells nothing about it.
"""

from __future__ import annotations

import hashlib
import hmac
import socket
from pathlib import Path

#: The root of trust that an administrator installs with the cart.
ROOT = Path("/etc/ecgedge/root.json")
MACHINE_ID = Path("/etc/machine-id")
_KEY = b"ecgedge cart"


def cart_id(configured: str | None, machine_id: Path = MACHINE_ID) -> str:
    """The configured id, else 16 hex digits from the machine's id, else from its host name.

    Cards copied from one image share a machine's id until it is made anew: configure `cart`
    there, or all of them are asked to try a new release first, together.
    """
    if configured:
        return configured
    try:
        known = machine_id.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        known = ""
    if len(known) < 32:  # not there, or "uninitialized" on the first start
        known = f"host {socket.gethostname()}"
    return hmac.new(known.encode(), _KEY, hashlib.sha256).hexdigest()[:16]
