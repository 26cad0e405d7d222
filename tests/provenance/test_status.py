"""What each C2PA status code means: the sets do not overlap, and no code is read as what it is not."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from assay.provenance.credentials.status import CHANGED, NEUTRAL, NOT_ESTABLISHED, REVOKED, judge
from assay.provenance.manifest import ManifestState

INVALID, MALFORMED = ManifestState.INVALID, ManifestState.MALFORMED
TRUSTED, UNTRUSTED = ManifestState.TRUSTED, ManifestState.UNTRUSTED


def test_the_sets_do_not_overlap():
    for one, other in combinations((CHANGED, REVOKED, NOT_ESTABLISHED, NEUTRAL), 2):
        assert not one & other


@pytest.mark.parametrize(
    ("codes", "trusted", "state"),
    [
        ((), True, TRUSTED),
        ((), False, UNTRUSTED),
        (("signingCredential.untrusted",), False, UNTRUSTED),
        (("signingCredential.expired",), False, UNTRUSTED),
        (("signingCredential.expired",), True, UNTRUSTED),
        (("signingCredential.invalid",), True, UNTRUSTED),
        (("timeStamp.mismatch",), True, TRUSTED),
        (("cawg.ica.signature_mismatch",), True, TRUSTED),
        (("assertion.action.malformed",), True, MALFORMED),
        (("assertion.cbor.invalid", "signingCredential.untrusted"), False, MALFORMED),
        (("a.code.of.tomorrow",), True, MALFORMED),
        (("assertion.dataHash.mismatch", "assertion.action.malformed"), True, INVALID),
        (("claimSignature.mismatch", "signingCredential.untrusted"), False, INVALID),
        (("signingCredential.revoked",), True, INVALID),
        (("signingCredential.ocsp.revoked", "cawg.x509.revoked"), True, INVALID),
    ],
)
def test_codes_are_judged(codes, trusted, state):
    assert judge(frozenset(codes), trusted) is state


def test_every_code_that_the_standard_calls_a_mismatch_proves_a_change():
    known = CHANGED | REVOKED | NOT_ESTABLISHED | NEUTRAL
    assert {c for c in known if c.endswith(".mismatch") and not c.startswith("timeStamp")} <= CHANGED


@pytest.mark.parametrize("code", sorted(CHANGED | REVOKED | NOT_ESTABLISHED | NEUTRAL))
def test_codes_are_spelled_as_codes(code):
    assert re.fullmatch(r"[a-z][A-Za-z]*(\.[a-z][A-Za-z]*)+", code, re.IGNORECASE)


@pytest.mark.parametrize("code", sorted(CHANGED))
def test_no_trust_outweighs_a_proof_of_change(code):
    assert judge(frozenset({code}), trusted=True) is INVALID
