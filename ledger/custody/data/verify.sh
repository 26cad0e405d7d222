#!/bin/sh
# Check an unpacked Assay bundle with openssl and a POSIX shell: sh verify.sh [-p POLICY] [FOLDER]
#
# FOLDER is the unpacked bundle; by default the folder that this program lies in. POLICY is a C2SP tlog-policy
# with the keys that you trust; by default the bundle's own, and then the line "keys" says so. One line a
# layer: ok, failed, pending or not checked. Exit code 0 if nothing failed and the files, the checkpoint and
# the entries are ok, else 1. Nothing is written but temporary files, and no network is used. Numbers must lie
# below 10^18. verify.py beside this file checks the same, and says the same.

set -u
LC_ALL=C
export LC_ALL
TAB=$(printf '\t')
DASH=$(printf '\342\200\224')
policy=
if [ "${1-}" = -p ]; then
    policy=${2:?a policy file is missing}
    shift 2
    case $policy in /*) ;; *) policy=$(pwd)/$policy ;; esac
fi
case ${1-} in
'') case $0 in */*) cd "${0%/*}" || exit 1 ;; esac ;;
/*) cd "$1" || exit 1 ;;
*) cd "./$1" || exit 1 ;;
esac
t=$(mktemp -d) || exit 1
trap 'rm -rf "$t"' EXIT
trap 'exit 1' HUP INT TERM
exit_code=0

# ------------------------------------------------------------------------------------------- the layers

wrong() { # words: this layer has failed; runs in the layer's own subshell
    printf '%s\n' "$1" >"$t/said"
    exit 2
}
unable() {
    printf '%s\n' "$1" >"$t/said"
    exit 3
}
pending() {
    printf '%s\n' "$1" >"$t/said"
    exit 4
}
good() { printf '%s\n' "$1" >"$t/said"; }

layer() { # name, must it be ok (y or n), command …: run one check and print its line; fails if the check did
    name=$1 must=$2
    shift 2
    : >"$t/said"
    ("$@") </dev/null 2>/dev/null
    case $? in
    0) state=ok ;;
    3) state='not checked' ;;
    4) state=pending ;;
    *) state=failed ;;
    esac
    # what is said may come from hostile files: nothing but plain characters reaches the terminal
    printf '%-18s  %-11s  %s\n' "$name" "$state" "$(tr -c '[:print:]' '?' <"$t/said" | sed 's/?$//')"
    [ "$state" != failed ] && { [ "$must" = n ] || [ "$state" = ok ]; } || exit_code=1
    [ "$state" != failed ]
}

# ------------------------------------------------------------------------------------------------ bytes

sha256() { openssl dgst -sha256 -r "$1" | cut -c 1-64; } # file -> hexadecimal
raw_sha256() { openssl dgst -sha256 -binary; }           # stdin -> 32 bytes
hex() { od -An -v -tx1 | tr -d ' \n'; }                  # stdin -> hexadecimal

decode() { # base64, file: decode it in its one spelling
    printf '%s' "$1" | openssl base64 -d -A >"$2" 2>/dev/null
    [ -n "$1" ] && [ "$(openssl base64 -A -in "$2")" = "$1" ]
}
hash_line() { # base64, file: the same for 32 bytes, whose one spelling needs no second program to know
    case $1 in *[!A-Za-z0-9+/]*[!=]* | *[!AEIMQUYcgkosw048]= | *[!=]== | *[!=]) return 1 ;; esac
    [ ${#1} -eq 44 ] && printf '%s' "$1" | openssl base64 -d -A >"$2" 2>/dev/null
}
is_number() { case $1 in '' | *[!0-9]* | 0?* | ???????????????????*) return 1 ;; esac; }

# ------------------------------------------------------------------------------------------------ files

PLACE='data/(checkpoint|policy|entries/[0-9]+\.json|proofs/[0-9]+\.tlog-proof|assets/[0-9]+\.[a-z0-9]{1,8}'
PLACE="$PLACE"'|recovery/[0-9]+\.json|previous/(checkpoint|consistency)'
PLACE="$PLACE"'|anchors/[a-z0-9-]+/(checkpoint|consistency|state|record\.json|token\.tsr|certificate\.pem|proof\.ots))'

check_files() {
    [ -z "$(find . ! -type f ! -type d)" ] || wrong 'there is something that is neither file nor folder'
    find . -type f >"$t/there"
    ! grep -qv '^\./[A-Za-z0-9._/-]*$' "$t/there" || wrong 'a file has a name that no bundle has'
    printf 'BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n' | cmp -s - bagit.txt ||
        wrong 'bagit.txt does not say BagIt 1.0'
    for list in manifest-sha256.txt tagmanifest-sha256.txt; do
        [ -s $list ] && [ -z "$(tail -c 1 $list)" ] || wrong "$list is missing or cut off"
    done
    ! grep -Eqv "^[0-9a-f]{64}  $PLACE\$" manifest-sha256.txt || wrong 'a file has no place in a bundle'
    ! grep -Eqv '^[0-9a-f]{64}  [A-Za-z0-9._-]+$' tagmanifest-sha256.txt || wrong 'a tag file has no place there'
    sort manifest-sha256.txt tagmanifest-sha256.txt >"$t/listed"
    grep -v '^\./tagmanifest-sha256\.txt$' "$t/there" | xargs -n 200 openssl dgst -sha256 -r |
        sed 's| \*\./|  |' | sort >"$t/found"
    changed=$(sort "$t/listed" "$t/found" | uniq -u | head -n 1 | cut -c 67-)
    [ -z "$changed" ] || wrong "$changed was changed, is missing or is in no manifest"
    cmp -s "$t/listed" "$t/found" || wrong 'a file is listed twice'
    good "$(($(wc -l <"$t/there"))) files, as the manifests list them"
}

# ---------------------------------------------------------------------------------------------- Ed25519

ed25519() { # key (32 bytes), message, signature: files
    { printf '\060\052\060\005\006\003\053\145\160\003\041\000' && cat "$1"; } >"$t/spki"
    openssl pkeyutl -verify -pubin -keyform DER -inkey "$t/spki" -rawin -in "$2" -sigfile "$3" >/dev/null 2>&1
}

can_ed25519() { # RFC 8032 section 7.1, TEST 2, and the same with another message; asked once
    [ ! -f "$t/can" ] || return 0
    decode PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw= "$t/known.key" &&
        decode "kqAJqfDUyrhyDoILX2QlQKKye1QWUD+Ps3YiI+vbadoIWsHkPhWZbkWPNhPQ8R2MOHsurrQwKu6wDSkWErsMAA==" "$t/known.sig"
    printf '\162' >"$t/known.message"
    printf '\163' >"$t/other.message"
    ed25519 "$t/known.key" "$t/known.message" "$t/known.sig" &&
        ! ed25519 "$t/known.key" "$t/other.message" "$t/known.sig" && : >"$t/can"
}

# ----------------------------------------------------------------------------------------- notes, policy

read_key() { # vkey: check it; sets k_name, k_id, k_type and $t/key.public
    k_name=${1%%+*} rest=${1#*+} k_id=${rest%%+*}
    case $1 in *?+*+?*) ;; *) return 1 ;; esac
    decode "${rest#*+}" "$t/material" || return 1
    [ "$({ printf '%s\n' "$k_name" && cat "$t/material"; } | raw_sha256 | head -c 4 | hex)" = "$k_id" ] || return 1
    k_type=$(head -c 1 "$t/material" | hex)
    tail -c +2 "$t/material" >"$t/key.public"
    case $k_type in 01 | 04) [ "$(($(wc -c <"$t/key.public")))" -eq 32 ] ;; esac
}

read_policy() { # writes $t/logs, $t/witnesses, $t/groups, $t/quorum
    for list in logs witnesses groups quorum names members keys; do : >"$t/$list"; done
    tr -d '\n\t' <"$1" | grep -q '[[:cntrl:]]' && wrong 'the policy has control characters'
    printf '\n' | cat "$1" - >"$t/policy"
    while IFS=" $TAB" read -r word name vkey rest; do
        case $word in
        '' | \#*) continue ;;
        log)
            set -f
            set -- $vkey $rest
            set +f
            [ $# -le 1 ] || wrong 'the policy cannot be read'
            read_key "$name" || wrong 'the policy has a broken key'
            printf '%s\n' "$name" >>"$t/logs"
            hex <"$t/key.public" >>"$t/keys"
            echo >>"$t/keys"
            ;;
        witness)
            set -f
            set -- $rest
            set +f
            [ -n "$vkey" ] && [ $# -le 1 ] && new_name "$name" && read_key "$vkey" ||
                wrong 'the policy has a broken witness'
            printf '%s %s\n' "$name" "$vkey" >>"$t/witnesses"
            printf '%s\n' "$name" >>"$t/names"
            hex <"$t/key.public" >>"$t/keys"
            echo >>"$t/keys"
            ;;
        group)
            new_name "$name" || wrong 'the policy has a name twice'
            set -f
            for member in $rest; do
                grep -qxF -e "$member" "$t/names" || wrong 'the policy has a group with an unknown member'
                grep -qxF -e "$member" "$t/members" && wrong 'the policy has a member counted twice'
                printf '%s\n' "$member" >>"$t/members"
            done
            set -- $rest
            set +f
            least=$vkey
            case $vkey in all) least=$# ;; any) least=1 ;; esac
            is_number "$least" && [ "$least" -ge 1 ] && [ "$least" -le $# ] || wrong 'the policy has a broken group'
            printf '%s %s %s\n' "$name" "$least" "$*" >>"$t/groups"
            printf '%s\n' "$name" >>"$t/names"
            ;;
        quorum)
            [ -n "$name" ] && [ -z "$vkey" ] && [ ! -s "$t/quorum" ] || wrong 'the policy has a broken quorum'
            [ "$name" = none ] || grep -qxF -e "$name" "$t/names" || wrong 'the policy has an unknown quorum'
            printf '%s\n' "$name" >"$t/quorum"
            ;;
        *) wrong 'the policy cannot be read' ;;
        esac
    done <"$t/policy"
    [ -s "$t/logs" ] && [ -s "$t/quorum" ] && [ -z "$(sort "$t/keys" | uniq -d)" ] ||
        wrong 'the policy lacks a log or a quorum, or has a key twice'
}
new_name() { [ -n "$1" ] && [ "$1" != none ] && ! grep -qxF -e "$1" "$t/names"; }

check_keys() {
    read_policy "${policy:-data/policy}"
    [ -z "$policy" ] || {
        good 'the policy is the one given by you'
        return 0
    }
    unable "the policy came with the bundle; compare data/policy with its owner's\
$(while IFS= read -r vkey; do printf ' %s' "${vkey%+"${vkey#*+*+}"}"; done <"$t/logs")"
}

read_note() { # file, name: check a checkpoint's form; writes $t/name.{text,lines,root}, sets origin and size
    tr -d '\n' <"$1" | grep -q '[[:cntrl:]]' && return 1
    [ -s "$1" ] && [ -z "$(tail -c 1 "$1")" ] || return 1
    blank=$(grep -n '^$' "$1" | tail -n 1 | cut -d : -f 1)
    [ -n "$blank" ] && [ "$blank" -gt 3 ] || return 1
    head -n "$((blank - 1))" "$1" >"$t/$2.text"
    tail -n "+$((blank + 1))" "$1" >"$t/$2.lines"
    [ -s "$t/$2.lines" ] && ! grep -q '^$' "$t/$2.text" || return 1
    { IFS= read -r origin && IFS= read -r size && IFS= read -r root; } <"$t/$2.text"
    is_number "$size" && hash_line "$root" "$t/$2.root" || return 1
    while IFS= read -r line; do
        case $line in "$DASH "?*' '?*) ;; *) return 1 ;; esac
        rest=${line#"$DASH "}
        decode "${rest#* }" "$t/blob" && [ "$(($(wc -c <"$t/blob")))" -ge 5 ] || return 1
    done <"$t/$2.lines"
}

signed_by() { # name of a note read before, vkey: 0 it signed, 1 it did not, 2 a bad signature, 3 cannot say
    read_key "$2" || return 2
    signed=1
    while IFS= read -r line; do
        rest=${line#"$DASH "}
        [ "${rest%% *}" = "$k_name" ] || continue
        decode "${rest#* }" "$t/blob"
        [ "$(head -c 4 "$t/blob" | hex)" = "$k_id" ] || continue
        case $k_type in
        01)
            cp "$t/$1.text" "$t/message"
            tail -c +5 "$t/blob" >"$t/signature"
            ;;
        04)
            time=0
            for byte in $(head -c 12 "$t/blob" | tail -c 8 | od -An -v -tu1); do time=$((time * 256 + byte)); done
            { printf 'cosignature/v1\ntime %s\n' "$time" && cat "$t/$1.text"; } >"$t/message"
            tail -c +13 "$t/blob" >"$t/signature"
            ;;
        *) return 3 ;;
        esac
        can_ed25519 || return 3
        ed25519 "$t/key.public" "$t/message" "$t/signature" || return 2
        signed=0
    done <"$t/$1.lines"
    return "$signed"
}

log_signed() { # name of a note, its origin: checks it, or ends the layer
    found=n
    while IFS= read -r vkey; do
        [ "${vkey%%+*}" = "$2" ] || continue
        signed_by "$1" "$vkey"
        case $? in
        0) found=y ;;
        2) wrong "the signature of $2 is bad" ;;
        3) unable 'there is no openssl with Ed25519 here' ;;
        esac
    done <"$t/logs"
    [ "$found" = y ] || wrong "no log of the policy signed the checkpoint of $2"
}

check_checkpoint() {
    [ "$main_read" = y ] || wrong 'the checkpoint cannot be read'
    log_signed main "$main_origin"
    good "$main_origin with $main_size entries, signed by its key"
}

seen_by() { # witness or group: has it seen what the witnesses in $t/signed cosigned?
    grep -qxF -e "$1" "$t/signed" && return 0
    group=$(grep -F -e "$1 " "$t/groups" | while read -r name rest; do [ "$name" = "$1" ] && echo "$rest"; done)
    [ -n "$group" ] || return 1
    (
        set -f
        set -- $group
        least=$1 count=0
        shift
        for member in "$@"; do seen_by "$member" && count=$((count + 1)); done
        [ "$count" -ge "$least" ]
    )
}

check_witnesses() {
    read -r quorum <"$t/quorum"
    [ "$quorum" != none ] || unable 'the policy asks for none'
    : >"$t/signed"
    doubt=n
    while read -r witness vkey; do
        signed_by main "$vkey"
        case $? in
        0) printf '%s\n' "$witness" >>"$t/signed" ;;
        2) wrong "the signature of $k_name is bad" ;;
        3) doubt=y ;;
        esac
    done <"$t/witnesses"
    said="$(($(wc -l <"$t/signed"))) of $(($(wc -l <"$t/witnesses"))) cosigned"
    if seen_by "$quorum"; then good "$said, which is enough for the policy"
    elif [ $doubt = y ]; then unable 'a witness signs with an algorithm that is not checked here'
    else wrong "$said, too few for the policy"; fi
}

# --------------------------------------------------------------------------------------------- the tree

join_into() { # result, left, right: files of 32 bytes
    { printf '\001' && cat "$2" "$3"; } | raw_sha256 >"$t/joined"
    mv "$t/joined" "$1"
}

included() { # leaf, index, tree size, root, file with the path: RFC 9162 section 2.1.3.2
    [ "$2" -lt "$3" ] || return 1
    { printf '\000' && cat "$1"; } | raw_sha256 >"$t/node"
    fn=$2 sn=$(($3 - 1))
    while IFS= read -r line; do
        [ "$sn" -ne 0 ] && hash_line "$line" "$t/item" || return 1
        if [ $((fn & 1)) -eq 1 ] || [ "$fn" -eq "$sn" ]; then
            join_into "$t/node" "$t/item" "$t/node"
            while [ "$fn" -ne 0 ] && [ $((fn & 1)) -eq 0 ]; do fn=$((fn >> 1)) sn=$((sn >> 1)); done
        else
            join_into "$t/node" "$t/node" "$t/item"
        fi
        fn=$((fn >> 1)) sn=$((sn >> 1))
    done <"$5"
    [ "$sn" -eq 0 ] && cmp -s "$t/node" "$4"
}

extends() { # old size, old root, new size, new root, file with the path: RFC 9162 section 2.1.4.2
    if [ "$1" -eq "$3" ]; then
        [ ! -s "$5" ] && cmp -s "$2" "$4"
        return
    fi
    [ "$1" -gt 0 ] && [ "$1" -lt "$3" ] || return 1
    if [ $(($1 & ($1 - 1))) -eq 0 ]; then
        { openssl base64 -A -in "$2" && echo && cat "$5"; } >"$t/nodes"
    else
        cp "$5" "$t/nodes"
    fi
    [ -s "$t/nodes" ] || return 1
    fn=$(($1 - 1)) sn=$(($3 - 1)) begun=n
    while [ $((fn & 1)) -eq 1 ]; do fn=$((fn >> 1)) sn=$((sn >> 1)); done
    while IFS= read -r line; do
        hash_line "$line" "$t/item" || return 1
        if [ $begun = n ]; then
            begun=y
            cp "$t/item" "$t/first"
            cp "$t/item" "$t/second"
            continue
        fi
        [ "$sn" -ne 0 ] || return 1
        if [ $((fn & 1)) -eq 1 ] || [ "$fn" -eq "$sn" ]; then
            join_into "$t/first" "$t/item" "$t/first"
            join_into "$t/second" "$t/item" "$t/second"
            while [ "$fn" -ne 0 ] && [ $((fn & 1)) -eq 0 ]; do fn=$((fn >> 1)) sn=$((sn >> 1)); done
        else
            join_into "$t/second" "$t/second" "$t/item"
        fi
        fn=$((fn >> 1)) sn=$((sn >> 1))
    done <"$t/nodes"
    [ "$sn" -eq 0 ] && cmp -s "$t/first" "$2" && cmp -s "$t/second" "$4"
}

split_proof() { # file: what stands before the first blank line to $t/head, what follows it to $t/tail
    at=$(grep -n '^$' "$1" | head -n 1 | cut -d : -f 1)
    [ -n "$at" ] && [ "$at" -gt 1 ] && [ "$at" -lt 68 ] || return 1
    head -n "$((at - 1))" "$1" >"$t/head"
    tail -n "+$((at + 1))" "$1" >"$t/tail"
}

numbers() { # folder, ending: the index numbers that its files are named by, checked, smallest first
    [ -d "data/$1" ] || return 0
    : >"$t/unsorted"
    for file in "data/$1"/*; do
        number=${file##*/} number=${number%%.*}
        is_number "$number" || return 1
        case ${file##*/} in "$number."$2) ;; *) return 1 ;; esac
        echo "$number" >>"$t/unsorted"
    done
    [ -z "$(sort -n "$t/unsorted" | uniq -d)" ] && sort -n "$t/unsorted"
}
listed() { # numbers: name a few
    count=$#
    set -- "${1-}" "${2-}" "${3-}" "${4-}" "${5-}" "${6-}" "${7-}" "${8-}"
    few=$(printf '%s ' "$@" | sed 's/ *$//; s/ /, /g')
    [ "$count" -le 8 ] || few="$few and more"
    printf '%s' "$few"
}

