"""Who runs a command, for the audit log."""

import os
import pwd


def actor() -> str:
    """`cli:USER`: the name of the process's user; `cli:root(USER)` where `sudo` says for whom."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    behind = os.environ.get("SUDO_USER", "")
    return f"cli:{name}({behind})" if uid == 0 and behind and behind != name else f"cli:{name}"
