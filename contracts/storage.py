"""Write files atomically: a reader sees the old file or the new one, never half of one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from contracts.errors import InvalidInput


def write_atomically(path: str | os.PathLike[str], content: str | bytes) -> Path:
    """Write `content` to `path` through a temporary file in the same folder, then rename it into place.

    Args:
        path: the file to create or replace.
        content: text (written as UTF-8) or bytes.

    Returns:
        The path written.

    Raises:
        InvalidInput: the folder does not exist, is not writable, or the disk is full; what was at `path`
            before is untouched.
    """
    target = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
        os.chmod(temporary, mode)
        os.replace(temporary, target)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise InvalidInput(f"cannot write {target}: {error.strerror or error}") from error
    return target


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