check_entries() {
    entries=$(numbers entries json) && proofs=$(numbers proofs tlog-proof) || wrong 'a file name is not a number'
    [ -n "$entries" ] && [ "$entries" = "$proofs" ] || wrong 'entries and proofs do not pair'
    for number in $entries; do
        split_proof "data/proofs/$number.tlog-proof" || wrong "the proof of entry $number is not one"
        { IFS= read -r line && IFS= read -r extra && IFS= read -r index; } <"$t/head"
        [ "$line" = c2sp.org/tlog-proof@v1 ] && [ "$index" = "index $number" ] ||
            wrong "the proof of entry $number is not one"
        [ "$extra" = "extra $(openssl base64 -A -in "data/entries/$number.json")" ] ||
            wrong "the proof of entry $number carries another entry"
        cmp -s "$t/tail" data/checkpoint || wrong "the proof of entry $number is against another checkpoint"
        tail -n +4 "$t/head" >"$t/path"
        included "data/entries/$number.json" "$number" "$main_size" "$t/main.root" "$t/path" ||
            wrong "the proof of entry $number does not lead to the checkpoint"
    done
    good "$(($(echo "$entries" | wc -l))) lead to the checkpoint: $(listed $entries)"
}

check_beside() { # folder, ending, field of the entry
    found=$(numbers "$1" "$2") || wrong 'a file name is not a number'
    [ -n "$found" ] || unable 'there are none in this bundle'
    for number in $found; do
        # In canonical JSON this text can only be a name of the entry: quotes inside strings are escaped.
        leaf=$(tr '\n' ' ' <"data/entries/$number.json") || wrong "$1 has a file for no entry"
        value=${leaf#*"\"$3\":\"sha256:"}
        [ "$value" != "$leaf" ] || wrong "entry $number holds no such digest"
        case $value in *"\"$3\":"*) wrong "entry $number has a name twice" ;; esac
        for file in "data/$1/$number".*; do
            [ "$(sha256 "$file")\"" = "$(printf '%.65s' "$value")" ] ||
                wrong "$file is not what entry $number holds the digest of"
        done
    done
    good "$(($(echo "$found" | wc -l))) as the entries have them: $(listed $found)"
}

