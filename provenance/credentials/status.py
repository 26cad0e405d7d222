"""What each C2PA status code means for a verdict (C2PA 2.x, "Validation status codes").

The library's summary state mixes three things that must never be mixed: a proof of change, a signer that is
not established, and a broken rule. These sets keep them apart; a code in none of them breaks a rule.
"""

from __future__ import annotations

from assay.provenance.manifest import ManifestState

# A hash or a signature proves that something changed after signing, or that a signed part is gone.
CHANGED = frozenset(
    {
        "assertion.dataHash.mismatch",
        "assertion.bmffHash.mismatch",
        "assertion.boxesHash.mismatch",
        "assertion.boxHash.mismatch",
        "assertion.collectionHash.mismatch",
        "assertion.collectionHash.incorrectItemCount",
        "assertion.multiAssetHash.mismatch",
        "assertion.multiAssetHash.missingPart",
        "assertion.hashedURI.mismatch",
        "assertion.missing",
        "assertion.undeclared",
        "assertion.outsideManifest",
        "assertion.notRedacted",
        "assertion.selfRedacted",
        "assertion.action.redacted",
        "hashedURI.mismatch",
        "hashedURI.missing",
        "claim.missing",
        "claim.multiple",
        "claim.hardBindings.missing",
        "assertion.multipleHardBindings",
        "claimSignature.mismatch",
        "claimSignature.missing",
        "ingredient.hashedURI.mismatch",
        "ingredient.manifest.missing",
        "ingredient.manifest.mismatch",
        "ingredient.claimSignature.missing",
        "ingredient.claimSignature.mismatch",
        "manifest.inaccessible",
    }
)

REVOKED = frozenset({"signingCredential.revoked", "signingCredential.ocsp.revoked"})

# The file is as it was signed, but who signed it, or when, is not established. Never a sign of a change.
NOT_ESTABLISHED = frozenset(
    {
        "signingCredential.untrusted",
        "signingCredential.expired",
        "signingCredential.invalid",
        "signingCredential.ocsp.unknown",
        "signingCredential.ocsp.inaccessible",
        "claimSignature.outsideValidity",
    }
)

# Said in passing, or about something that is not this picture's integrity.
NEUTRAL = frozenset(
    {
        "ingredient.unknownProvenance",
        "ingredient.manifest.validated",
        "signingCredential.ocsp.skipped",
        "signingCredential.ocsp.notRevoked",
        "assertion.dataHash.additionalExclusionsPresent",
        "assertion.bmffHash.additionalExclusionsPresent",
        "assertion.boxesHash.additionalExclusionsPresent",
        "algorithm.deprecated",
        # A bad time-stamp proves nothing about the signer: the time is then untrusted, and an expired
        # certificate that needed it is reported as expired.
        "timeStamp.untrusted",
        "timeStamp.mismatch",
        "timeStamp.malformed",
        "timeStamp.outsideValidity",
        "timeOfSigning.outsideValidity",
        "timeOfSigning.insideValidity",
    }
)

CAWG_PREFIX = "cawg."


def judge(codes: frozenset[str], trusted: bool) -> ManifestState:
    """Return the state that a set of failure codes means; CAWG codes never lower the C2PA answer."""
    failures = {c for c in codes if not c.startswith(CAWG_PREFIX)} - NEUTRAL
    if failures & CHANGED or failures & REVOKED:
        return ManifestState.INVALID
    if failures - NOT_ESTABLISHED:
        return ManifestState.MALFORMED
    return ManifestState.TRUSTED if trusted and not failures else ManifestState.UNTRUSTED
