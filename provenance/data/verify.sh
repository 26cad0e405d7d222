#!/bin/sh
# Check an unpacked Assay evidence bundle with openssl, sha256sum and a POSIX shell: sh verify.sh [FOLDER]
#
# FOLDER is the unpacked bundle; by default the folder that this program lies in. One line a layer: ok, failed or
# not checked. Exit code 0 if nothing failed, else 1. Nothing is written but temporary files, no network is used.

set -u
LC_ALL=C
export LC_ALL
case ${1-} in
'') case $0 in */*) cd "${0%/*}" || exit 1 ;; esac ;;
/*) cd "$1" || exit 1 ;;
*) cd "./$1" || exit 1 ;;
esac
t=$(mktemp -d) || exit 1
trap 'rm -rf "$t"' EXIT
trap 'exit 1' HUP INT TERM
exit_code=0

say() { # name, state, words: what is said may come from hostile files, so only plain characters are printed
    printf '%-10s  %-11s  %s\n' "$1" "$2" "$(printf '%s' "$3" | tr -c '[:print:]' '?')"
    [ "$2" != failed ] || exit_code=1
}

PLACE='data/(asset\.[a-z0-9]{1,8}(\.c2pa)?|report\.(json|html)|manifest\.c2pa|certificates\.pem|signer\.pem|replay\.json'
PLACE="$PLACE"'|policy\.toml|models/[A-Za-z0-9._-]+\.json|trust/[A-Za-z0-9._-]+|receipts/[0-9]+\.tlog-proof|ledger/keys|ledger/bundle/[A-Za-z0-9._/-]+)'

files() {
    [ -z "$(find . ! -type f ! -type d)" ] || { echo 'there is something that is neither file nor folder'; return 1; }
    find . -type f >"$t/there"
    ! grep -qv '^\./[A-Za-z0-9._/-]*$' "$t/there" || { echo 'a file has a name that no bundle has'; return 1; }
    for list in manifest-sha256.txt tagmanifest-sha256.txt; do
        [ -s $list ] && [ -z "$(tail -c 1 $list)" ] || { echo "$list is missing or cut off"; return 1; }
    done
    ! grep -Eqv "^[0-9a-f]{64}  $PLACE\$" manifest-sha256.txt || { echo 'a file has no place here'; return 1; }
    ! grep -Eqv '^[0-9a-f]{64}  (bagit\.txt|bag-info\.txt|README\.txt|verify\.sh|manifest-sha256\.txt)$' \
        tagmanifest-sha256.txt || { echo 'a tag file has no place here'; return 1; }
    sort manifest-sha256.txt tagmanifest-sha256.txt >"$t/listed"
    grep -v '^\./tagmanifest-sha256\.txt$' "$t/there" | sed 's|^\./||' | xargs -n 200 sha256sum | sort >"$t/found"
    changed=$(sort "$t/listed" "$t/found" | uniq -u | head -n 1 | cut -c 67-)
    [ -z "$changed" ] || { echo "$changed was changed, is missing or is in no manifest"; return 1; }
    cmp -s "$t/listed" "$t/found" || { echo 'a file is listed twice'; return 1; }
    echo "$(($(wc -l <"$t/there"))) files, as the manifests list them"
}

if said=$(files); then say files ok "$said"; else
    say files failed "$said"
    exit 1
fi

# The report is indented by two blanks a level; an asset's digest is the first "value" three levels deep.
set -- data/asset.*
named=$(sed -n 's/^      "value": "\([0-9a-f]\{64\}\)"$/\1/p' data/report.json | head -n 1)
verdict=$(sed -n 's/^  "verdict": "\([a-z-]*\)",$/\1/p' data/report.json | head -n 1)
if [ -n "$named" ] && [ "$(sha256sum <"$1" | cut -c 1-64)" = "$named" ]; then
    say report ok "it speaks of this file; its verdict, which is not checked here, is $verdict"
else
    say report failed 'it speaks of another file'
fi

if [ ! -f data/signer.pem ]; then
    say signer 'not checked' 'no certificate is known to have signed the file'
else
    : >"$t/lists"
    for list in data/trust/signer-*.pem; do [ ! -f "$list" ] || cat "$list" >>"$t/lists"; done
    if [ ! -s "$t/lists" ]; then
        say signer 'not checked' 'no list of signers was chosen'
    elif openssl verify -partial_chain -no_check_time -CAfile "$t/lists" -untrusted data/certificates.pem \
        data/signer.pem >/dev/null 2>&1; then
        say signer ok 'its certificate leads to a list that was chosen; at which time is not checked here'
    else
        say signer 'not checked' 'its certificate leads to no list that was chosen'
    fi
fi
say signature 'not checked' 'what is signed inside the credentials takes a C2PA reader: assay verify-report'

if [ ! -d data/ledger/bundle ]; then
    say ledger 'not checked' 'no proofs of the ledger are in here'
elif sh data/ledger/bundle/verify.sh data/ledger/bundle >"$t/ledger" 2>/dev/null </dev/null; then
    say ledger ok 'its proofs hold, with the key that came along; what follows is its own program'\''s answer'
    sed 's/^/            /' "$t/ledger"
else
    say ledger failed 'its proofs do not hold; what follows is its own program'\''s answer'
    sed 's/^/            /' "$t/ledger"
fi
exit $exit_code