# ------------------------------------------------------------------------------- earlier trees, anchors

related() { # folder: is its checkpoint of the same history as the bundle's? sets other_size
    read_note "$1/checkpoint" other || wrong 'its checkpoint cannot be read'
    other_size=$size
    [ "$origin" = "$main_origin" ] || wrong 'it is of another ledger'
    log_signed other "$origin"
    if [ "$other_size" -le "$main_size" ]; then
        old=other old_size=$other_size new=main new_size=$main_size
    else
        old=main old_size=$main_size new=other new_size=$other_size
    fi
    split_proof "$1/consistency" && read -r line <"$t/head" && [ "$line" = "old $old_size" ] &&
        cp "$t/tail" "$t/claimed" && read_note "$t/claimed" claimed && cmp -s "$t/claimed.text" "$t/$new.text" ||
        wrong 'its consistency proof is between other checkpoints'
    tail -n +2 "$t/head" >"$t/path"
    extends "$old_size" "$t/$old.root" "$new_size" "$t/$new.root" "$t/path" ||
        wrong 'the ledger was rewritten: the larger tree does not extend the smaller one'
}

check_previous() {
    [ -d data/previous ] || unable 'this bundle names no earlier one'
    related data/previous
    good "the earlier bundle's checkpoint ($other_size entries) is of the same history"
}

