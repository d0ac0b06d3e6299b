"""``wheelforge cache keygen|trust``: the keys that records of remote caches are signed with."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from wheelforge.cli.default_files import find_user_directory
from wheelforge.errors import ServiceError, UsageError
from wheelforge.provenance import envelope
from wheelforge_isolation import (
    create_private_file,
    ensure_directory,
    ensure_private_directories,
    replace_file,
)
from wheelforge_isolation.errors import FileMissingError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from wheelforge.cli.command_options import CommandOptions

_FOLDER = "trusted-keys"
_PUBLIC = ".pub"


def list_trusted() -> list[Path]:
    """Return the files with the public keys that the user trusts."""
    return sorted((find_user_directory() / _FOLDER).glob("*.pem"))


def make_key(options: CommandOptions) -> None:
    """Write a new private key, and the public one beside it."""
    path: Path = options.key_file
    public = path.with_name(path.name + _PUBLIC)
    for each in (path, public):
        if each.exists():
            raise UsageError("option-invalid", "FILE", f"`{each}` is there already")
    with needing_signatures():
        secret, key = envelope.make_key()
    ensure_directory(str(path.parent))
    create_private_file(str(path), secret)
    replace_file(str(public), envelope.write_public_key(key))
    key_id = envelope.identify(key)
    sys.stdout.write(f"private key: {path}\npublic key:  {public}\nid:          {key_id}\n")


def trust(options: CommandOptions) -> None:
    """Trust what a key has signed, from now on."""
    if not options.key_file.exists():
        raise FileMissingError("read", str(options.key_file), "there is no such file")
    with needing_signatures():
        key = envelope.read_public_key(options.key_file)
    directory, key_id = find_user_directory() / _FOLDER, envelope.identify(key)
    ensure_private_directories(str(directory))
    replace_file(str(directory / f"{key_id}.pem"), envelope.write_public_key(key))
    sys.stdout.write(f"trusted: {key_id}\n")


@contextlib.contextmanager
def needing_signatures() -> Generator[None]:
    """Say which extra is missing where one is."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ServiceError("extra-missing", "sign", str(error)) from error
