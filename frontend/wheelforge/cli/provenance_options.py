"""The options of what is told of artifacts: where they come from, and what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelforge.cli.argument_types import absolute_path
from wheelforge.errors import ServiceError, UsageError

if TYPE_CHECKING:
    import argparse

    from wheelforge.provenance.options import Provenance

# The values of an enumeration that need not be imported before the backend's server has started.
_SBOM = ("off", "sidecar", "embed")
_FORMS = ("dsse", "pep740")


def add_provenance(parser: argparse.ArgumentParser, *, repeats: bool = True) -> None:
    """Add what is told of artifacts."""
    group = parser.add_argument_group("provenance")
    group.add_argument(
        "--provenance",
        action="store_true",
        help="put a statement of what it was built of beside each wheel and sdist",
    )
    group.add_argument(
        "--sign-key",
        type=absolute_path,
        metavar="FILE",
        help="sign statements with this private key (needs `wheelforge[sign]`)",
    )
    group.add_argument(
        "--statement-form",
        choices=_FORMS,
        default="dsse",
        help="sign in an envelope, or as an attestation object of PEP 740 (default: dsse)",
    )
    group.add_argument(
        "--sbom",
        choices=_SBOM,
        default="off",
        help="list what is in each wheel, as CycloneDX, beside the wheel or in it (default: off)",
    )
    if repeats:
        group.add_argument(
            "--repeat",
            action="store_true",
            help="build everything a second time in other circumstances, and tell what differs",
        )


def add_verifying(parser: argparse.ArgumentParser) -> None:
    """Add what is verified, and against what."""
    parser.add_argument(
        "wheels",
        nargs="+",
        type=absolute_path,
        metavar="FILE",
        help="a wheel or an sdist with its statement",
    )
    parser.add_argument(
        "--against",
        choices=("provenance", "index"),
        default="provenance",
        help="compare with what is built again from the statement, or with the file of that name "
        "on the index (default: provenance)",
    )
    parser.add_argument(
        "--no-rebuild",
        action="store_true",
        help="build nothing; check only hashes, signatures and the policy",
    )
    parser.add_argument(
        "--policy",
        type=absolute_path,
        metavar="FILE",
        help="demand what this file says: trusted keys, a sandbox, indexes, pinned sources",
    )
    parser.add_argument(
        "--source",
        type=absolute_path,
        action="append",
        metavar="PATH",
        help="an sdist, or a directory with some, that a wheel was built from (repeatable)",
    )
    parser.add_argument(
        "--log", type=absolute_path, metavar="FILE", help="check that this is the log of the build"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def read_provenance(options: argparse.Namespace) -> Provenance:
    """Return what ``options`` say is to be told; a key is read before anything is built."""
    from wheelforge.provenance.options import Provenance, Sbom, StatementForm

    statements, path = getattr(options, "provenance", False), getattr(options, "sign_key", None)
    sbom = Sbom(getattr(options, "sbom", "off"))
    form = StatementForm(getattr(options, "statement_form", "dsse"))
    is_attested = form is StatementForm.PEP740
    if path is None and is_attested:
        reason = "an attestation object is signed; name the key by `--sign-key`"
        raise UsageError("option-invalid", "--statement-form", reason)
    if path is None:
        return Provenance(statements=statements, sbom=sbom)
    if not statements:
        reason = "there is nothing to sign without `--provenance`"
        raise UsageError("option-invalid", "--sign-key", reason)
    try:
        from wheelforge.provenance.envelope import read_signer

        signer = read_signer(path, "--sign-key")
    except ModuleNotFoundError as error:
        raise ServiceError("extra-missing", "sign", str(error)) from error
    if is_attested and not signer.can_attest:
        reason = "an attestation object takes a key of ECDSA on P-256"
        raise UsageError("option-invalid", "--statement-form", reason)
    return Provenance(statements=True, signer=signer, sbom=sbom, form=form)