check_anchor() { # folder
    related "$1"
    covered=
    for number in $(numbers entries json); do
        [ "$number" -ge "$other_size" ] || covered="$covered $number"
    done
    about="$other_size entries, $(listed ${covered:-none}) of these among them"
    [ -f "$1/state" ] || wrong 'its state is missing'
    [ "$(cat "$1/state")" != pending ] || pending "under way, proves nothing yet ($about)"
    [ -f "$1/token.tsr" ] || unable "see $1/record.json for what to compare ($about)"
    [ -f "$1/certificate.pem" ] || unable "the authority's certificate is not in this bundle"
    for form in '' -token_in; do
        openssl ts -verify -digest "$(sha256 "$t/other.text")" -in "$1/token.tsr" $form \
            -CAfile "$1/certificate.pem" -partial_chain -no_check_time >/dev/null 2>&1 || continue
        good "time-stamped under the certificate beside it ($about)"
        return 0
    done
    wrong 'the time-stamp is not of this checkpoint, or not by the certificate beside it'
}

main() {
    layer files y check_files || return
    layer keys n check_keys || return
    main_read=n main_origin='' main_size=0
    read_note data/checkpoint main 2>/dev/null && main_read=y main_origin=$origin main_size=$size
    layer checkpoint y check_checkpoint
    [ $main_read = y ] || return
    layer witnesses n check_witnesses
    if layer entries y check_entries; then
        layer assets n check_beside assets '*' digest
        layer recovery n check_beside recovery json recovery
    else
        layer assets n unable 'the entries are not proven'
        layer recovery n unable 'the entries are not proven'
    fi
    layer previous n check_previous
    [ -d data/anchors ] || return
    for folder in data/anchors/*; do layer "${folder##*/}" n check_anchor "$folder"; done
}

main
exit $exit_code
